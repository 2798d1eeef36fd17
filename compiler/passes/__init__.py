"""One pass a file; each keeps a valid graph valid."""
