"""The search for a schedule that fails."""
