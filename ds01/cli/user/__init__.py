"""The commands that set up users, one file each."""
