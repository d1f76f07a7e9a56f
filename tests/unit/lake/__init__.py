"""Tests of what becomes of accepted events."""
