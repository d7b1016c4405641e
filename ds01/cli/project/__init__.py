"""The project commands, one file each."""
