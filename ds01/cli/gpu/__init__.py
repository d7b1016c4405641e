"""The `ds01 gpu` commands, one file each."""
