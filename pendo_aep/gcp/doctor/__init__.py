"""`doctor`: a deployment, looked at from outside. Pure functions judge what gcloud and HTTP saw."""
