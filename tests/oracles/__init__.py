"""Independent judges and makers of models for the tests; nothing here imports `edgetrain`."""
