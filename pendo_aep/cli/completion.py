"""`completion`: prints a script that makes a shell complete these commands on Tab."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import shtab

from pendo_aep.cli.options import NAME


def run(options: argparse.Namespace) -> int:
    """Prints the script and returns 0."""
    parser: argparse.ArgumentParser = options.whole_parser
    for action in _actions(parser):
        if action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # how shtab is told
    script = shtab.complete(
        parser,
        options.shell,
        root_prefix=NAME.replace("-", "_"),
        preamble=_define_command(options.shell),
    )
    sys.stdout.write(script + "\n")
    return 0


def _define_command(shell: str) -> str:
    """Defines the name for this Python: a virtual environment may not be on the PATH."""
    command = f"{shlex.quote(sys.executable)} -m pendo_aep"
    if shell == "tcsh":
        return f"alias {NAME} {shlex.quote(command)}"
    return f'{NAME}() {{ {command} "$@"; }}'


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001 (argparse has no way to list them)
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 (the same)
            for inner in action.choices.values():
                yield from _actions(inner)
