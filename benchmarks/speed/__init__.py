"""The measurements of docs/speed.md."""
