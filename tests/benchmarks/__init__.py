"""Tests of the benchmarks: what they measure, and what they write."""
