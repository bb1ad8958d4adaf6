"""The ledger and the task store: `base` holds the ports, its siblings the adapters."""
