"""One fault at a time, with real processes and real servers: what is lost, what is stuck, and for how long."""
