"""The options of `dead-letters`. No heavy import here: `--help` answers at once."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import datetime
from typing import Any

from pendo_aep import clock
from pendo_aep.cli.help import EXIT_CODES, Formatter, epilog
from pendo_aep.cli.letters import parse_time
from pendo_aep.dead_letters import Reason

_PROG = "python -m pendo_aep dead-letters"
_ABOUT = """\
Dead letters are the messages that could not go on: webhooks that receive could not read, and events
that AEP refused for good. They lie, with a reason, in the subscription of the dead-letter topic.

Settings, from the environment as the functions have them:
  GOOGLE_CLOUD_PROJECT   required
  DEAD_LETTER_TOPIC      where the letters are (default: pendo-events-dead)
  PUBSUB_TOPIC           where replayed events go (default: pendo-events)
  REDACT                 what a webhook that is read again loses
  PUBSUB_EMULATOR_HOST   an emulator instead of Google
"""
_LIST = """\
Lists the letters, newest first, with nothing of what the events hold but what AEP said of them.
Reading changes nothing: every letter is given back at once, also on Ctrl-C."""
_SHOW = """\
Shows all of one letter: its attributes, and the original bytes. That is PERSONAL DATA, in your
terminal and in wherever you pipe it."""
_REPLAY = """\
Sends letters back through the front: webhooks are read again by the code of today, events that AEP
refused are published again. Mend what was wrong first. A letter is gone once its event is stored
on PUBSUB_TOPIC; all others stay. It may be interrupted at any moment and run again: at worst an
event comes twice, with the same id."""


def add_dead_letters(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command to those of `python -m pendo_aep`."""
    command = commands.add_parser(
        "dead-letters",
        help="list, show or replay what could not go on",
        description=_ABOUT,
        epilog=epilog(
            (f"{_PROG} list --since 2h", "look first"),
            (f"{_PROG} show ID", "at one of them, whole"),
            (f"{_PROG} replay --dry-run", "then see what a replay would do"),
            (f"{_PROG} replay", "and once the cause is mended, do it"),
        ),
        formatter_class=Formatter,
    )
    command.set_defaults(module="pendo_aep.cli.dead_letters")
    actions = command.add_subparsers(
        title="actions", dest="action", required=True, metavar="ACTION"
    )

    listing = _action(
        actions,
        "list",
        "a table of them, and the counts by reason",
        _LIST,
        epilog(
            (f"{_PROG} list --reason rejected --since 1d", "what AEP refused since yesterday"),
            (f"{_PROG} list --json | jq -r .eventId", "their ids"),
        ),
    )
    _add_filter(listing)
    listing.add_argument(
        "--json", action="store_true", help="JSON Lines: one object a letter, one letter a line"
    )

    show = _action(
        actions,
        "show",
        "all of one letter, personal data included",
        _SHOW,
        epilog(
            (f"{_PROG} show ID", "an id as in the list"),
            (f"{_PROG} show ID --json | jq -r .data | base64 -d", "the exact bytes"),
        ),
    )
    show.add_argument("id", metavar="ID", help="event id, as in the list, or message id")
    show.add_argument(
        "--json", action="store_true", help="one JSON object a line; the data in base64"
    )
    show.set_defaults(reason=[], type=[], since=None, until=None)

    replay = _action(
        actions,
        "replay",
        "send them through the pipeline again",
        _REPLAY,
        epilog(
            (f"{_PROG} replay --dry-run", "what would happen; changes nothing"),
            (f"{_PROG} replay --reason rejected --type nps.submitted", "only these"),
            exit_codes=EXIT_CODES.replace("0 success", "0 all that matched went back"),
        ),
    )
    _add_filter(replay)
    replay.add_argument(
        "--dry-run", action="store_true", help="only say what would happen; nothing changes"
    )
    replay.add_argument("--json", action="store_true", help="the summary as one JSON object")


def _action(
    actions: Any, name: str, help_: str, about: str, examples: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name,
        help=help_,
        description=about,
        epilog=examples,
        formatter_class=Formatter,
    )
    parser.set_defaults(prog=parser.prog)
    parser.add_argument(
        "--subscription",
        metavar="NAME",
        help="where the letters are kept (default: the only pull subscription of the topic)",
    )
    parser.add_argument(
        "--wait",
        type=_number(float, 0.1, 60),
        default=3.0,
        metavar="SECONDS",
        help="no letter for so long means that there are no more; give more on a slow line "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--hold",
        type=_number(int, 1, 1_000_000),
        default=100_000,
        metavar="N",
        help="hold at most so many letters at a time, in memory too (default: %(default)s)",
    )
    return parser


def _add_filter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--reason",
        action="append",
        default=[],
        choices=[str(reason) for reason in Reason],
        metavar="REASON",
        help=f"only letters with this reason ({', '.join(Reason)}); may be given several times",
    )
    parser.add_argument(
        "--type",
        action="append",
        default=[],
        metavar="TYPE",
        help="only events of this type, such as guide.displayed; may be given several times. "
        "A webhook that could not be read has no type",
    )
    parser.add_argument(
        "--since",
        type=_time,
        metavar="TIME",
        help="failed then or later: 2026-01-31T09:30:00Z, or an age: 90s, 30m, 2h, 3d, 1w",
    )
    parser.add_argument("--until", type=_time, metavar="TIME", help="failed before then; the same")


def _time(text: str) -> datetime:
    try:
        return parse_time(text, clock.now())
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _number(kind: Callable[[str], float], least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            number = float("nan")
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} to {most}")
        return number

    return parse
