"""The policy, a file each."""
