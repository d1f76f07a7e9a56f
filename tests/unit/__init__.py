"""Unit tests, laid out as `pendo_aep`."""
