"""The doctor: what it finds wrong, and that it finds nothing wrong where all is well."""
