"""The whole system on one machine: Pub/Sub in this process, an AEP stand-in, a console."""

import os

# Both are for gRPC's core, which looks at them when it loads: hence here, before all else.
# It prints lines of its own, in the middle of ours.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
# Its fork handlers start threads in the child, which crashes now and then before it becomes another
# program (one in eight under load, on uvloop). Ours only ever become other programs.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
