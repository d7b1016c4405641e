"""Pages in HTML: pure functions from data to one self-contained text, without scripts, links or requests."""
