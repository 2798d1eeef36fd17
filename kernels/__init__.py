"""Everything that becomes target text."""
