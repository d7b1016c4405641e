"""The project commands, a file each."""
