"""Object stores: `base` is the port, its siblings are adapters and wrappers."""
