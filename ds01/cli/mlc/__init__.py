"""AIME MLC's commands, a file each, on ds01's gate."""
