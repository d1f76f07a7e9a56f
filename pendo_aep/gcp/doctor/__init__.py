"""`doctor`: observes a deployment through gcloud and HTTP, and says what is wrong with it."""
