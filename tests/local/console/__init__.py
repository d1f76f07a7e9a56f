"""The local console's server side."""
