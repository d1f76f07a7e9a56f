"""The promises as executable models: whatever happens in whatever order, they are kept."""
