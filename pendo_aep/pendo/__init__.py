"""The source: Pendo webhooks."""
