"""`python -m local`: runs the whole pipeline on this machine, with a console in the browser.

Only the options are parsed here: what the pipeline needs takes ten times as long to load as the
help, so `main` imports it once it is known what to run.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pendo_aep.cli.help import Formatter, epilog

CONSOLE_PORT: Final = 8400
WEBHOOK_PORT: Final = 8401
# Where functions that people start themselves find Pub/Sub and AEP: known before they start.
PUBSUB_PORT: Final = 8085
AEP_PORT: Final = 8086

_HIGHEST_PORT: Final = 65_535
_INTERRUPTED: Final = 130  # as a shell reports Ctrl-C
_PROG: Final = "python -m local"
_ABOUT: Final = """\
Runs receive, Pub/Sub, deliver and an AEP stand-in with a data lake on this machine. Signs and posts
every sample in sample_events/, shows what became of each, and keeps running until Ctrl-C with a
console in the browser. The console shows incoming webhooks, the state of each event and what AEP
received and stored; it lets you send events, inject failures and replay dead letters. It prints the
file with which pendo-aep works on it from another terminal.

Everything listens on 127.0.0.1 only, needs no account, and is forgotten at the end.
"""
_CAPTURE: Final = """\
Saves a webhook that a running console has recorded, for example from Pendo through a tunnel, as a
sample. Its structure, keys, kinds of values and small numbers are kept; IDs, names, addresses and
texts are replaced with made-up values of the same kind. Review the file before you share it.
"""
_BREAK: Final = """\
Injects a failure into a running pipeline, as its console does, until it is ended. The first six
happen after AEP has accepted an event: its status code says nothing of them.
"""
# The kinds of `local.console.fault_injection`, which takes long to import; a test compares them.
FAULTS: Final = {
    "mapping": "the mapping of a required field fails",
    "schema": "the schema requires a field that no event has",
    "lost": "events are lost without a word (--share)",
    "duplicated": "events are stored twice (--share)",
    "late": "events are stored later (--seconds)",
    "diagnostics_off": "AEP keeps no reasons of failures",
    "throttle": "AEP throttles, 429 (--share)",
    "fail": "AEP fails, 503 (--share)",
    "partial": "AEP refuses events inside its 207 (--share)",
    "slow": "AEP is slow (--seconds)",
    "down": "AEP is down",
    "token": "AEP requires a token",
    "token_down": "the token endpoint is down",
    "pubsub_down": "Pub/Sub accepts no messages",
}
_EXIT_CODES: Final = (
    "Exit codes: 0 every sample ended as expected, 1 failure, 2 usage error, 130 interrupted "
    "before the result was known. Otherwise Ctrl-C ends it normally."
)
# Options that exclude each other, and why.
_EXCLUSIVE: Final = (
    ("once", "receive_url", "--once sends the samples through its own functions"),
    ("once", "no_samples", "--once would have nothing to do"),
    ("emulator", "receive_url", "the emulator chooses its own port"),
    ("emulator", "no_samples", "there is no console, so nothing would be shown"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options = parse(arguments)
    from rich.console import Console

    from local.console.break_command import BreakFailed, break_pipeline
    from local.console.capture import CaptureFailed, capture
    from local.console.security import PortTaken
    from local.emulator import EmulatorMissing
    from local.functions import FunctionFailed
    from local.terminal import run_once, run_until_interrupted

    out, errors = Console(), Console(stderr=True)
    if not out.is_terminal:
        out.width = 200  # piped: nothing may be cut off
    work = {
        "break": break_pipeline,
        "capture": capture,
        "once": run_once,
        "stay": run_until_interrupted,
    }[options.run]
    try:
        return asyncio.run(work(options, out))
    except EmulatorMissing as error:
        problem = f"Google's Pub/Sub emulator is missing: {error}"
    except (FunctionFailed, PortTaken, BreakFailed, CaptureFailed) as error:
        problem = str(error)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return _INTERRUPTED  # stopped before every sample had arrived
    errors.print(problem, style="red", markup=False, highlight=False, soft_wrap=True)
    return 1


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the options; `run` is what to do: `stay`, `once`, `break` or `capture`."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.run == "break" and not (options.fault or options.mend):
        parser.error("break: say which failure, or --mend to end every one")
    if options.run:
        return options
    options.run = "once" if options.once else "stay"
    for one, other, why in _EXCLUSIVE:
        if getattr(options, one) and getattr(options, other):
            names = (f"--{name.replace('_', '-')}" for name in (one, other))
            parser.error(f"{' and '.join(names)} cannot be combined: {why}")
    if options.deliver_url and not options.receive_url:
        parser.error("--deliver-url requires --receive-url")
    options.any_port, options.any_webhook_port = options.port is None, options.webhook_port is None
    options.port = CONSOLE_PORT if options.any_port else options.port
    options.webhook_port = WEBHOOK_PORT if options.any_webhook_port else options.webhook_port
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROG,
        usage=f"{_PROG} [OPTIONS]\n       {_PROG} break FAULT [OPTIONS]\n"
        f"       {_PROG} capture NAME [OPTIONS]",
        description=_ABOUT,
        epilog=epilog(
            (_PROG, "watch the samples arrive, then try the console in the browser"),
            (f"{_PROG} --once", "only check that everything works"),
            (
                "PENDO_WEBHOOK_SECRETS=... python -m local --no-samples",
                "receive real webhooks, through a tunnel to the address it prints",
            ),
            (f"{_PROG} break lost --share 0.1", "let AEP lose one event in ten, in a running one"),
            (f"{_PROG} capture poll_submitted_real --event poll.submitted", "save one of them"),
            exit_codes=_EXIT_CODES,
        ),
        formatter_class=Formatter,
    )
    parser.set_defaults(run="")
    parser.add_argument(
        "--once",
        action="store_true",
        help="exit after the samples, without a console; 0 only if every one ended as expected",
    )
    parser.add_argument(
        "--emulator",
        action="store_true",
        help="use Google's Pub/Sub emulator (requires gcloud and Java) instead of the server in "
        "this process; it cannot be observed, so there is no console",
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
        help=f"port of the console (default: {CONSOLE_PORT}, or any if that is taken)",
    )
    parser.add_argument(
        "--webhook-port",
        type=_port,
        metavar="PORT",
        help="port where webhooks are recorded and forwarded to receive; point a tunnel at it "
        f"(default: {WEBHOOK_PORT}, or any if that is taken)",
    )
    parser.add_argument(
        "--no-samples", action="store_true", help="do not send the samples at the start"
    )
    external = parser.add_argument_group("functions that you start yourself")
    external.add_argument(
        "--receive-url",
        metavar="URL",
        type=_url,
        help="use this receive; the settings to start it with are printed",
    )
    external.add_argument(
        "--deliver-url",
        metavar="URL",
        type=_url,
        help="also use this deliver; otherwise one is started",
    )
    external.add_argument(
        "--pubsub-port",
        type=_port,
        metavar="PORT",
        default=PUBSUB_PORT,
        help="port of Pub/Sub for them (default: %(default)s)",
    )
    external.add_argument(
        "--aep-port",
        type=_port,
        metavar="PORT",
        default=AEP_PORT,
        help="port of the AEP stand-in for them (default: %(default)s)",
    )
    commands = parser.add_subparsers(
        title="while another one is running", metavar="COMMAND", prog=_PROG
    )
    for command in (_add_break(commands), _add_capture(commands)):
        command.add_argument(
            "--console",
            metavar="URL",
            type=_url,
            default=f"http://127.0.0.1:{CONSOLE_PORT}/",
            help="URL of the running console (default: %(default)s)",
        )
    return parser


def _add_break(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
) -> argparse.ArgumentParser:
    command = commands.add_parser(
        "break",
        help="inject a failure, or end it",
        description=_BREAK,
        epilog=epilog(
            (f"{_PROG} break schema", "every event fails after AEP has accepted it"),
            (f"{_PROG} break lost --share 0.1", "one event in ten is never stored"),
            (f"{_PROG} break schema --mend", "end it"),
            (f"{_PROG} break --mend", "end every failure"),
            exit_codes="Exit codes: 0 done, 1 failure, 2 usage error, 130 interrupted (Ctrl-C).",
        ),
        formatter_class=Formatter,
    )
    command.set_defaults(run="break")
    command.add_argument(
        "fault",
        metavar="FAULT",
        nargs="?",
        choices=FAULTS,
        help="; ".join(f"{name}: {text}" for name, text in FAULTS.items()),
    )
    command.add_argument("--mend", action="store_true", help="end it; without FAULT, every one")
    command.add_argument(
        "--share",
        type=_share,
        metavar="SHARE",
        help="of the events or requests, up to 1 (default: 1)",
    )
    command.add_argument(
        "--seconds",
        type=_seconds,
        metavar="SECONDS",
        help="how slow or how late, up to 120 (default: 2)",
    )
    return command


def _add_capture(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
) -> argparse.ArgumentParser:
    command = commands.add_parser(
        "capture",
        help="save a webhook as a sample, with personal data redacted",
        description=_CAPTURE,
        epilog=epilog(
            (f"{_PROG} capture poll_submitted_real --event poll.submitted", "the newest of a type"),
            (f"{_PROG} capture odd_one --event 52097640da45 --folder /tmp", "one by its ID"),
            exit_codes="Exit codes: 0 saved, 1 failure, 2 usage error, 130 interrupted (Ctrl-C).",
        ),
        formatter_class=Formatter,
    )
    command.set_defaults(run="capture")
    command.add_argument("name", metavar="NAME", help="name of the sample: poll_submitted_real")
    command.add_argument(
        "--event",
        default="",
        metavar="TYPE_OR_ID",
        help="the newest of this type (poll.submitted), or the one with this ID, as the console "
        "shows it (default: the newest of all)",
    )
    command.add_argument(
        "--folder", type=Path, metavar="FOLDER", help="where to save it (default: sample_events/)"
    )
    return command


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) <= _HIGHEST_PORT):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a port: use 0 to {_HIGHEST_PORT}, 0 for any free port"
        )
    return int(text)


def _share(text: str) -> float:
    return _number(text, 1, "a share")


def _seconds(text: str) -> float:
    return _number(text, 120, "a number of seconds")


def _number(text: str, most: float, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what} above 0, up to {most:g}")
    return number


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r} is not a URL like http://127.0.0.1:8080")
    return text


if __name__ == "__main__":
    sys.exit(main())
