"""What the shipped types that run programs share."""
