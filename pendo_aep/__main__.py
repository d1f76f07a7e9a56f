"""`python -m pendo_aep COMMAND`: what people run around the functions."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from pendo_aep.commands.aep_options import add_aep
from pendo_aep.commands.options import add_dead_letters

_INTERRUPTED = 130  # as a shell reports Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command, and answers its exit code."""
    options = _parser().parse_args(arguments)
    try:
        # Only now: a command loads Google's clients and `rich`, which takes longer than its help.
        code: int = import_module(options.module).run(options)
        sys.stdout.flush()
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != "rich":
            raise
        sys.stderr.write(f"{options.prog}: rich is missing: pip install -e '.[ops]'\n")
        return 1
    except BrokenPipeError:
        # Whoever read has seen enough, as `head` has; at exit Python would try to flush once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"{options.prog}: interrupted\n")
        return _INTERRUPTED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pendo_aep",
        description="Tools around the functions that carry Pendo's webhooks into AEP. "
        "Each command has --help.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_aep(commands)
    add_dead_letters(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
