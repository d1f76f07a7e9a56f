"""Fixtures of the tests of deployment."""

from tests.unit.gcp.deploy.fake_gcloud import fake

__all__ = ["fake"]
