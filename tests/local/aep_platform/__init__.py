"""Tests of the stand-in of AEP's platform APIs, all over HTTP."""
