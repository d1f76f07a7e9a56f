"""The Cloud Run job that runs `pendo-aep reconcile` when `RECONCILE_SCHEDULE` says.

The image is built by Cloud Build from `deploy/reconcile/Dockerfile`, as the account that builds the
functions. `gcloud run jobs deploy --source` would build it as Google's default account, which has
too many rights in some projects and none in others; the images of the functions lack the command.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

from pendo_aep.gcp import iam
from pendo_aep.gcp.config import Config
from pendo_aep.gcp.deploy import iam_bindings
from pendo_aep.gcp.deploy.desired_resources import http_job
from pendo_aep.gcp.deploy.functions import SOURCE
from pendo_aep.gcp.deploy.resource import Field, Inventory, Resource, ensure
from pendo_aep.gcp.gcloud import GROUPS, Command, Gcloud, field_at

KINDS: Final = ("jobs", "run_jobs", "repositories")
_FOLDER: Final = "deploy/reconcile"
_UPLOADED: Final = ("requirements.txt", f"{_FOLDER}/Dockerfile", f"{_FOLDER}/requirements.txt")
_ROLES: Final[Command] = ("iam", "roles")
# Google: Pub/Sub "Access control with IAM", what each method needs: the job reads a topic with a
# subscription that it creates and deletes, and the backlog of another with a snapshot. It publishes
# and changes nothing. `roles/pubsub.editor`, the least of Google's own that may create a
# subscription, may also publish, and delete topics.
PERMISSIONS: Final = (
    "pubsub.snapshots.create",
    "pubsub.snapshots.delete",
    "pubsub.snapshots.get",
    "pubsub.snapshots.list",
    "pubsub.snapshots.seek",
    "pubsub.subscriptions.consume",
    "pubsub.subscriptions.create",
    "pubsub.subscriptions.delete",
    "pubsub.subscriptions.get",
    "pubsub.subscriptions.list",
    "pubsub.topics.attachSubscription",
    "pubsub.topics.get",
)
# The label by which the next run knows what the job was deployed with.
_LABEL: Final = "pendo-to-aep"
# Where gcloud shows the task of a Cloud Run job.
_TASK: Final = ("spec", "template", "spec", "template", "spec")
_SECRET_FILE: Final = "/secrets/aep/client"  # noqa: S105 (where it is mounted)
# Names that differ between the config and the settings of the command.
_RENAMED: Final = {
    "GOOGLE_CLOUD_PROJECT": "PROJECT",
    "PUBSUB_TOPIC": "EVENTS_TOPIC",
    "AEP_CLIENT_ID": "RECONCILE_CLIENT_ID",
}
_SAME: Final = (
    "AEP_IMS_ORG_ID",
    "AEP_SANDBOX",
    "AEP_TENANT_ID",
    "AEP_FLOW_ID",
    "AEP_DATASET_ID",
    "AEP_IMS_URL",
    "AEP_SCOPES",
    "DEAD_LETTER_TOPIC",
    "DEAD_LETTER_SUBSCRIPTION",
)


def settings(config: Config) -> dict[str, str]:
    """Returns the environment variables of the job.

    Only subscriptions that exist are named: the command looks at what waits in them. It takes one
    that is not set for the pushed one of its own default, so that one is always set.
    """
    names = {**_RENAMED, **dict.fromkeys(_SAME)}
    given = {name: config[source or name] for name, source in names.items()}
    live = "PUSH_SUBSCRIPTION" if config.push else "DRAIN_SUBSCRIPTION"
    given["PUSH_SUBSCRIPTION"] = config[live]
    if config.drain:
        given["DRAIN_SUBSCRIPTION"] = config["DRAIN_SUBSCRIPTION"]
    return {name: text for name, text in given.items() if text} | {
        "AEP_CLIENT_SECRET_FILE": _SECRET_FILE
    }


def uploaded_files() -> list[Path]:
    """Returns what the image is built from, relative to the root; see its `gcloudignore`."""
    package = [
        path.relative_to(SOURCE)
        for path in (SOURCE / "pendo_aep").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    return sorted([*map(Path, _UPLOADED), *package])


def image(config: Config) -> str:
    """Returns the name of the image, whose tag is a hash of what it is built from."""
    digest = hashlib.sha256()
    for path in uploaded_files():
        content = (SOURCE / path).read_bytes()
        digest.update(f"{path.as_posix()}\0{len(content)}\0".encode() + content)
    host = f"{config['REGION']}-docker.pkg.dev"
    where = f"{host}/{config['PROJECT']}/{config['RECONCILE_REPOSITORY']}"
    return f"{where}/reconcile:{digest.hexdigest()[:40]}"


def apply(config: Config, inventory: Inventory, gcloud: Gcloud, folder: Path) -> None:
    """Builds the image if its source differs, and deploys the job if anything does.

    Without `RECONCILE_SCHEDULE` it deletes what an earlier one has created, except for the accounts
    and the secret, which `destroy.sh` deletes.

    Args:
        config: names, span and sizes.
        inventory: what exists of `KINDS`.
        gcloud: applies the changes.
        folder: for the file of the settings.
    """
    if not config.reconcile:
        _delete(config, inventory, gcloud)
        return
    ensure(_repository(config), inventory, gcloud)
    built = image(config)
    wanted = job(config, built, folder)
    if built not in _images(inventory["run_jobs"].get(wanted.name)):
        gcloud.change(*_build_command(config, built))
    ensure(wanted, inventory, gcloud)


def grant_reading(config: Config, gcloud: Gcloud) -> None:
    """Lets the job read topics, with a role of its own; one that was deleted is taken back.

    On the project: a right to create a subscription cannot be granted on less.
    """
    name, permissions = config["RECONCILE_ROLE"], ",".join(PERMISSIONS)
    role = gcloud.read(*_ROLES, "describe", name)
    if role is None:
        words = (name, "--title=Pendo to AEP: reconcile", "--stage=GA")
        gcloud.change(*_ROLES, "create", *words, f"--permissions={permissions}")
    else:
        if role.get("deleted"):
            gcloud.change(*_ROLES, "undelete", name)
        if {*role.get("includedPermissions", [])} != {*PERMISSIONS}:
            gcloud.change(*_ROLES, "update", name, f"--permissions={permissions}")
    iam_bindings.grant_on_project([_reading(config)], gcloud)


def revoke_reading(config: Config, gcloud: Gcloud, *, with_role: bool) -> None:
    """Revokes what the job may do.

    Args:
        config: names the account and the role.
        gcloud: applies the changes.
        with_role: delete the role too. Google keeps its name for weeks: somebody who only switches
            the job off will want it back.
    """
    iam_bindings.revoke_on_project([_reading(config)], gcloud)
    role = gcloud.read(*_ROLES, "describe", config["RECONCILE_ROLE"]) if with_role else None
    if role is not None and not role.get("deleted"):
        gcloud.delete((*_ROLES, "delete", config["RECONCILE_ROLE"]))


def caller(config: Config) -> iam.IamBinding:
    """Returns the right to run the job."""
    member = config.member("SCHEDULER_ACCOUNT")
    return iam.run_job(config["RECONCILE_JOB"], config["REGION"], member)


def _reading(config: Config) -> iam.IamBinding:
    role = f"projects/{config['PROJECT']}/roles/{config['RECONCILE_ROLE']}"
    return iam.on_project(config["PROJECT"], role, config.member("RECONCILE_ACCOUNT"))


def scheduler_job(config: Config) -> Resource:
    """Returns what runs the job.

    Google: Cloud Run "Execute jobs on a schedule", a call of the Admin API, which answers as soon
    as the execution has been created.
    """
    account = config.address("SCHEDULER_ACCOUNT")
    where = f"projects/{config['PROJECT']}/locations/{config['REGION']}"
    return http_job(
        config,
        "RECONCILE",
        f"https://run.googleapis.com/v2/{where}/jobs/{config['RECONCILE_JOB']}:run",
        Field(
            ("httpTarget", "oauthToken", "serviceAccountEmail"),
            account,
            f"--oauth-service-account-email={account}",
        ),
        # A call that fails once must not cost a day.
        Field(("retryConfig", "retryCount"), 3, "--max-retry-attempts=3"),
    )


def deletions(config: Config) -> list[Resource]:
    """Returns what to delete, in this order: what calls the job, the job, its images."""
    place = f"--region={config['REGION']}"
    name = config["RECONCILE_JOB"]
    deployed = Resource("run_jobs", name, (), (*GROUPS["run_jobs"], "delete", name, place))
    return [scheduler_job(config), deployed, _repository(config)]


def _delete(config: Config, inventory: Inventory, gcloud: Gcloud) -> None:
    existing = [one for one in deletions(config) if one.name in inventory[one.kind]]
    for one in existing:
        gcloud.delete(one.delete)
    if existing:
        revoke_reading(config, gcloud, with_role=False)


def _repository(config: Config) -> Resource:
    name, group = config["RECONCILE_REPOSITORY"], GROUPS["repositories"]
    place = f"--location={config['REGION']}"
    return Resource(
        kind="repositories",
        name=name,
        create=(*group, "create", name, place, "--repository-format=docker"),
        delete=(*group, "delete", name, place),
    )


def _build_command(config: Config, built: str) -> Command:
    builder = f"projects/{config['PROJECT']}/serviceAccounts/{config.address('BUILD_ACCOUNT')}"
    return (
        *("builds", "submit", str(SOURCE), f"--config={SOURCE / _FOLDER / 'build.json'}"),
        *(f"--ignore-file={_FOLDER}/gcloudignore", f"--substitutions=_IMAGE={built}"),
        *(f"--service-account={builder}", f"--region={config['REGION']}", "--suppress-logs"),
    )


def job(config: Config, built: str, folder: Path) -> Resource:
    """Returns the job as a resource; it is deployed as a whole, whatever differs."""
    file, environment = folder / "RECONCILE.json", settings(config)
    file.write_text(json.dumps(environment), "utf-8")
    name, account = config["RECONCILE_JOB"], config.address("RECONCILE_ACCOUNT")
    words = [
        "reconcile",
        f"--since={config['RECONCILE_SINCE']}",
        f"--until={config['RECONCILE_UNTIL']}",
        "--json",
    ]
    flags = [
        f"--region={config['REGION']}",
        f"--image={built}",
        f"--args={','.join(words)}",
        f"--service-account={account}",
        f"--set-secrets={_SECRET_FILE}={config['RECONCILE_SECRET']}:latest",
        f"--cpu={config['RECONCILE_CPU']}",
        f"--memory={config['RECONCILE_MEMORY']}",
        f"--task-timeout={config['RECONCILE_TIMEOUT_SECONDS']}s",
        # What was found once is found again: a second try would only delay the alert.
        "--max-retries=0",
    ]
    deployed_with = json.dumps([flags, environment])
    label = hashlib.sha256(deployed_with.encode()).hexdigest()[:40]
    command = (
        *(*GROUPS["run_jobs"], "deploy", name, *flags),
        *(f"--env-vars-file={file}", f"--labels={_LABEL}={label}"),
    )
    shown = {
        "image": built,
        "args": words,
        "env": [{"name": key, "value": text} for key, text in environment.items()],
    }
    return Resource(
        kind="run_jobs",
        name=name,
        create=command,
        update=command,
        delete=(*GROUPS["run_jobs"], "delete", name, f"--region={config['REGION']}"),
        fields=(
            Field(("metadata", "labels", _LABEL), label),
            # Somebody may have changed these by hand, and the label does not show it.
            Field((*_TASK, "serviceAccountName"), account),
            Field((*_TASK, "containers"), [shown]),
        ),
    )


def _images(job: object) -> list[str]:
    """Returns the images of a job, as gcloud shows it."""
    return [str(one.get("image")) for one in field_at(job, *_TASK, "containers") or []]
