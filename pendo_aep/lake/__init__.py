"""What became of the events that AEP accepted: stored in the data lake, or failed, and why."""
