"""Users of ds01, a file each."""
