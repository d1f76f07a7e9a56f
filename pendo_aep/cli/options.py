"""The options of every command. No heavy import here: `--help` answers at once."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pendo_aep import clock
from pendo_aep.cli import help as texts
from pendo_aep.dead_letters import Reason

NAME: Final = "pendo-aep"
_DISTRIBUTION: Final = "pendo-to-aep"
_LONGEST_WAIT: Final = 3600
_LONGEST_FOLLOW: Final = timedelta(hours=24)
_JSON_LINES: Final = "JSON Lines: one object a line"


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of all commands. What it parses has the `module` that runs it."""
    parser = argparse.ArgumentParser(
        prog=NAME,
        description=texts.ABOUT,
        epilog=texts.epilog(
            (f"{NAME} aep plan", "show what would be created in AEP; changes nothing"),
            (f"{NAME} aep apply --test-event", "create it, and send a test event"),
            (f"{NAME} doctor", "check the deployment, and show how to fix what is wrong"),
            (f"{NAME} dead-letters list", "show what could not be delivered, and why"),
        )
        + texts.OUTPUT,
        formatter_class=texts.Formatter,
    )
    parser.add_argument("--version", action=_ShowVersion, help="show the version and exit")
    commands = parser.add_subparsers(
        title="commands, in the order in which you need them", required=True, metavar="COMMAND"
    )
    _add_aep(commands)
    _add_doctor(commands)
    _add_catalog(commands)
    _add_status(commands)
    _add_reconcile(commands)
    _add_dead_letters(commands)
    _add_completion(commands, parser)
    return parser


class _ShowVersion(argparse.Action):
    def __init__(self, option_strings: list[str], dest: str, help: str) -> None:  # noqa: A002 (argparse's)
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"{parser.prog} {version()}")  # noqa: T201 (the result of the command)
        parser.exit()


def version() -> str:
    """Returns the version that is installed; in a checkout that is not, that of the checkout."""
    from importlib import metadata  # only here: it takes as long to import as all else

    try:
        return metadata.version(_DISTRIBUTION)
    except metadata.PackageNotFoundError:
        import tomllib

        project = Path(__file__).parents[2] / "pyproject.toml"
        return f"{tomllib.loads(project.read_text('utf-8'))['project']['version']} (not installed)"


def _add_parser(
    commands: Any,
    name: str,
    summary: str,
    description: str,
    *examples: tuple[str, str],
    exit_codes: str = texts.EXIT_CODES,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=texts.epilog(*examples, exit_codes=exit_codes),
        formatter_class=texts.Formatter,
    )
    parser.set_defaults(prog=parser.prog)
    return parser


def _add_actions(command: argparse.ArgumentParser) -> Any:
    return command.add_subparsers(title="actions", dest="action", required=True, metavar="ACTION")


def _add_flag(parser: argparse.ArgumentParser, name: str, text: str, **more: Any) -> None:
    parser.add_argument(name, action="store_true", help=text, **more)


def _add_span(
    parser: argparse.ArgumentParser,
    since: str,
    until: str,
    *,
    now: str = " (default: now)",
    **of_since: Any,
) -> None:
    """Adds `--since` and `--until`; the texts say which events each of them includes."""
    default = " (default: %(default)s)" if "default" in of_since else ""
    times = f"2026-01-31T09:30:00Z, or an age: 90s, 30m, 2h, 3d, 1w{default}"
    parser.add_argument("--since", type=_time, metavar="TIME", help=f"{since}: {times}", **of_since)
    parser.add_argument(
        "--until", type=_time, metavar="TIME", help=f"{until}: a time as for --since{now}"
    )


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="a file of NAME=value lines with the settings; environment variables go before it "
        "(default: pendo-aep.env in the current folder, if there is one)",
    )


def _add_aep(commands: Any) -> None:
    prog = f"{NAME} aep"
    command = _add_parser(
        commands,
        "aep",
        "set up Adobe Experience Platform, show it, take it down",
        texts.AEP,
        (f"{prog} plan", "look first: it changes nothing"),
        (f"{prog} apply --test-event", "create everything, and try it with two events"),
        (f"{prog} show > deliver.env", "save the settings that deliver needs"),
    )
    command.set_defaults(module="pendo_aep.cli.aep")
    actions = _add_actions(command)

    plan = _add_parser(
        actions,
        "plan",
        "show what apply would do; changes nothing",
        texts.AEP_PLAN,
        (f"{prog} plan", "Adobe's Pendo source, events as they are"),
        (f"{prog} plan --source http --authenticated", "the HTTP source, with a token"),
        (f"{prog} plan --check", "and try the mapping on our sample events"),
    )
    apply = _add_parser(
        actions,
        "apply",
        "create what is missing",
        texts.AEP_APPLY,
        (f"{prog} apply --test-event", "and show AEP's answer to two events"),
        (f"{prog} apply --file pendo.toml --json", "for a script"),
    )
    show = _add_parser(
        actions,
        "show",
        "print the settings that deliver needs",
        texts.AEP_SHOW,
        (f"{prog} show > deliver.env", "ready for an env file"),
    )
    destroy = _add_parser(
        actions,
        "destroy",
        "delete what apply created",
        texts.AEP_DESTROY,
        (f"{prog} destroy", "list it, and ask"),
        (f"{prog} destroy --yes --delete-data 'Pendo Events'", "everything, the data too"),
    )
    for action in (plan, apply, show, destroy):
        _add_aep_names(action)
    for action in (plan, apply):
        _add_aep_choices(action)

    _add_flag(
        plan,
        "--check",
        "also have AEP map our sample events; exit 1 if the XDM is not what deliver makes",
    )
    apply.add_argument(
        "--wait",
        type=_number(float, 0, _LONGEST_WAIT),
        metavar="SECONDS",
        help="how long to wait after a change, as AEP does not say when it is ready (default, "
        "from Adobe's documentation: 300 after a change of the dataflow, 900 after new fields)",
    )
    apply.add_argument(
        "--no-wait", action="store_const", const=0.0, dest="wait", help="the same as --wait 0"
    )
    _add_flag(apply, "--yes", "do not ask whether delivery is paused")
    _add_flag(
        apply, "--no-check", "create the mapping set even if AEP maps our samples to other XDM"
    )
    _add_flag(
        apply,
        "--test-event",
        "then send two made-up events as deliver does, show AEP's answer, and follow them "
        "into the data lake, where they stay. Finds the AEP_RAW_MODE that the inlet accepts",
    )
    apply.add_argument(
        "--follow",
        type=_duration,
        default="15m",
        metavar="TIME",
        help="how long to follow the test events until they are stored or have failed, such as "
        "90s, 15m, 1h; 0 does not follow them (default: %(default)s)",
    )
    _add_flag(destroy, "--yes", "do not ask")
    destroy.add_argument(
        "--delete-data",
        default="",
        metavar="DATASET",
        help="the name of the dataset, to delete it with all its data; this cannot be undone",
    )


def _add_aep_names(parser: argparse.ArgumentParser) -> None:
    # Those of `_add_aep_choices`: every action has them, given or not.
    parser.set_defaults(source=None, format=None, authenticated=None, profile=None, labels=None)
    parser.set_defaults(account_schema=None)
    parser.add_argument(
        "--name",
        help="of the dataset and the schema; all other names begin with it (default: Pendo Events)",
    )
    parser.add_argument(
        "--file",
        type=Path,
        metavar="TOML",
        help="a file with source, format, authenticated, profile, labels, account_schema and name; "
        "options override it",
    )
    _add_config(parser)
    _add_flag(parser, "--json", _JSON_LINES)


def _add_aep_choices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source",
        choices=["pendo", "http"],
        help="Adobe's Pendo source (beta), or its HTTP API source (default: pendo)",
    )
    parser.add_argument(
        "--format",
        choices=["raw", "xdm"],
        help="what deliver sends: events that the dataflow maps, or XDM, which needs --source "
        "http (default: raw)",
    )
    _add_flag(
        parser,
        "--authenticated",
        "the inlet requires a token, as Adobe advises for personal data; needs --source http",
        default=None,
    )
    _add_flag(
        parser,
        "--profile",
        "also feed Real-Time Customer Profile; this cannot be undone",
        default=None,
    )
    parser.add_argument(
        "--labels",
        choices=["default", "none"],
        help="add Adobe's data usage labels to the fields that hold personal data, or do not "
        "(default: default)",
    )
    parser.add_argument(
        "--account-schema",
        metavar="ID",
        help="relate the account id of each event to your schema of accounts, by its $id or "
        "meta:altId; needs --profile",
    )


def _add_doctor(commands: Any) -> None:
    prog = f"{NAME} doctor"
    command = _add_parser(
        commands,
        "doctor",
        "find what is wrong with a deployment, and how to fix it",
        texts.DOCTOR,
        (f"{prog} --config my.env", "the deployment that my.env describes"),
        (f"{prog} --config my.env --no-test-event", "the same, and nothing reaches AEP"),
        (f"{prog} --receive-url http://127.0.0.1:8080", "a receive on this machine"),
        exit_codes=texts.EXIT_CODES.replace("0 success", "0 all is well"),
    )
    command.set_defaults(module="pendo_aep.cli.doctor")
    target = command.add_mutually_exclusive_group()
    target.add_argument(
        "--config",
        type=Path,
        default=Path("deploy/config.env"),
        metavar="FILE",
        help="the file that deploy/deploy.sh was given (default: %(default)s)",
    )
    target.add_argument("--receive-url", metavar="URL", help="check only receive, at this address")
    command.add_argument("--project", help="the project, instead of the file's")
    command.add_argument("--region", help="the region, instead of the file's")
    _add_flag(command, "--no-test-event", "send no event, only pings")
    command.add_argument(
        "--wait",
        type=_number(float, 0, _LONGEST_WAIT),
        default=120.0,
        metavar="SECONDS",
        help="how long to look for the test event; give more if drain is called rarely "
        "(default: %(default).0f)",
    )
    _add_flag(command, "--json", _JSON_LINES)


def _add_catalog(commands: Any) -> None:
    prog = f"{NAME} catalog"
    command = _add_parser(
        commands,
        "catalog",
        "read the questions and choices of Pendo's polls",
        texts.CATALOG,
        (prog, "write pendo-catalog.json"),
        (f"{prog} --url https://app.eu.pendo.io", "of a subscription in the EU"),
        (f"{prog} --output catalog.json --json", "for a script"),
    )
    command.set_defaults(module="pendo_aep.cli.catalog")
    command.add_argument(
        "--output",
        type=Path,
        default=Path("pendo-catalog.json"),
        metavar="FILE",
        help="the file, which is replaced as a whole (default: %(default)s)",
    )
    command.add_argument(
        "--url",
        metavar="URL",
        help="where Pendo's API is, instead of PENDO_API_URL (default: https://app.pendo.io)",
    )
    _add_config(command)
    _add_flag(command, "--json", "the summary as one JSON object")


def _add_status(commands: Any) -> None:
    prog = f"{NAME} status"
    command = _add_parser(
        commands,
        "status",
        "show what AEP stored of what it accepted, and what failed",
        texts.STATUS,
        (prog, "the last 24 hours"),
        (f"{prog} --since 7d", "the last week"),
        (f"{prog} --json | jq .failures", "for a script"),
        exit_codes=texts.EXIT_CODES.replace("0 success, 1 failure", "0 nothing failed, 1 failures"),
    )
    command.set_defaults(module="pendo_aep.cli.status")
    _add_span(command, "from the beginning of that hour on", "before then", default="24h")
    _add_config(command)
    _add_flag(command, "--json", "one JSON object")


def _add_reconcile(commands: Any) -> None:
    prog = f"{NAME} reconcile"
    command = _add_parser(
        commands,
        "reconcile",
        "say of each event whether it is stored, or why not",
        texts.RECONCILE,
        (f"{prog} --since 2d --until 1d", "the day before yesterday"),
        (f"{prog} --since 1d --replay-missing", "and publish again what is missing"),
        (f"{prog} --since 1d --json | jq -r 'select(.verdict == \"failed\").id'", "for a script"),
        exit_codes=texts.EXIT_CODES.replace(
            "0 success, 1 failure", "0 all stored, late or waiting, 1 something is not"
        ),
    )
    command.set_defaults(module="pendo_aep.cli.reconcile")
    _add_span(command, "published then or later", "published before then", required=True)
    command.add_argument(
        "--late-after",
        type=_age,
        default="3h",
        metavar="AGE",
        help="what is not stored at this age is missing, and before that late: 90s, 30m, 2h, 3d "
        "(default: %(default)s, as long as AEP may take for a batch that it retries)",
    )
    command.add_argument(
        "--source",
        default="topic",
        metavar="SOURCE",
        help="where the events are read that should be stored (default: %(default)s)",
    )
    _add_flag(
        command,
        "--replay-missing",
        "publish what is missing again, with the attribute replayed; asks nothing",
    )
    _add_flag(command, "--all", "a line for each event, also for those that are stored")
    _add_config(command)
    _add_flag(command, "--json", _JSON_LINES)


def _add_dead_letters(commands: Any) -> None:
    prog = f"{NAME} dead-letters"
    command = _add_parser(
        commands,
        "dead-letters",
        "list, show or replay what could not be delivered",
        texts.DEAD_LETTERS,
        (f"{prog} list --since 2h", "look first"),
        (f"{prog} show ID", "show one of them in full"),
        (f"{prog} replay --dry-run", "see what a replay would do"),
        (f"{prog} replay", "once the cause is fixed, do it"),
    )
    command.set_defaults(module="pendo_aep.cli.dead_letters")
    actions = _add_actions(command)

    list_ = _add_parser(
        actions,
        "list",
        "list them, with the counts by reason",
        texts.DEAD_LETTERS_LIST,
        (f"{prog} list --reason rejected --since 1d", "what AEP rejected since yesterday"),
        (f"{prog} list --json | jq -r .eventId", "their ids"),
    )
    show = _add_parser(
        actions,
        "show",
        "show one in full, personal data included",
        texts.DEAD_LETTERS_SHOW,
        (f"{prog} show ID", "an id from the list"),
        (f"{prog} show ID --json | jq -r .data | base64 -d", "the exact bytes"),
    )
    replay = _add_parser(
        actions,
        "replay",
        "send them through the pipeline again",
        texts.DEAD_LETTERS_REPLAY,
        (f"{prog} replay --dry-run", "what would happen; changes nothing"),
        (f"{prog} replay --reason rejected --type nps.submitted", "only these"),
        exit_codes=texts.EXIT_CODES.replace("0 success", "0 all that matched were replayed"),
    )
    for action in (list_, show, replay):
        _add_subscription(action)
    for action in (list_, replay):
        _add_filter(action)

    _add_flag(list_, "--json", "JSON Lines: one object a line, one dead letter each")
    show.add_argument("id", metavar="ID", help="event id, as in the list, or message id")
    _add_flag(show, "--json", "one JSON object a line; the data in base64")
    _add_flag(replay, "--dry-run", "only show what would happen; changes nothing")
    _add_flag(replay, "--json", "the summary as one JSON object")


def _add_subscription(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--subscription",
        metavar="NAME",
        help="where the dead letters are kept (default: the only pull subscription of the topic)",
    )
    _add_config(parser)
    parser.add_argument(
        "--wait",
        type=_number(float, 0.1, 60),
        default=3.0,
        metavar="SECONDS",
        help="after this long without a dead letter there are no more; give more on a slow line "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--hold",
        type=_number(int, 1, 1_000_000),
        default=100_000,
        metavar="N",
        help="hold at most this many dead letters at a time, in memory too (default: %(default)s)",
    )


def _add_filter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--reason",
        action="append",
        default=[],
        choices=[str(reason) for reason in Reason],
        metavar="REASON",
        help=f"only dead letters with this reason ({', '.join(Reason)}); may be repeated",
    )
    parser.add_argument(
        "--type",
        action="append",
        default=[],
        metavar="TYPE",
        help="only events of this type, such as guide.displayed; may be repeated. A webhook that "
        "could not be read has no type",
    )
    _add_span(parser, "failed then or later", "failed before then", now="")


def _add_completion(commands: Any, whole: argparse.ArgumentParser) -> None:
    command = _add_parser(
        commands,
        "completion",
        "print a script for Tab completion in bash, zsh or tcsh",
        texts.COMPLETION,
        (f'eval "$({NAME} completion bash)"', "in ~/.bashrc"),
        (f'eval "$({NAME} completion zsh)"', "in ~/.zshrc, after compinit"),
        (f"{NAME} completion tcsh > ~/.pendo-aep.tcsh", "then source that"),
    )
    command.set_defaults(module="pendo_aep.cli.completion", whole_parser=whole)
    command.add_argument("shell", choices=["bash", "zsh", "tcsh"])


def _number(kind: Callable[[str], float], least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            number = float("nan")
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} to {most}")
        return number

    return parse


def _time(text: str) -> datetime:
    try:
        return parse_time(text, clock.now())
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _age(text: str) -> timedelta:
    age = _parse_age(text)
    if age is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not an age: write 90s, 30m, 2h, 3d")
    return age


def _duration(text: str) -> timedelta:
    length = timedelta(0) if text == "0" else _parse_age(text)
    if length is not None and length <= _LONGEST_FOLLOW:
        return length
    raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 90s, 15m or 1h, 24h at most")


_AGE: Final = re.compile(r"(\d{1,6})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _parse_age(text: str) -> timedelta | None:
    age = _AGE.fullmatch(text)
    return timedelta(**{_UNITS[age[2]]: int(age[1])}) if age else None


def parse_time(text: str, now: datetime) -> datetime:
    """Returns the moment that RFC 3339 text, or an age such as `2h` or `3d`, stands for.

    Raises:
        ValueError: it is neither.
    """
    try:
        if (age := _parse_age(text)) is not None:
            return now - age
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):  # OverflowError: before the year 1
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(
            f"{text!r} is not a time: write 2026-01-31T09:30:00Z, or an age: 90s, 2h, 3d"
        )
    return moment.astimezone(UTC)
