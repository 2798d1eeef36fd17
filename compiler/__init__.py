"""Model file to `Program`: knows no board by name and prints no target text."""
