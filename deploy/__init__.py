"""From an empty Google Cloud project to a running pipeline and back: `deploy.sh`, `destroy.sh`."""
