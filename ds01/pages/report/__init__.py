"""The page of a period: `ds01 report --html`."""
