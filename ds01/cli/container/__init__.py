"""The container commands, one file each."""
