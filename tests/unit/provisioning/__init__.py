"""Tests of what `pendo-aep aep` makes in AEP."""
