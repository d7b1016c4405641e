"""The commands of AIME MLC on ds01's gate, one file each."""
