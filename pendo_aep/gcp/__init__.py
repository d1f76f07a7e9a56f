"""Google Cloud: deploys the pipeline there (`deploy`), and checks a deployment (`doctor`)."""
