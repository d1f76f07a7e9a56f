"""Benchmarks: the comparisons behind the project's choices."""
