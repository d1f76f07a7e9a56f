"""`up CONFIG` and `down CONFIG`, which `deploy.sh` and `destroy.sh` run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pendo_aep.gcp.config import Config, InvalidConfig, read_config
from pendo_aep.gcp.deploy.resource import CannotUpdate
from pendo_aep.gcp.deploy.teardown import Teardown
from pendo_aep.gcp.deploy.up import up
from pendo_aep.gcp.gcloud import Gcloud, GcloudFailed


def main() -> int:
    """Runs the command and returns its exit code: 0 only if everything is done."""
    options = _options()
    try:
        config = read_config(options.config)
        gcloud = Gcloud(config["PROJECT"], _say)
        if options.verb == "up":
            return _up(config, gcloud)
        return _down(config, gcloud, is_sure=options.yes)
    except (InvalidConfig, CannotUpdate, GcloudFailed) as error:
        _say(f"{error}")
        return 1
    except KeyboardInterrupt:
        _say("interrupted; run it again to continue")
        return 130


def _up(config: Config, gcloud: Gcloud) -> int:
    address = up(config, gcloud)
    read = ("secrets", "versions", "access", "latest", f"--secret={config['PENDO_SECRET']}")
    _say(f"{gcloud.changes} changes" if gcloud.changes else "nothing to change")
    sys.stdout.write(
        f"""
In Pendo, Settings > Integrations > Webhooks > Add webhook:

  URL     {address}
  Secret  what this prints: {gcloud.typed(read)}

Then check the deployment: pendo-aep doctor --config {config.path}
"""
    )
    return 0


def _down(config: Config, gcloud: Gcloud, *, is_sure: bool) -> int:
    project = config["PROJECT"]
    _say(f"This deletes everything that {config.path} names in {project}, with its secrets.")
    teardown = Teardown(config, gcloud)
    teardown.warn(_say)
    if not is_sure and not _confirmed(project):
        _say("nothing was deleted")
        return 1
    teardown.run()
    _say(
        f"{gcloud.changes} changes. APIs stay enabled, and Google's own buckets and images "
        "(gcf-*, *_cloudbuild) remain, because others may use them."
    )
    return 0


def _confirmed(project: str) -> bool:
    sys.stderr.write(f"Type {project} to continue: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() == project


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="deploy", description="See deploy/config.env.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, script in (("up", "deploy/deploy.sh"), ("down", "deploy/destroy.sh")):
        one = verbs.add_parser(verb, prog=script)
        one.add_argument("config", type=Path, help="a copy of deploy/config.env, filled in")
        if verb == "down":
            one.add_argument("--yes", action="store_true", help="do not ask")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
