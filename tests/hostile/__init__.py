"""Hostile input: it causes no 500, no hang, no unbounded memory and no loss."""
