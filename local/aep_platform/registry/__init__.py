"""The Schema Registry: field groups, schemas, descriptors, and what a schema comes to."""
