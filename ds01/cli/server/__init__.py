"""Commands that show the whole server."""
