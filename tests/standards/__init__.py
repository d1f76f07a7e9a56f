"""What others have written down: an OpenAPI description, and the test data of Adobe's own sink."""
