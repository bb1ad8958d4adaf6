"""Task types; they know nothing of each other."""
