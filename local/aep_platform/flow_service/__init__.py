"""Flow Service: base, source and target connections, and the flows that join them."""
