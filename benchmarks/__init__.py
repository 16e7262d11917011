"""Benchmarks, compared with what one would use instead."""
