"""What shows the server: operations, and their answers as plain data."""
