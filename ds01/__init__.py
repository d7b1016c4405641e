"""ds01: a container service for many people on one GPU server."""

__version__ = "0.1.0"
