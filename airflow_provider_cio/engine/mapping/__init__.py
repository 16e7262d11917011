"""Rows become operations: one mapper for each kind of query."""
