"""Publishes dead letters to their own topic, where they are kept, listed and replayed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pendo_aep import clock
from pendo_aep.dead_letters import Reason, Stage, dead_letter_attributes
from pendo_aep.logs import log
from pendo_aep.pubsub import PublishFailed, PublishRejected, Topic


class DeadLetterPublisher:
    """Publishes the dead letters of one function."""

    def __init__(self, open_topic: Callable[[], Topic], stage: Stage) -> None:
        """Takes what opens the topic, on the first dead letter: most instances never see one."""
        self._open_topic = open_topic
        self._topic: Topic | None = None
        self._stage = stage

    async def publish(
        self,
        data: bytes,
        attributes: Mapping[str, str],
        *,
        reason: Reason,
        detail: str,
        said: str | None = None,
    ) -> bool:
        """Returns whether the dead letter is stored; if not, do not acknowledge its message.

        Args:
            data: the original bytes, unchanged.
            attributes: those of the message.
            reason: the stable code.
            detail: the error text. It goes into the dead letter, and never into a log.
            said: the error text for the log line, without any value of the event.
        """
        letter = dead_letter_attributes(
            attributes, reason=reason, detail=detail, stage=self._stage, failed_at=clock.now()
        )
        event_id, trace = letter.get("eventId"), letter.get("traceparent")
        if self._topic is None:
            self._topic = self._open_topic()
        try:
            await self._topic.publish(data, letter)
        except (PublishFailed, PublishRejected) as error:
            failure = error.reason if isinstance(error, PublishFailed) else "refused"
            log(
                "ERROR",
                "dead letter not stored",
                event_id=event_id,
                trace=trace,
                reason=reason,
                error=failure,
            )
            return False
        log(
            "ERROR",
            "dead letter stored",
            event_id=event_id,
            trace=trace,
            reason=reason,
            said=said,
            bytes=len(data),
        )
        return True
