"""The tests of the soak: it must notice what it is there to notice."""
