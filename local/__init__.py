"""The whole system on one machine: Pub/Sub in this process, an AEP stand-in, a console."""

import os

# gRPC's core prints lines of its own, in the middle of ours; it is told before it loads.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
