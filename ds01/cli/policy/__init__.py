"""The `ds01 policy` commands, one file each."""
