"""What was asked for, what happened, and what may start."""
