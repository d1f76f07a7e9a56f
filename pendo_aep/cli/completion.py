"""`completion`: what the shell must know of these commands, as a script for it."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import shtab

# A shell completes by the first word of a line, and `python` says nothing.
_NAME: Final = "pendo-aep"


def run(options: argparse.Namespace) -> int:
    """Prints the script; answers 0."""
    parser: argparse.ArgumentParser = options.whole_parser
    for action in _actions(parser):
        if action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab's way to be told
    parser.prog = _NAME
    script = shtab.complete(
        parser,
        options.shell,
        root_prefix=_NAME.replace("-", "_"),
        preamble=_short_name(options.shell),
    )
    sys.stdout.write(script + "\n")
    return 0


def _short_name(shell: str) -> str:
    """The name, for this Python and this module."""
    command = f"{shlex.quote(sys.executable)} -m pendo_aep"
    if shell == "tcsh":
        return f"alias {_NAME} {shlex.quote(command)}"
    return f'{_NAME}() {{ {command} "$@"; }}'


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001 (argparse has no way to list them)
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 (the same)
            for inner in action.choices.values():
                yield from _actions(inner)
