"""The SQL of `docs/recipes.md`, run on rows in a real PostgreSQL."""
