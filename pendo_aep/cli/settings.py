"""What `dead-letters` reads from the environment: the topics and the redaction, as `receive` does.

Names, checks and defaults are inherited, so that they cannot differ from those of the functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pendo_aep.settings import ReceiveSettings, load

# No others: a wrong setting of a function must not keep anybody from reading the letters.
NAMES: Final = ("GOOGLE_CLOUD_PROJECT", "DEAD_LETTER_TOPIC", "PUBSUB_TOPIC", "REDACT")


class LetterSettings(ReceiveSettings):
    """The settings of `receive`, of which only `NAMES` are read."""

    @classmethod
    def needed(cls, given: Mapping[str, object]) -> tuple[str, ...]:  # noqa: ARG003 (the base's)
        """Nothing more: no webhook comes in here, so there is no signature to check."""
        return ()

    def subscription_path(self, subscription: str) -> str:
        """`projects/P/subscriptions/S` of a subscription that may be given by its name alone."""
        return self._path(subscription, "subscriptions")


def read_settings(environ: Mapping[str, str]) -> LetterSettings:
    """The settings of the command.

    Raises:
        SettingsError: some are missing or wrong.
    """
    return load(LetterSettings, {name: environ[name] for name in NAMES if name in environ})
