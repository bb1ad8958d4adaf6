"""The images plugin: replicates container images between registries."""
