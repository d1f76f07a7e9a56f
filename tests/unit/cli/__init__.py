"""Tests of `python -m pendo_aep`."""
