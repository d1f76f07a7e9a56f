"""`python -m local`: the whole pipeline on this machine, and a console to watch and break it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from rich.console import Console

from local.console.capture import CaptureFailed, capture
from local.console.listen import PortTaken
from local.emulator import EmulatorMissing
from local.functions import FunctionFailed
from local.options import parse
from local.watch import once, stay


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; answers its exit code."""
    options = parse(arguments)
    console = Console()
    if not console.is_terminal:
        console.width = 200  # piped: nothing is to be cut
    run = {"capture": capture, "once": once, "stay": stay}[options.run]
    try:
        return asyncio.run(run(options, console))
    except EmulatorMissing as error:
        console.print(f"Google's Pub/Sub emulator is missing: {error}", style="red")
    except (FunctionFailed, PortTaken, CaptureFailed) as error:
        console.print(str(error), style="red", markup=False, highlight=False)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130  # stopped before all had arrived
    return 1


if __name__ == "__main__":
    sys.exit(main())
