"""What sends notifications, a module for each kind of channel."""
