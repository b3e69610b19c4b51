"""Photos: files as people have them, read and written back with all that they hold."""
