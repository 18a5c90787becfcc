"""How many may hold at once. Knows no run, no queue of tickets, no HTTP."""
