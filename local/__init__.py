"""The pipeline on one machine: Pub/Sub in this process, an AEP stand-in and a console."""

import os

# Both are for gRPC's core, which reads them when it loads, so they are set before any import.
# Silences its own log lines, which would appear among ours.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
# Its fork handlers start threads in the child, which sometimes crashes before it becomes another
# program (one in eight under load, on uvloop). Our children always become other programs.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
