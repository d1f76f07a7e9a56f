"""The flow: what the three functions do with a request."""
