"""The evaluations of docs/results.md."""
