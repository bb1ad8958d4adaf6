"""The objects plugin: moves the objects of one location to another."""
