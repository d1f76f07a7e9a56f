"""`python -m pendo_aep COMMAND`: what people run around the functions."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from pendo_aep.cli.aep_options import add_aep
from pendo_aep.cli.completion_options import add_completion
from pendo_aep.cli.doctor_options import add_doctor
from pendo_aep.cli.help import Formatter, epilog
from pendo_aep.cli.options import add_dead_letters

_INTERRUPTED = 130  # as a shell reports Ctrl-C
_OPS = ("rich", "shtab")  # of pyproject.toml: the functions do not need them
_ABOUT = """\
What people run around the functions that carry Pendo's webhooks into Adobe Experience Platform.
Each command, and each of its actions, has --help.

Without any account, see the whole pipeline at work on this machine first: python -m local
"""
_OUTPUT = """

On a terminal there are colours (unless NO_COLOR is set) and progress; in a pipe it is plain text,
and with --json one JSON object a line. Results go to stdout, everything else to stderr."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command, and answers its exit code."""
    options = _parser().parse_args(arguments)
    try:
        # Only now: a command loads Google's clients and `rich`, which takes longer than its help.
        code: int = import_module(options.module).run(options)
        sys.stdout.flush()
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package not in _OPS:
            raise
        sys.stderr.write(f"{options.prog}: {package} is missing: pip install -e '.[ops]'\n")
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
        description=_ABOUT,
        epilog=epilog(
            ("python -m pendo_aep aep plan", "what would be made in AEP; changes nothing"),
            ("python -m pendo_aep aep apply --test-event", "make it, and send one event"),
            ("python -m pendo_aep doctor", "is the deployment well, and what mends it"),
            ("python -m pendo_aep dead-letters list", "what could not go on, and why"),
        )
        + _OUTPUT,
        formatter_class=Formatter,
    )
    commands = parser.add_subparsers(
        title="commands, in the order in which you need them", required=True, metavar="COMMAND"
    )
    add_aep(commands)
    add_doctor(commands)
    add_dead_letters(commands)
    add_completion(commands, parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
