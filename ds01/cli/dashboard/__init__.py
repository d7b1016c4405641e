"""The dashboard: a sampler gathers the server's view, pure functions lay it out, and curses paints what changed."""
