"""What the dashboard shows: one module per view. Pure; imports nothing of the terminal."""
