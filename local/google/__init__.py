"""A stand-in of Google Cloud's APIs on 127.0.0.1, for the real gcloud: `GoogleServer`."""

from local.google.call import CallRecord
from local.google.server import GoogleServer
from local.google.state import Function, GoogleState, Secret

__all__ = ["CallRecord", "Function", "GoogleServer", "GoogleState", "Secret"]
