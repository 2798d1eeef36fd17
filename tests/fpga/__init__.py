"""Circuits as projects."""
