"""Access to the operating system: clock, users, paths, files and locks, programs."""
