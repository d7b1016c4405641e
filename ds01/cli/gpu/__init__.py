"""The allocator by hand, a file each."""
