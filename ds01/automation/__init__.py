"""The automation: each tick observes, decides with pure functions, and applies."""
