"""The queue: Google Pub/Sub."""
