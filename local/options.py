"""The options of `python -m local`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

CONSOLE_PORT: Final = 8400
WEBHOOK_PORT: Final = 8401
# Where functions that somebody starts themselves find Pub/Sub and AEP: known before they start.
PUBSUB_PORT: Final = 8085
AEP_PORT: Final = 8086

_ABOUT: Final = """\
Runs receive, Pub/Sub, deliver and an AEP stand-in on this machine, signs and posts every event of
sample_events/, shows what became of each, and stays until Ctrl-C with a console in the browser.

`python -m local capture` saves a webhook that a running console has seen as a sample, without the
personal data in it.
"""
_CAPTURE: Final = """\
Saves a webhook that the console has seen, by a tunnel from Pendo perhaps, as a sample: its shape,
keys, kinds of values and numbers stay; ids, names, addresses and texts become made-up ones of the
same kind. Look the file over before you share it.
"""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options; `run` says what is wanted: `stay`, `once` or `capture`."""
    options = _parser().parse_args(arguments)
    if options.run != "capture":
        options.run = "once" if options.once else "stay"
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run="")
    parser.add_argument(
        "--once",
        action="store_true",
        help="end after the samples, without a console; exit 0 only if every one ended as expected",
    )
    parser.add_argument(
        "--emulator",
        action="store_true",
        help="use Google's Pub/Sub emulator (gcloud and Java) instead of the one in this process; "
        "nobody sees into it, so there is no console",
    )
    parser.add_argument(
        "--format",
        choices=["raw", "xdm"],
        default="raw",
        help="what deliver sends: the normalised event, or XDM (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=int,
        help=f"where the console listens (default: {CONSOLE_PORT}, or any if that is taken)",
    )
    parser.add_argument(
        "--webhook-port",
        type=int,
        help="where webhooks are taken, recorded and passed on to receive; what a tunnel is "
        f"pointed at (default: {WEBHOOK_PORT}, or any if that is taken)",
    )
    parser.add_argument(
        "--no-samples", action="store_true", help="do not send the samples at the start"
    )
    yours = parser.add_argument_group("functions that you start yourself")
    yours.add_argument(
        "--receive-url",
        metavar="URL",
        help="use this receive; what to start it with is printed",
    )
    yours.add_argument(
        "--deliver-url",
        metavar="URL",
        help="use this deliver too; without it, ours is started",
    )
    yours.add_argument("--pubsub-port", type=int, default=PUBSUB_PORT, help="default: %(default)s")
    yours.add_argument("--aep-port", type=int, default=AEP_PORT, help="default: %(default)s")
    _add_capture(parser)
    return parser


def _add_capture(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="capture")
    command = commands.add_parser(
        "capture",
        help="save a webhook as a sample, personal data redacted",
        description=_CAPTURE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run="capture")
    command.add_argument("name", metavar="NAME", help="of the sample: poll_submitted_real")
    command.add_argument(
        "--event",
        default="",
        help="the newest of this type (poll.submitted), or the one with this id; "
        "default: the newest of all",
    )
    command.add_argument(
        "--console",
        metavar="URL",
        default=f"http://127.0.0.1:{CONSOLE_PORT}/",
        help="of the running console (default: %(default)s)",
    )
    command.add_argument("--folder", help="where to save it (default: sample_events/)")
