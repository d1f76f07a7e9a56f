"""The web console of the local pipeline: what becomes of each webhook, and hands to break it."""
