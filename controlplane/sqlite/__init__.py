"""SQLite with its writers in a fair line. See base.py."""
