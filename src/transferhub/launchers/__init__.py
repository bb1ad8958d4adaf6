"""Start and stop the processes that carry runs."""
