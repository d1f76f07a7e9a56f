"""The options of `python -m local`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pendo_aep.cli.help import Formatter, epilog

CONSOLE_PORT: Final = 8400
WEBHOOK_PORT: Final = 8401
# Where functions that somebody starts themselves find Pub/Sub and AEP: known before they start.
PUBSUB_PORT: Final = 8085
AEP_PORT: Final = 8086

_HIGHEST_PORT: Final = 65_535
_PROG: Final = "python -m local"
_ABOUT: Final = """\
Runs receive, Pub/Sub, deliver and an AEP stand-in on this machine, signs and posts every event of
sample_events/, shows what became of each, and stays until Ctrl-C with a console in the browser:
what comes, where each event is, what AEP got, and hands to send, break and replay.

All of it listens on 127.0.0.1 only, needs no account, and forgets everything at the end.
"""
_CAPTURE: Final = """\
Saves a webhook that a running console has seen, through a tunnel from Pendo perhaps, as a sample.
Its shape, keys, kinds of values and small numbers stay; ids, names, addresses and texts become
made-up ones of the same kind. Look the file over before you share it.
"""
_EXIT_CODES: Final = (
    "Exit code: 0 every sample ended as expected, 1 not so, 2 wrong usage, 130 interrupted before "
    "that was known. Ctrl-C is how it ends otherwise."
)
# Options that make no sense together, and why.
_TOGETHER: Final = (
    ("once", "receive_url", "--once sends the samples through functions of its own"),
    ("once", "no_samples", "--once would have nothing to do"),
    ("emulator", "receive_url", "the emulator chooses its port itself"),
    ("emulator", "no_samples", "without a console there would be nothing to see"),
)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options; `run` says what is wanted: `stay`, `once` or `capture`."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.run == "capture":
        return options
    options.run = "once" if options.once else "stay"
    for one, other, why in _TOGETHER:
        if getattr(options, one) and getattr(options, other):
            names = (f"--{name.replace('_', '-')}" for name in (one, other))
            parser.error(f"{' and '.join(names)} do not go together: {why}")
    if options.deliver_url and not options.receive_url:
        parser.error("--deliver-url needs --receive-url, too")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROG,
        usage=f"{_PROG} [OPTIONS]\n       {_PROG} capture NAME [OPTIONS]",
        description=_ABOUT,
        epilog=epilog(
            (_PROG, "watch the samples arrive, then play with it in the browser"),
            (f"{_PROG} --once", "only say whether everything works"),
            (
                "PENDO_WEBHOOK_SECRETS=... python -m local --no-samples",
                "take real webhooks, by a tunnel to the address it prints",
            ),
            (f"{_PROG} capture poll_submitted_real --event poll.submitted", "save one of them"),
            exit_codes=_EXIT_CODES,
        ),
        formatter_class=Formatter,
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
        type=_port,
        metavar="PORT",
        help=f"where the console listens (default: {CONSOLE_PORT}, or any if that is taken)",
    )
    parser.add_argument(
        "--webhook-port",
        type=_port,
        metavar="PORT",
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
        type=_url,
        help="use this receive; what to start it with is printed",
    )
    yours.add_argument(
        "--deliver-url",
        metavar="URL",
        type=_url,
        help="use this deliver too; without it, ours is started",
    )
    yours.add_argument(
        "--pubsub-port",
        type=_port,
        metavar="PORT",
        default=PUBSUB_PORT,
        help="where Pub/Sub listens for them (default: %(default)s)",
    )
    yours.add_argument(
        "--aep-port",
        type=_port,
        metavar="PORT",
        default=AEP_PORT,
        help="where the AEP stand-in does (default: %(default)s)",
    )
    _add_capture(parser)
    return parser


def _add_capture(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="beside a running one", metavar="COMMAND", prog=_PROG)
    command = commands.add_parser(
        "capture",
        help="save a webhook as a sample, personal data redacted",
        description=_CAPTURE,
        epilog=epilog(
            (f"{_PROG} capture poll_submitted_real --event poll.submitted", "the newest of a type"),
            (f"{_PROG} capture odd_one --event 52097640da45 --folder /tmp", "one by its id"),
            exit_codes="Exit code: 0 saved, 1 not so, 2 wrong usage, 130 interrupted (Ctrl-C).",
        ),
        formatter_class=Formatter,
    )
    command.set_defaults(run="capture")
    command.add_argument("name", metavar="NAME", help="of the sample: poll_submitted_real")
    command.add_argument(
        "--event",
        default="",
        metavar="TYPE_OR_ID",
        help="the newest of this type (poll.submitted), or the one with this id, as the console "
        "shows it (default: the newest of all)",
    )
    command.add_argument(
        "--console",
        metavar="URL",
        type=_url,
        default=f"http://127.0.0.1:{CONSOLE_PORT}/",
        help="of the running console (default: %(default)s)",
    )
    command.add_argument(
        "--folder", type=Path, metavar="FOLDER", help="where to save it (default: sample_events/)"
    )


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) <= _HIGHEST_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to {_HIGHEST_PORT}, 0 for any")
    return int(text)


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r} is no URL: http://127.0.0.1:8080")
    return text
