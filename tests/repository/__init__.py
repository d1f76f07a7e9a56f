"""Tests of the repository: documents, imports, dependencies and releases."""
