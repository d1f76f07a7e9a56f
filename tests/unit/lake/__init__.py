"""Tests of what became of accepted events."""
