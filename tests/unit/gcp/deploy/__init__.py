"""The scripts that deploy, their config, and what they upload."""
