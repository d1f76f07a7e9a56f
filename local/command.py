"""Running one command of `python -m local`, and saying what kept it from its end."""

from __future__ import annotations

import argparse
import asyncio
from typing import Final

from rich.console import Console

from local.console.capture import CaptureFailed, capture
from local.console.listen import PortTaken
from local.emulator import EmulatorMissing
from local.functions import FunctionFailed
from local.watch import once, stay

_INTERRUPTED: Final = 130  # as a shell reports Ctrl-C


def run(options: argparse.Namespace) -> int:
    """Does what the options say; answers the exit code."""
    out, errors = Console(), Console(stderr=True)
    if not out.is_terminal:
        out.width = 200  # piped: nothing is to be cut
    work = {"capture": capture, "once": once, "stay": stay}[options.run]
    try:
        return asyncio.run(work(options, out))
    except EmulatorMissing as error:
        problem = f"Google's Pub/Sub emulator is missing: {error}"
    except (FunctionFailed, PortTaken, CaptureFailed) as error:
        problem = str(error)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return _INTERRUPTED  # stopped before all had arrived
    errors.print(problem, style="red", markup=False, highlight=False, soft_wrap=True)
    return 1
