"""The files of `deploy/monitoring`: what Google accepts, and what our functions log."""
