"""Jobs that a newcomer can run."""
