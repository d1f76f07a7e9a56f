"""Google Cloud: what `deploy` makes there, and what `doctor` finds there."""
