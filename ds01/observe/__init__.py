"""What is seen and counted, as data: the view of the server, accounting, reports, metrics."""
