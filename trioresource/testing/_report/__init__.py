"""What is shown of a schedule and of a search."""
