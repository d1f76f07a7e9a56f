"""What strangers and broken clients send: never a 500, a hang, memory without end, or a loss."""
