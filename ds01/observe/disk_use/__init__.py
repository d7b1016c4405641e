"""What takes disk space, by user: measured slowly by the tick, and kept for everybody to see."""
