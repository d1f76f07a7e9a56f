"""The stand-in of Google's APIs refuses what the real ones do."""
