"""Compares what the engine has written with itself, and with what its holders say that they should have.

An audit reads, in one transaction that sees the database as it stood at one moment, and writes nothing. What it finds
is set right by `pools.claims.mending`, at a desk.
"""
