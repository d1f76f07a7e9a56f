"""The command `pendo-aep`: a module for each command, and what they share."""
