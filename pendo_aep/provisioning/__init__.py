"""Creates, updates and deletes what AEP needs to store Pendo's events."""
