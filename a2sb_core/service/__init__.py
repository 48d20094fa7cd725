"""The service of `a2sb serve`: jobs over HTTP, and a client in Python."""
