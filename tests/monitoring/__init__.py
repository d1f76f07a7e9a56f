"""The files of `deploy/monitoring`: what Google takes, and what our own functions write."""
