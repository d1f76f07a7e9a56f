"""The functions over HTTP, as they are deployed."""
