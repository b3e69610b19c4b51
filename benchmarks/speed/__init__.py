"""Everything behind docs/speed.md."""
