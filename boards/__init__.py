"""The targets: one folder each, data only."""
