"""The commands, one module each; each has `command`."""
