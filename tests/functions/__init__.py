"""Tests of the functions over HTTP, as they are deployed."""
