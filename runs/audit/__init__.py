"""The audit: compares gates, holds, lines, ops, runs, workers and tickets, and sets right what differs, on request."""
