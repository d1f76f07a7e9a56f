"""What the help of every command shares. No heavy import here: `--help` answers at once."""

from __future__ import annotations

import argparse
import textwrap
from typing import Final

EXIT_CODES: Final = "Exit code: 0 success, 1 not so, 2 wrong usage, 130 interrupted (Ctrl-C)."
_INDENTS: Final = 4  # argparse's: two for a group, two for a command in it


class Formatter(argparse.HelpFormatter):
    """Fills paragraphs to the width of the terminal, and leaves indented lines as they are."""

    def add_argument(self, action: argparse.Action) -> None:
        """Makes room for what argparse forgets: that it indents the names of commands."""
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 (it has no other name)
            longest = max(map(len, action.choices)) + _INDENTS
            self._action_max_length = max(self._action_max_length, longest)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = (
            paragraph if "\n " in f"\n{paragraph}" else textwrap.fill(paragraph, width)
            for paragraph in text.strip().split("\n\n")
        )
        return textwrap.indent("\n\n".join(paragraphs), indent)


def epilog(*examples: tuple[str, str], exit_codes: str = EXIT_CODES) -> str:
    """Examples, each a command under what it is for, and the exit codes."""
    told = "\n\n".join(f"  # {purpose}\n  {command}" for command, purpose in examples)
    return f"Examples:\n\n{told}\n\n{exit_codes}"
