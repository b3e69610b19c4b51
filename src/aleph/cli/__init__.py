"""The command line: parse, call, show; nothing else. Heavy imports stand inside the commands."""
