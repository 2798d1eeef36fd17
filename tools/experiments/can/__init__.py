"""Intrusion detection that goes on learning: drift, another vehicle, benign traffic alone."""
