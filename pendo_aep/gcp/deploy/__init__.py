"""Deploys the pipeline through gcloud, changing only what differs, and deletes it again.

Standard library only, so that a machine needs gcloud and Python and no installation. Whatever calls
gcloud raises `GcloudFailed` when gcloud fails.
"""
