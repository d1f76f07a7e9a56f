"""Fixtures of the tests of deployment."""

from tests.deploy.fake_gcloud import fake

__all__ = ["fake"]
