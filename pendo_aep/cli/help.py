"""How `--help` reads: the text about each command, and what turns it into paragraphs."""

from __future__ import annotations

import argparse
import textwrap
from typing import Final

EXIT_CODES: Final = "Exit code: 0 success, 1 failure, 2 usage error, 130 interrupted (Ctrl-C)."
_INDENTS: Final = 4  # argparse's: two for a group, two for a command in it

ABOUT: Final = """\
Set up, check and operate the Pendo-to-AEP pipeline. Each command, and each of its actions, has
--help.

To try the whole pipeline without any account first: python -m local (in a checkout)
"""
OUTPUT: Final = """

On a terminal, output has colours (unless NO_COLOR is set) and progress. In a pipe it is plain text,
or with --json one JSON object a line. Results go to stdout, everything else to stderr."""

AEP: Final = """\
Sets up Adobe Experience Platform for Pendo's events and prints the settings that deliver needs. It
creates identity namespaces, a field group, a schema, a dataset, connections, a mapping set and a
dataflow.

Settings as for deliver, from the environment or a file:
  AEP_CLIENT_ID            required
  AEP_CLIENT_SECRET        required, or AEP_CLIENT_SECRET_FILE
  AEP_IMS_ORG_ID           required
  AEP_SANDBOX              default: prod
  AEP_IDENTITY_NAMESPACE   default: PendoVisitor
  AEP_ANONYMOUS_VISITORS   default: separate; else same or none
  AEP_EMAIL_NAMESPACE      default: none; for visitor ids that are e-mail addresses
  AEP_PROPERTIES           default: rest; else all or none
  AEP_FIELDS               default: none; properties that become typed fields
  AEP_TENANT_ID            read from AEP; if set, it must be the same
  AEP_SCOPES, AEP_IMS_URL, AEP_PLATFORM_URL   default: Adobe's
  PUSH_SUBSCRIPTION        default: pendo-events-deliver; for the commands that pause delivery

In AEP, the role of the API credential must include the sandbox and these permissions: Manage
Schemas, Manage Datasets, Manage Identity Namespaces, Manage Sources and View Sandboxes; for
--profile, also Manage Profiles; for data usage labels, also Manage Usage Labels.
"""
AEP_PLAN: Final = """\
Shows what apply would do and changes nothing: + create, ~ change, = as it should be, ! refused by
AEP, which does not stop apply. Then it shows what AEP could never take back: namespaces, Profile,
types of fields."""
AEP_APPLY: Final = """\
Creates what is missing, changes what must change, leaves the rest alone, and prints the settings
that deliver needs. It may be interrupted at any moment and run again. If something else already
has one of the names, it fails before it creates anything. It also fails if AEP maps our sample
events to other XDM than deliver makes. Friendly names, data usage labels and a relationship with
accounts that AEP refuses are only reported. Before it changes a dataflow that is in use, it says
how to pause delivery, and on a terminal asks whether delivery is paused; at the end it says when
delivery may resume. With the permission Manage Queries, --test-event can prove that its events are
stored; without it, counts make that likely at most."""
AEP_SHOW: Final = """\
Prints the settings that deliver needs, as NAME=value lines for an env file, and beside them which
fields have friendly names and data usage labels, and which schema of accounts the events refer to.
It never prints a secret."""
AEP_DESTROY: Final = """\
Deletes what apply created under a name, in reverse order. It asks first. A dataset that holds data
is kept, and so is its schema, unless --delete-data names the dataset. AEP cannot delete identity
namespaces or a schema that is enabled for Profile, and may refuse to delete a mapping set."""

DOCTOR: Final = """\
Checks a deployment from outside: its functions and their settings, topics, subscriptions, rights
and secrets. It sends receive three pings: signed, unsigned and wrongly signed. Then it sends one
made-up event (visitor pendo-to-aep-test), which STAYS IN AEP, and follows it there in the log. For
each problem it prints the command that fixes it. It changes nothing itself.

It runs gcloud with your login. It needs roles/viewer and roles/iam.securityReviewer on the project,
and roles/secretmanager.secretAccessor on the webhook's secret. With these roles it can check
everything. What it cannot read is reported as unknown and fails the run.

With --receive-url it checks only receive at that address, without gcloud, and reads these settings
from the environment, or from pendo-aep.env in the current folder, as for receive:

  PENDO_WEBHOOK_SECRETS (or PENDO_WEBHOOK_SECRETS_FILE)
  PENDO_ALLOW_UNSIGNED
  PENDO_EVENTS
"""

CATALOG: Final = """\
Reads the guides of your Pendo subscription and writes the questions and choices of their polls into
one file. With it in PENDO_CATALOG_FILE, deliver and drain send poll answers in words: a webhook has
only the ids of poll and choice. The file holds your own texts, and no answers and no visitors.

Settings, from the environment or the configuration file:
  PENDO_INTEGRATION_KEY   required, or PENDO_INTEGRATION_KEY_FILE
  PENDO_API_URL           default: https://app.pendo.io

In Pendo, an admin makes the key: Settings > Integrations > Integration Keys. It needs no write
access. Run the command again when polls change; docs/pendo.md says how the functions get the file.
"""

STATUS: Final = """\
AEP answers before it validates: mapping, schema and identities are checked minutes after it has
accepted an event. This shows by hour what the dataflow received, stored and failed, from its runs,
and the failures by code with AEP's own message, the batch, and what usually mends them. It changes
nothing.

Settings, from the environment or the configuration file:
  AEP_CLIENT_ID       required
  AEP_CLIENT_SECRET   required, or AEP_CLIENT_SECRET_FILE
  AEP_IMS_ORG_ID      required
  AEP_SANDBOX         default: prod
  AEP_FLOW_ID         default: the dataflow that `aep apply` made
  AEP_DATASET_ID      default: the dataset of the dataflow
  AEP_SCOPES, AEP_IMS_URL, AEP_PLATFORM_URL   default: Adobe's

In AEP, the role of the API credential must include the sandbox and these permissions: View Sources
for the runs, View Datasets for the batches and their failed records. With one of the two it shows
what it can, and says what is missing.
"""

RECONCILE: Final = """\
Gives every event that was published in a span of time one verdict: stored in the data lake (once or
several times), failed (AEP accepted it and could not store it, and why), late or missing (accepted,
and not stored), dead letter (never accepted, and why), or waiting in Pub/Sub. It shows those that
are not stored, and counts all. With --replay-missing it publishes again what is missing: sending an
event again is safe, as its id stays the same.

It reads the topic, which must have message retention, the backlog and the dead letters, without
taking anything: through temporary subscriptions and snapshots that it deletes. It reads the data
lake by Query Service. It is in no hurry: Pub/Sub does not say when everything was read, so it takes
some minutes.

Settings, beside those of status:
  GOOGLE_CLOUD_PROJECT       required
  PUBSUB_TOPIC               default: pendo-events
  PUSH_SUBSCRIPTION          default: pendo-events-deliver
  DRAIN_SUBSCRIPTION         if drain pulls from another
  DEAD_LETTER_SUBSCRIPTION   default: pendo-events-dead-kept
  PUBSUB_EMULATOR_HOST       from the environment: an emulator instead of Google

In AEP, the role of the API credential must include the sandbox and these permissions: Manage
Queries, View Datasets and View Sources. Without Manage Queries it shows only the counts of status.
On Google Cloud it needs roles/pubsub.editor.
"""

DEAD_LETTERS: Final = """\
Dead letters are messages that could not be delivered: webhooks that receive could not read, and
events that AEP rejected. Each is kept, with its reason, in the subscription of the dead-letter
topic.

Settings of the functions, from the environment or a file:
  GOOGLE_CLOUD_PROJECT   required
  DEAD_LETTER_TOPIC      where the dead letters are (default: pendo-events-dead)
  PUBSUB_TOPIC           where replayed events go (default: pendo-events)
  REDACT                 what is removed from a webhook that is read again
  PUBSUB_EMULATOR_HOST   an emulator instead of Google
"""
DEAD_LETTERS_LIST: Final = """\
Lists the dead letters, newest first. It shows what AEP said of each event, but no content of the
events. Reading changes nothing: every dead letter is given back at once, also on Ctrl-C."""
DEAD_LETTERS_SHOW: Final = """\
Shows one dead letter in full: its attributes and the original bytes. That is PERSONAL DATA, in your
terminal and wherever you pipe it."""
DEAD_LETTERS_REPLAY: Final = """\
Sends dead letters through the pipeline again: webhooks are read again by the current code, and
events that AEP rejected are published again. Fix the cause first. A dead letter is removed once its
event is stored on PUBSUB_TOPIC; all others stay. It may be interrupted at any moment and run again:
at worst an event is sent twice, with the same id."""

COMPLETION: Final = """\
Prints a script for your shell. It defines `pendo-aep` as the command of this Python, so that it
works from any folder, and makes Tab complete commands, options and their values.
"""


class Formatter(argparse.HelpFormatter):
    """Fills paragraphs to the width of the terminal, and leaves indented lines as they are."""

    def add_argument(self, action: argparse.Action) -> None:
        """Makes room for what argparse forgets: that it indents the names of commands."""
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 (it has no other name)
            longest = max(map(len, action.choices)) + _INDENTS
            self._action_max_length = max(self._action_max_length, longest)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = (
            paragraph if "\n " in f"\n{paragraph}" else textwrap.fill(paragraph, width)
            for paragraph in text.strip().split("\n\n")
        )
        return textwrap.indent("\n\n".join(paragraphs), indent)


def epilog(*examples: tuple[str, str], exit_codes: str = EXIT_CODES) -> str:
    """Returns the end of a help text: each example command below its purpose, and exit codes."""
    shown = "\n\n".join(f"  # {purpose}\n  {command}" for command, purpose in examples)
    return f"Examples:\n\n{shown}\n\n{exit_codes}"
