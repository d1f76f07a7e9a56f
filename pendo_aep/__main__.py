"""The command `pendo-aep`; `python -m pendo_aep` is the same."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from pendo_aep.cli.options import build_parser

_INTERRUPTED = 130  # as a shell reports Ctrl-C
# The extra of pyproject.toml, which the functions do not need: modules, and what to install.
_OPS = {"psycopg": "'psycopg[binary]'", "rich": "rich", "shtab": "shtab"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    options = build_parser().parse_args(arguments)
    try:
        # Only now: a command loads gRPC, pydantic and `rich`, which takes longer than its help.
        code: int = import_module(options.module).run(options)
        sys.stdout.flush()
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package not in _OPS:
            raise
        sys.stderr.write(
            f"{options.prog}: {package} is not installed: pip install {_OPS[package]}, "
            "or in a checkout pip install -e '.[ops]'\n"
        )
        return 1
    except BrokenPipeError:
        # The reader has seen enough, as `head` has; at exit Python would try to flush once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"{options.prog}: interrupted\n")
        return _INTERRUPTED
    return code


if __name__ == "__main__":
    sys.exit(main())
