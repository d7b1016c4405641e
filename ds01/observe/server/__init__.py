"""The view of the whole server, gathered once for every screen."""
