"""Groups and users as slices, a file each."""
