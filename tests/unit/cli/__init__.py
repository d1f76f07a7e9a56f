"""Tests of the command `pendo-aep`."""
