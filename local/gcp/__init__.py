"""A stand-in of Google Cloud's APIs on 127.0.0.1, for the real gcloud: `GoogleServer`."""

from local.gcp.api import CallRecord
from local.gcp.server import GoogleServer
from local.gcp.state import Function, GoogleState, Secret

__all__ = ["CallRecord", "Function", "GoogleServer", "GoogleState", "Secret"]
