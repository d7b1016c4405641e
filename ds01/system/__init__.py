"""The outside things, each in one small place: clock, users, paths, files and locks, programs."""
