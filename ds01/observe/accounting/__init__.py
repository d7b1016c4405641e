"""What was leased and used, in an SQLite database that the tick writes. Losing it costs history only."""
