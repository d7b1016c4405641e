"""What runs by itself: the tick observes, decides with pure functions, and applies."""
