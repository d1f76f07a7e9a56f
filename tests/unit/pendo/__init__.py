"""Unit tests, with the structure of `pendo_aep`."""
