"""What the commands share: how they run, how they end, and what they show on a terminal."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, TypeAlias, TypeVar

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

T = TypeVar("T")
ShowProgress: TypeAlias = Callable[[str], None]


class CommandFailed(Exception):
    """The command cannot go on; the text tells the person who called it what to do."""


def run_interruptibly(work: Coroutine[Any, Any, T]) -> T:
    """Returns the result of the work. Ctrl-C and SIGTERM cancel it, so that it can clean up.

    Raises:
        KeyboardInterrupt: somebody stopped it.
    """

    async def main() -> T:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (asyncio.run makes one)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:  # SIGTERM
        raise KeyboardInterrupt from None


@contextmanager
def progress(file: TextIO) -> Iterator[ShowProgress]:
    """Yields a function that shows its text, and how long it takes, on a terminal only."""
    console = Console(file=file)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    # Pub/Sub does not say how many messages there are, so a bar would have no end.
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as shown:
        task = shown.add_task("connecting")
        yield lambda text: shown.update(task, description=text)


def complain(options: argparse.Namespace, problem: str) -> None:
    """Says on standard error what is wrong, each line with the name of the command."""
    for line in problem.splitlines():
        sys.stderr.write(f"{options.prog}: {printable(line)}\n")


def printable(text: str) -> str:
    """Returns the text with everything escaped that a terminal would obey."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def printable_lines(text: str) -> str:
    """Returns the same of a text whose line breaks are our own."""
    return "\n".join(map(printable, text.split("\n")))
