"""The page of the server's state: `ds01 status --html`."""
