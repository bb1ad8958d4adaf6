"""What a hub tells those who watch it, in their formats."""
