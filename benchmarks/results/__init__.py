"""Everything behind docs/results.md."""
