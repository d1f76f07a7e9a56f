"""The options of `completion`. No heavy import here: `--help` answers at once."""

from __future__ import annotations

import argparse
from typing import Final

from pendo_aep.cli.help import Formatter, epilog

_ABOUT: Final = """\
Prints a script for your shell. It makes `pendo-aep` short for this very `python -m pendo_aep`, from
whatever folder, and lets Tab complete its commands, their options and what those can be.
"""


def add_completion(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], whole: argparse.ArgumentParser
) -> None:
    """Adds the command to those of `python -m pendo_aep`, which `whole` reads."""
    command = commands.add_parser(
        "completion",
        help="let Tab complete all this in bash, zsh or tcsh",
        description=_ABOUT,
        epilog=epilog(
            ('eval "$(python -m pendo_aep completion bash)"', "in ~/.bashrc"),
            ('eval "$(python -m pendo_aep completion zsh)"', "in ~/.zshrc, after compinit"),
            ("python -m pendo_aep completion tcsh > ~/.pendo-aep.tcsh", "then source that"),
        ),
        formatter_class=Formatter,
    )
    command.set_defaults(module="pendo_aep.cli.completion", prog=command.prog, whole_parser=whole)
    command.add_argument("shell", choices=["bash", "zsh", "tcsh"])
