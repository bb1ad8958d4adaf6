"""The life of tasks and runs, whatever plugin carries them and wherever they run."""
