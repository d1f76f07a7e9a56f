"""The whole system on one machine: Pub/Sub in this process, an AEP stand-in, a console."""
