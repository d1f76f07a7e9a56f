"""Attacks on the defences that `docs/security.md` names."""
