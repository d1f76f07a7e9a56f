"""A stand-in of Google Cloud's APIs on 127.0.0.1, for the real gcloud: `GoogleServer`."""

from local.gcp.server import GoogleServer
from local.gcp.state import GoogleState

__all__ = ["GoogleServer", "GoogleState"]
