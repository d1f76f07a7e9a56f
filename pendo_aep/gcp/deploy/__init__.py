"""What the scripts do: look at the project through gcloud, and change only what differs.

The standard library alone, so that a machine needs gcloud and Python and no installation.
"""
