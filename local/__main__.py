"""`python -m local`: the whole pipeline on this machine, and a console to watch and break it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from local.options import parse


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; answers its exit code."""
    options = parse(arguments)
    # Only now: all that the pipeline needs takes ten times as long to load as its help.
    from local.command import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
