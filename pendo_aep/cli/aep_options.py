"""The options of `aep`. No heavy import here: `--help` answers at once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

from pendo_aep.cli.help import Formatter, epilog

_PROG: Final = "python -m pendo_aep aep"
_ABOUT = """\
Sets Adobe Experience Platform up for Pendo's events, and says what deliver must be told. It makes
an identity namespace, a field group, a schema, a dataset, connections, a mapping set, a dataflow.

Settings, from the environment as deliver has them:
  AEP_CLIENT_ID            required
  AEP_CLIENT_SECRET        required, or AEP_CLIENT_SECRET_FILE
  AEP_IMS_ORG_ID           required
  AEP_SANDBOX              default: prod
  AEP_IDENTITY_NAMESPACE   default: PendoVisitor
  AEP_TENANT_ID            read from AEP; if set, it must be the same
  AEP_SCOPES, AEP_IMS_URL, AEP_PLATFORM_URL   Adobe's
  PUSH_SUBSCRIPTION        default: pendo-events-deliver; for the commands that pause delivery

In AEP, the role of the API credential must include the sandbox, and have: Manage Schemas, Manage
Datasets, Manage Identity Namespaces, Manage Sources and View Sandboxes; for --profile, Manage
Profiles, too.
"""
_PLAN = """\
Shows what apply would do, and changes nothing: + create, ~ change, = as it should be."""
_APPLY = """\
Makes what is missing, changes what must change, leaves the rest alone, and prints what deliver must
be told. May be interrupted at any moment and run again. What is there under the same name but is
something else is an error, before anything is made. So is a mapping that makes other XDM of our
sample events than deliver does. Before it changes a dataflow that is in use, it says how to pause
delivery, and on a terminal asks whether that is done; in the end it says when delivery may go on.
"""
_SHOW = """\
Prints what deliver must be told, as NAME=value lines ready for an env file. Never a secret."""
_DESTROY = """\
Deletes what apply has made under a name, last made first; asks before. A dataset that holds data
stays, and with it its schema, unless --delete-data names it. AEP cannot delete identity namespaces,
nor a schema that is enabled for Profile; and may refuse to delete a mapping set."""
_LONGEST_WAIT: Final = 3600.0


def add_aep(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command to those of `python -m pendo_aep`."""
    command = commands.add_parser(
        "aep",
        help="set Adobe Experience Platform up, look at it, take it down",
        description=_ABOUT,
        epilog=epilog(
            (f"{_PROG} plan", "look first: it changes nothing"),
            (f"{_PROG} apply --test-event", "make it all, and try it with two events"),
            (f"{_PROG} show > deliver.env", "what deliver must be told"),
        ),
        formatter_class=Formatter,
    )
    command.set_defaults(module="pendo_aep.cli.aep")
    actions = command.add_subparsers(
        title="actions", dest="action", required=True, metavar="ACTION"
    )

    plan = _action(
        actions,
        "plan",
        "what apply would do; changes nothing",
        _PLAN,
        epilog(
            (f"{_PROG} plan", "Adobe's Pendo source, events as they are"),
            (f"{_PROG} plan --source http --authenticated", "the HTTP source, with a token"),
            (f"{_PROG} plan --check", "and try the mapping on our sample events"),
        ),
    )
    _add_choices(plan)
    plan.add_argument(
        "--check",
        action="store_true",
        help="also have AEP map our sample events; exit 1 if the XDM is not what deliver makes",
    )

    apply = _action(
        actions,
        "apply",
        "make what is missing",
        _APPLY,
        epilog(
            (f"{_PROG} apply --test-event", "and see what AEP says to two events"),
            (f"{_PROG} apply --file pendo.toml --json", "for a script"),
        ),
    )
    _add_choices(apply)
    apply.add_argument(
        "--wait",
        type=_seconds,
        metavar="SECONDS",
        help="how long to wait after a change, as AEP does not tell when it takes data (default, "
        "from Adobe's documentation: 300 after a change of the dataflow, 900 after new fields)",
    )
    apply.add_argument(
        "--no-wait", action="store_const", const=0.0, dest="wait", help="the same as --wait 0"
    )
    apply.add_argument("--yes", action="store_true", help="do not ask whether delivery is paused")
    apply.add_argument(
        "--no-check",
        action="store_true",
        help="make the mapping set even if AEP maps our samples to other XDM",
    )
    apply.add_argument(
        "--test-event",
        action="store_true",
        help="then send two made-up events as deliver does, and show what AEP says; they stay in "
        "the dataset. Finds the AEP_RAW_MODE that the inlet takes",
    )

    _action(
        actions,
        "show",
        "what deliver must be told",
        _SHOW,
        epilog((f"{_PROG} show > deliver.env", "ready for an env file")),
    )

    destroy = _action(
        actions,
        "destroy",
        "delete what apply has made",
        _DESTROY,
        epilog(
            (f"{_PROG} destroy", "lists it, and asks"),
            (f"{_PROG} destroy --yes --delete-data 'Pendo Events'", "all of it, the data too"),
        ),
    )
    destroy.add_argument("--yes", action="store_true", help="do not ask")
    destroy.add_argument(
        "--delete-data",
        default="",
        metavar="DATASET",
        help="the name of the dataset, if it may go with all that it holds; there is no way back",
    )


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
    # Those of `_add_choices`: every action has them, given or not.
    unset = dict.fromkeys(("source", "format", "authenticated", "profile"))
    parser.set_defaults(prog=parser.prog, **unset)
    parser.add_argument(
        "--name",
        help="of the dataset and the schema; all other names begin with it (default: Pendo Events)",
    )
    parser.add_argument(
        "--file",
        type=Path,
        metavar="TOML",
        help="a file with source, format, authenticated, profile and name; options go before it",
    )
    parser.add_argument("--json", action="store_true", help="JSON Lines: one object a line")
    return parser


def _add_choices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source",
        choices=["pendo", "http"],
        help="Adobe's Pendo source (beta), or its HTTP API source (default: pendo)",
    )
    parser.add_argument(
        "--format",
        choices=["raw", "xdm"],
        help="what deliver sends: events that the dataflow maps, or XDM, which takes --source "
        "http (default: raw)",
    )
    parser.add_argument(
        "--authenticated",
        action="store_true",
        default=None,
        help="the inlet wants a token, as Adobe advises for personal data; takes --source http",
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        default=None,
        help="for Real-Time Customer Profile, too; there is no way back",
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = float("nan")
    if not 0 <= seconds <= _LONGEST_WAIT:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {_LONGEST_WAIT:.0f}")
    return seconds
