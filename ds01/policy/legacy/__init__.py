"""Read policies of ds01-infra, the predecessor of ds01, and map their keys to the current ones."""
