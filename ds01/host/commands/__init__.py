"""What the commands of administrators do; cli parses and prints."""
