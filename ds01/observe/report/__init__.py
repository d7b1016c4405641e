"""The figures of a period: pure functions over the rows of the accounting."""
