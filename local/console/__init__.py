"""The web console of the local pipeline: shows each webhook's way to AEP and injects faults."""
