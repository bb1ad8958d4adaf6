"""What AWS's own services share: how they are asked, and how they refuse."""
