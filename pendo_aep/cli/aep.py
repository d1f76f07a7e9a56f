"""`aep plan | apply | show | destroy`: what the command does with the options it was given."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TextIO, TypeAlias

from pendo_aep import logs
from pendo_aep.aep.auth import TokenUnavailable
from pendo_aep.cli import aep_advice, aep_output, output
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
from pendo_aep.provisioning.plan import Action, Plan, Step, make_plan
from pendo_aep.provisioning.resource import Kind, Observed, Resolved
from pendo_aep.provisioning.schema import missing_groups
from pendo_aep.provisioning.smoke_test import run_smoke_test
from pendo_aep.settings import PlatformSettings, SettingsError, load

_CHOICES = ("source", "format", "authenticated", "profile", "name")


@dataclass(frozen=True, slots=True)
class _Task:
    """What one action works with."""

    options: argparse.Namespace
    choices: Choices
    platform: Platform
    subscription: str
    out: TextIO

    def tell(self, step: Step, *, is_done: bool = True) -> None:
        """Shows a step at once: whatever comes next may fail."""
        show = aep_output.step_as_json if self.options.json else aep_output.step_as_text
        self.write(show(step, is_done=is_done))

    def write(self, text: str) -> None:
        """Shows it now, also where somebody reads through a pipe."""
        self.out.write(text)
        self.out.flush()

    def show(self, environment: dict[str, str]) -> None:
        """The settings of `deliver`."""
        as_json = json.dumps({"environment": environment}) + "\n"
        self.write(as_json if self.options.json else as_env_file(environment))

    def note(self, text: str) -> None:
        """Something for the person, which is no part of the result."""
        sys.stderr.write(f"{self.options.prog}: {text}\n")


_Work: TypeAlias = Callable[[_Task], Awaitable[bool]]


def run(options: argparse.Namespace) -> int:
    """Does it, and answers the exit code: 0 only on success.

    Raises:
        KeyboardInterrupt: somebody stopped it, by Ctrl-C or SIGTERM; what was done has been told.
    """
    work: _Work = {"plan": _plan, "apply": _apply, "show": _show, "destroy": _destroy}[
        options.action
    ]
    try:
        given = {name: getattr(options, name) for name in _CHOICES}
        choices = read_choices(given, options.file)
        settings = load(PlatformSettings, os.environ)
        return 0 if _with_platform(options, choices, settings, work) else 1
    except (SettingsError, PlatformError) as error:
        problems = str(error).splitlines()
    for problem in problems:
        sys.stderr.write(f"{options.prog}: {output.printable(problem)}\n")
    return 1


async def _plan(task: _Task) -> bool:
    tenant, plan = await _look(task)
    for step in plan.steps:
        task.tell(step, is_done=False)
    if not task.options.json:
        changes = sum(step.action is not Action.KEEP for step in plan.steps)
        task.write(f"{changes} to be made or changed\n" if changes else "nothing to be done\n")
    if _changes_live_flow(plan):
        task.note(aep_advice.pause(task.subscription))
    if not task.choices.authenticated:
        task.note(aep_advice.OPEN_INLET)
    if task.options.check:
        await _check_planned(task, tenant, plan)
    return True


async def _apply(task: _Task) -> bool:
    platform, client = task.platform, task.platform.client
    tenant, plan = await _look(task)
    if _changes_live_flow(plan):
        task.note(aep_advice.pause(task.subscription))
        if (
            sys.stdin.isatty()
            and not task.options.yes
            and not await _says_yes("is delivery paused? type yes to go on: ")
        ):
            task.note("nothing was changed: answer yes, or give --yes")
            return False

    async def check(schema: Observed) -> None:
        try:
            await _check(task, tenant, schema)
        except MappingMismatch as differs:
            raise PlatformError(f"{differs}\n{aep_advice.GO_ON_ANYWAY}") from None

    is_checked = plan.changes(Kind.MAPPING_SET) and not task.options.no_check
    known = await apply_plan(plan, task.tell, check if is_checked else None)
    await _wait(task, plan, known)
    environment = await deliver_settings(client, platform.tenant, known)
    task.show(environment)
    is_closed = await _tell_of_token(task, environment)
    if not task.options.test_event:
        return True
    envelope = envelope_settings(client, known)
    return await _try_out(task, environment, envelope, is_closed=is_closed)


async def _look(task: _Task) -> tuple[Tenant, Plan]:
    client = task.platform.client
    tenant = await with_available_groups(client, task.platform.tenant, task.choices)
    if missing := missing_groups(tenant.groups):
        task.note(aep_advice.missing(missing))
    return tenant, await make_plan(desired_resources(client, tenant, task.choices))


def _changes_live_flow(plan: Plan) -> bool:
    return any(step.kind is Kind.FLOW and step.action is Action.CHANGE for step in plan.steps)


async def _check_planned(task: _Task, tenant: Tenant, plan: Plan) -> None:
    """Tries the mapping if the schema is as it should be.

    Raises:
        MappingDiffers: AEP makes other XDM.
    """
    if all(step.kind is not Kind.MAPPING_SET for step in plan.steps):
        task.note(aep_advice.NOTHING_TO_CHECK)
    elif (schema := plan.finished_schema) is None:
        task.note(aep_advice.NO_SCHEMA_YET)
    elif samples := await _check(task, tenant, schema):
        show = aep_output.check_as_json if task.options.json else aep_output.check_as_text
        task.write(show(samples))


async def _check(task: _Task, tenant: Tenant, schema: Observed) -> int:
    """Returns the number of samples that AEP maps as `deliver` does; 0 where it does not try."""
    try:
        return await check_mapping(task.platform.client, tenant, schema.id)
    except PreviewUnavailable as error:
        task.note(f"the mapping was not checked: {error}")
        return 0


async def _wait(task: _Task, plan: Plan, known: Resolved) -> None:
    """Waits as long as Adobe asks for, or as `--wait` says, and tells when delivery may go on."""
    flow, fields = _seconds_left(plan, known, FLOW_SECONDS, FIELDS_SECONDS)
    given = task.options.wait
    seconds = max(flow, fields) if given is None else max(_seconds_left(plan, known, given, given))
    if seconds > 0:
        task.note(
            f"waiting {seconds:.0f} s, as Adobe asks for after a change: AEP does not tell when it "
            "is ready"
        )
        with output.progress(sys.stderr) as say:
            await wait_until_ready(seconds, say)
    if fields > seconds:
        task.note(aep_advice.new_fields(fields - seconds))
    if _changes_live_flow(plan):
        task.note(aep_advice.resume(task.subscription, max(flow, fields) - seconds))


def _seconds_left(plan: Plan, known: Resolved, flow: float, fields: float) -> tuple[float, float]:
    """What is left of both waits: since the flow changed, and since fields were added."""
    just_now = fields if plan.adds_fields else 0.0
    return (
        remaining_flow_wait(known[Kind.FLOW], flow),
        max(just_now, remaining_field_wait(known[Kind.FIELD_GROUP], fields)),
    )


async def _try_out(
    task: _Task, environment: dict[str, str], envelope: dict[str, str], *, is_closed: bool
) -> bool:
    platform = task.platform
    tokens = platform.tokens if is_closed else None
    try:
        trial = await run_smoke_test(platform.session, environment, tokens, envelope)
    except TokenUnavailable as error:
        raise PlatformError(f"the test events were not sent: no token ({error.reason})") from None
    show = aep_output.trial_as_json if task.options.json else aep_output.trial_as_text
    task.write(show(trial))
    return trial.is_accepted


async def _show(task: _Task) -> bool:
    platform = task.platform
    parts = possible_resources(platform.client, platform.tenant, task.choices.name)
    environment = await find_deliver_settings(platform.client, platform.tenant, parts)
    task.show(environment)
    await _tell_of_token(task, environment)
    return True


async def _tell_of_token(task: _Task, environment: dict[str, str]) -> bool:
    is_closed = await needs_token(task.platform.client, environment)
    if is_closed:
        task.note("the inlet wants a token: deliver needs AEP_CLIENT_ID and AEP_CLIENT_SECRET, too")
    return is_closed


async def _destroy(task: _Task) -> bool:
    platform, options = task.platform, task.options
    parts = possible_resources(platform.client, platform.tenant, task.choices.name)
    plan = await plan_destroy(parts, options.delete_data)
    if not plan.resources:
        for step in plan.steps:
            task.tell(step)
        return all(step.kind is Kind.NAMESPACE for step in plan.steps)
    if not options.yes:
        for step in plan.steps:
            sys.stderr.write(aep_output.step_as_text(step, is_done=False))
        if not await _says_yes(f"in the sandbox {platform.client.sandbox}; type yes to go on: "):
            task.note("nothing was deleted: answer yes, or give --yes")
            return False
    return await apply_destroy_plan(plan, options.delete_data, task.tell)


async def _says_yes(question: str) -> bool:
    sys.stderr.write(question)
    sys.stderr.flush()
    answer: str = await asyncio.to_thread(sys.stdin.readline)
    return answer.strip() == "yes"


def _with_platform(
    options: argparse.Namespace, choices: Choices, settings: PlatformSettings, work: _Work
) -> bool:
    out = sys.stdout

    async def session() -> bool:
        task = asyncio.current_task()
        if task is not None:  # as Ctrl-C: what was done is told
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        async with connect(settings, RetryPolicy()) as platform:
            return await work(_Task(options, choices, platform, settings.push_subscription, out))

    with logs.silence():
        try:
            return asyncio.run(session())
        except asyncio.CancelledError:  # SIGTERM
            raise KeyboardInterrupt from None
