"""What people run with `python -m pendo_aep`: one command a module, and what they share."""
