"""The `ds01 slices` commands, one file each."""
