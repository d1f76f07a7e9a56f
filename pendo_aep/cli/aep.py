"""`aep plan | apply | show | destroy`: runs the command with the options it was given."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from pendo_aep import clock, logs
from pendo_aep.aep.auth import TokenUnavailable
from pendo_aep.cli import aep_messages as messages
from pendo_aep.cli.aep_follow import as_json as follow_as_json
from pendo_aep.cli.aep_follow import as_text as follow_as_text
from pendo_aep.cli.aep_follow import follow_test_events
from pendo_aep.cli.config_file import read_environment
from pendo_aep.cli.terminal import complain, printable, progress, run_interruptibly
from pendo_aep.lake.follow import End
from pendo_aep.provisioning.account_relationship import AccountRelationship
from pendo_aep.provisioning.apply import (
    FIELDS_SECONDS,
    FLOW_SECONDS,
    apply_plan,
    remaining_field_wait,
    remaining_flow_wait,
    wait_until_ready,
)
from pendo_aep.provisioning.client import RetryPolicy
from pendo_aep.provisioning.connection import Platform, connect
from pendo_aep.provisioning.deliver_settings import (
    as_env_file,
    deliver_settings,
    envelope_settings,
    find_deliver_settings,
    needs_token,
)
from pendo_aep.provisioning.descriptors import Descriptors
from pendo_aep.provisioning.desired import (
    Choices,
    Tenant,
    desired_resources,
    possible_resources,
    read_choices,
    with_available_groups,
)
from pendo_aep.provisioning.destroy import apply_destroy_plan, plan_destroy
from pendo_aep.provisioning.errors import PlatformError
from pendo_aep.provisioning.mapping_check import MappingMismatch, PreviewUnavailable, check_mapping
from pendo_aep.provisioning.plan import Action, Plan, Step, find_existing, make_plan
from pendo_aep.provisioning.resource import Kind, Observed, Resolved
from pendo_aep.provisioning.schema import missing_groups
from pendo_aep.provisioning.smoke_test import SmokeTest, run_smoke_test
from pendo_aep.settings import PlatformSettings, SettingsError, load

_CHOICES: Final = (
    "source",
    "format",
    "authenticated",
    "profile",
    "labels",
    "account_schema",
    "name",
)


@dataclass(frozen=True, slots=True)
class _Task:
    """What one action works with."""

    options: argparse.Namespace
    choices: Choices
    platform: Platform
    subscription: str
    is_encrypted: bool

    def show_step(self, step: Step, *, is_done: bool = True) -> None:
        """Shows a step at once: whatever comes next may fail."""
        text = messages.step_as_text(step, is_done=is_done)
        self.show(text, messages.step_as_json(step, is_done=is_done))

    def show_settings(self, environment: dict[str, str]) -> None:
        """Shows the settings that `deliver` needs."""
        self.show(as_env_file(environment), {"environment": environment})

    def show(self, text: str, as_json: dict[str, Any]) -> None:
        """Writes a result in one of its forms at once, so that it also appears so in a pipe."""
        sys.stdout.write(json.dumps(as_json) + "\n" if self.options.json else text)
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """Tells the person something that is not part of the result."""
        sys.stderr.write(f"{self.options.prog}: {text}\n")


_Work: TypeAlias = Callable[[_Task], Awaitable[bool]]


def run(options: argparse.Namespace) -> int:
    """Runs the command and returns its exit code: 0 only on success.

    Raises:
        KeyboardInterrupt: somebody stopped it, by Ctrl-C or SIGTERM; what was done is shown.
    """
    work: _Work = {"plan": _plan, "apply": _apply, "show": _show, "destroy": _destroy}[
        options.action
    ]

    async def session(choices: Choices, settings: PlatformSettings) -> bool:
        async with connect(settings, RetryPolicy()) as platform:
            is_encrypted = settings.aep_platform_url.startswith("https:")
            task = _Task(options, choices, platform, settings.push_subscription, is_encrypted)
            return await work(task)

    try:
        given = {name: getattr(options, name) for name in _CHOICES}
        choices = read_choices(given, options.file)
        settings = load(PlatformSettings, read_environment(options.config))
        with logs.silence():
            return 0 if run_interruptibly(session(choices, settings)) else 1
    except (SettingsError, PlatformError) as error:
        complain(options, str(error))
        return 1


async def _plan(task: _Task) -> bool:
    tenant, plan = await _make_plan(task)
    for step in (*plan.steps, *plan.refused):
        task.show_step(step, is_done=False)
    if found := plan.irrevocable:
        task.show(messages.irrevocable(found), {"irrevocable": found})
    if not task.options.json:
        changes = sum(step.action is not Action.KEEP for step in plan.steps)
        sys.stdout.write(f"{changes} to be created or changed\n" if changes else "nothing to do\n")
        sys.stdout.flush()
    if _changes_live_flow(plan):
        task.note(messages.how_to_pause(task.subscription))
    if not task.choices.authenticated:
        task.note(messages.OPEN_INLET)
    if plan.changes(Kind.ACCOUNT_RELATIONSHIP):
        task.note(messages.ACCOUNT_RELATIONSHIP)
    if task.options.check:
        await _check_planned(task, tenant, plan)
    return True


async def _apply(task: _Task) -> bool:
    platform, client = task.platform, task.platform.client
    tenant, plan = await _make_plan(task)
    if plan.irrevocable:
        task.note(messages.irrevocable(plan.irrevocable).rstrip())
    if _changes_live_flow(plan):
        task.note(messages.how_to_pause(task.subscription))
        if (
            sys.stdin.isatty()
            and not task.options.yes
            and not await _confirm("is delivery paused? type yes to continue: ")
        ):
            task.note("nothing was changed: answer yes, or give --yes")
            return False

    async def check(schema: Observed) -> None:
        try:
            await _check(task, tenant, schema)
        except MappingMismatch as error:
            raise PlatformError(f"{error}\n{messages.MAPPING_DIFFERS}") from None

    is_checked = plan.changes(Kind.MAPPING_SET) and not task.options.no_check
    known = await apply_plan(plan, task.show_step, check if is_checked else None)
    await _wait(task, plan, known)
    environment = await deliver_settings(client, platform.tenant, known)
    task.show_settings(environment)
    is_closed = await _note_token(task, environment)
    if not task.options.test_event:
        return True
    envelope = envelope_settings(client, known)
    sent_at = clock.now()
    sent = await _send_test_events(task, environment, envelope, is_closed=is_closed)
    if not sent.is_accepted or not task.options.follow:
        return sent.is_accepted
    return await _follow(task, known[Kind.DATASET].id, sent.event_ids, sent_at)


async def _make_plan(task: _Task) -> tuple[Tenant, Plan]:
    client = task.platform.client
    tenant = await with_available_groups(client, task.platform.tenant, task.choices)
    if missing := missing_groups(tenant.groups):
        task.note(messages.missing_groups(missing))
    return tenant, await make_plan(desired_resources(client, tenant, task.choices))


def _changes_live_flow(plan: Plan) -> bool:
    return any(step.kind is Kind.FLOW and step.action is Action.CHANGE for step in plan.steps)


async def _check_planned(task: _Task, tenant: Tenant, plan: Plan) -> None:
    """Checks the mapping if the schema is as it should be.

    Raises:
        MappingMismatch: AEP makes other XDM.
    """
    if all(step.kind is not Kind.MAPPING_SET for step in plan.steps):
        task.note(messages.NOTHING_TO_CHECK)
    elif (schema := plan.finished_schema) is None:
        task.note(messages.NO_SCHEMA_YET)
    elif samples := await _check(task, tenant, schema):
        text = f"AEP maps all {samples} sample events as deliver does\n"
        task.show(text, {"mappingCheck": "same", "samples": samples})


async def _check(task: _Task, tenant: Tenant, schema: Observed) -> int:
    """Returns the number of samples that AEP maps as `deliver` does; 0 if it cannot try."""
    try:
        return await check_mapping(task.platform.client, tenant, schema.id)
    except PreviewUnavailable as error:
        task.note(f"the mapping was not checked: {error}")
        return 0


async def _wait(task: _Task, plan: Plan, known: Resolved) -> None:
    """Waits as long as Adobe asks for, or as `--wait` says, and says when delivery may resume."""
    flow, fields = _seconds_left(plan, known, FLOW_SECONDS, FIELDS_SECONDS)
    given = task.options.wait
    seconds = max(flow, fields) if given is None else max(_seconds_left(plan, known, given, given))
    if seconds > 0:
        task.note(
            f"waiting {seconds:.0f} s, as Adobe asks for after a change: AEP does not say when it "
            "is ready"
        )
        with progress(sys.stderr) as show:
            await wait_until_ready(seconds, show)
    if fields > seconds:
        task.note(messages.new_fields(fields - seconds))
    if _changes_live_flow(plan):
        task.note(messages.how_to_resume(task.subscription, max(flow, fields) - seconds))


def _seconds_left(plan: Plan, known: Resolved, flow: float, fields: float) -> tuple[float, float]:
    """Returns what is left of both waits: after the flow changed, and after fields were added.

    The field group as it was found says when an earlier run changed it: texts need no wait.
    """
    group = plan.observed(Kind.FIELD_GROUP)
    since = remaining_field_wait(group, fields) if group else 0.0
    just_now = fields if plan.adds_fields else 0.0
    return remaining_flow_wait(known[Kind.FLOW], flow), max(just_now, since)


async def _send_test_events(
    task: _Task, environment: dict[str, str], envelope: dict[str, str], *, is_closed: bool
) -> SmokeTest:
    platform = task.platform
    tokens = platform.tokens if is_closed else None
    try:
        result = await run_smoke_test(platform.session, environment, tokens, envelope)
    except TokenUnavailable as error:
        raise PlatformError(f"the test events were not sent: no token ({error.reason})") from None
    task.show(messages.smoke_test_as_text(result), messages.smoke_test_as_json(result))
    return result


async def _follow(
    task: _Task, dataset_id: str, event_ids: Sequence[str], sent_at: datetime
) -> bool:
    """Returns False if a test event failed; what is not known yet is no failure."""
    limit: timedelta = task.options.follow
    task.note(messages.following(limit))
    client = task.platform.client
    followed, problem = await follow_test_events(
        client, dataset_id, event_ids, sent_at, limit, is_encrypted=task.is_encrypted
    )
    if problem:
        task.note(f"which events are stored could not be asked: {printable(problem)}")
    shown = follow_as_json(followed, event_ids) if task.options.json else follow_as_text(followed)
    sys.stdout.write(shown)
    sys.stdout.flush()
    return followed.end is not End.FAILED


async def _show(task: _Task) -> bool:
    platform = task.platform
    resources = possible_resources(platform.client, platform.tenant, task.choices.name)
    environment = await find_deliver_settings(platform.client, platform.tenant, resources)
    task.show_settings(environment)
    for resource in resources:
        if isinstance(resource, Descriptors | AccountRelationship) and (
            found := await find_existing(resource)
        ):
            task.note(resource.summary(found))
    await _note_token(task, environment)
    return True


async def _note_token(task: _Task, environment: dict[str, str]) -> bool:
    is_closed = await needs_token(task.platform.client, environment)
    if is_closed:
        task.note(
            "the inlet requires a token: deliver also needs AEP_CLIENT_ID and AEP_CLIENT_SECRET"
        )
    return is_closed


async def _destroy(task: _Task) -> bool:
    platform, options = task.platform, task.options
    resources = possible_resources(platform.client, platform.tenant, task.choices.name)
    plan = await plan_destroy(resources, options.delete_data)
    if not plan.resources:
        for step in plan.steps:
            task.show_step(step)
        return all(step.kind is Kind.NAMESPACE for step in plan.steps)
    if not options.yes:
        for step in plan.steps:
            sys.stderr.write(messages.step_as_text(step, is_done=False))
        if not await _confirm(f"in the sandbox {platform.client.sandbox}; type yes to continue: "):
            task.note("nothing was deleted: answer yes, or give --yes")
            return False
    return await apply_destroy_plan(plan, options.delete_data, task.show_step)


async def _confirm(question: str) -> bool:
    sys.stderr.write(question)
    sys.stderr.flush()
    answer: str = await asyncio.to_thread(sys.stdin.readline)
    return answer.strip() == "yes"
