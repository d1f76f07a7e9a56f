"""How functions-framework serves the functions, corrected for a CPU that is taken away.

Cloud Run takes the CPU away between requests, for hours at times (Google: "Cloud Run, CPU
allocation"; GoogleCloudPlatform/python-docs-samples#3229 shows what that does to heartbeats). The
framework's server has two timers that do not survive this, and no setting for either.
"""

from __future__ import annotations

import os
from typing import Final

from uvicorn_worker import UvicornWorker

# Only Google's front end connects, and it closes what it no longer needs: its load balancers after
# 600 seconds (Google: "Backend service timeout"; for Cloud Run's own front end: assumed).
_KEEP_ALIVE_SECONDS: Final = 3600


def prepare_server() -> None:
    """Disables the worker timeout and keeps idle connections; call it before the server starts.

    The framework takes gunicorn's worker timeout from `CLOUD_RUN_TIMEOUT_SECONDS`
    (functions-framework-python#309). After a freeze that was longer, gunicorn finds the worker's
    heartbeat too old, and kills it with the webhook that ended the freeze. Without the timeout a
    worker that hangs is ended by Cloud Run: docs/operations.md, "A worker hangs".

    gunicorn closes a connection that was idle for 2 seconds. After a freeze it does so just as the
    front end sends the next webhook over it, which then has no answer.
    """
    os.environ["CLOUD_RUN_TIMEOUT_SECONDS"] = "0"
    UvicornWorker.CONFIG_KWARGS = {
        **UvicornWorker.CONFIG_KWARGS,
        "timeout_keep_alive": _KEEP_ALIVE_SECONDS,
    }
