"""The defences of `docs/security.md`, each attacked."""
