"""The options of `doctor`. No heavy import here: `--help` answers at once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from pendo_aep.cli.help import EXIT_CODES, Formatter, epilog

_ABOUT = """\
Looks at a deployment from outside: its functions and their settings, topics, subscriptions, rights
and secrets; sends receive pings, signed, unsigned and wrongly signed; then sends one made-up event
(visitor pendo-to-aep-test), which STAYS IN AEP, and follows it there in the log. For whatever is
not as it should be, it says the command that mends it. It changes nothing itself.

It runs gcloud with your login. roles/viewer and roles/iam.securityReviewer on the project, and
roles/secretmanager.secretAccessor on the webhook's secret let it see everything; what it may not
see is unknown, and not well.

With --receive-url it only knocks at receive there, without gcloud, and reads from the environment,
as receive has them:

  PENDO_WEBHOOK_SECRETS (or PENDO_WEBHOOK_SECRETS_FILE)
  PENDO_ALLOW_UNSIGNED
  PENDO_EVENTS
"""
_LONGEST_WAIT: Final = 3600.0
_PROG: Final = "python -m pendo_aep doctor"


def add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command to those of `python -m pendo_aep`."""
    command = commands.add_parser(
        "doctor",
        help="find out what is wrong with a deployment, and what mends it",
        description=_ABOUT,
        epilog=epilog(
            (f"{_PROG} --config my.env", "the deployment that my.env describes"),
            (f"{_PROG} --config my.env --no-test-event", "the same, and nothing reaches AEP"),
            (f"{_PROG} --receive-url http://127.0.0.1:8080", "a receive on this machine"),
            exit_codes=EXIT_CODES.replace("0 success", "0 all is well"),
        ),
        formatter_class=Formatter,
    )
    command.set_defaults(module="pendo_aep.cli.doctor", prog=command.prog)
    where = command.add_mutually_exclusive_group()
    where.add_argument(
        "--config",
        type=Path,
        default=Path("deploy/config.env"),
        metavar="FILE",
        help="what deploy/deploy.sh was given (default: %(default)s)",
    )
    where.add_argument("--receive-url", metavar="URL", help="only receive, at this address")
    command.add_argument("--project", help="another project than the file's")
    command.add_argument("--region", help="another region than the file's")
    command.add_argument("--no-test-event", action="store_true", help="send no event, only pings")
    command.add_argument(
        "--wait",
        type=_seconds,
        default=120.0,
        metavar="SECONDS",
        help="how long to look for the test event; more where drain is called seldom "
        "(default: %(default).0f)",
    )
    command.add_argument("--json", action="store_true", help="JSON Lines: one object a line")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = float("nan")
    if not 0 <= seconds <= _LONGEST_WAIT:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {_LONGEST_WAIT:.0f}")
    return seconds
