"""The container commands, a file each."""
