"""What can stand in the way of the set-up, each with a text for the person who asked for it."""

from __future__ import annotations


class PlatformError(Exception):
    """The set-up cannot go on; the text says what is wrong, and what to do."""


class OutOfReach(PlatformError):
    """AEP or its token endpoint gives no answer, or asks to be left alone."""


class Refused(PlatformError):
    """AEP has said no, so the call has changed nothing; `status` is that of HTTP."""

    def __init__(self, status: int, code: str, text: str) -> None:
        """Takes the status, AEP's own code, and what is wrong with what to do."""
        super().__init__(text)
        self.status = status
        self.code = code

    @property
    def is_permission(self) -> bool:
        """Whether a permission is missing; the gateway, whose codes are numbers, knows none."""
        return self.status == 403 and not self.code.isdecimal()


class OutcomeUnknown(PlatformError):
    """A call that changes something got no answer: it may have taken effect, or not.

    Never repeat it blindly: names are not unique in AEP, so look first.
    """

    def __init__(self, text: str, pause: float = 0.0) -> None:
        """Takes what happened, and the seconds that AEP wants to be left alone."""
        super().__init__(text)
        self.pause = pause


class Conflict(PlatformError):
    """What is there cannot be made what it should be; nothing has been changed."""


class NameTaken(Conflict):
    """Something else has a name that must be unique, so that a part cannot be made."""
