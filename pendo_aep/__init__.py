"""Pendo webhooks into Adobe Experience Platform (AEP), by way of Google Pub/Sub.

`app` builds the functions; `pipeline` is what they do; `pendo`, `pubsub` and `aep` are the source,
the queue and the destination. See docs/architecture.md.
"""

from __future__ import annotations

import gc


def tune_gc() -> None:
    """Makes garbage collection rare; call it before the imports, whose objects all stay.

    What a request allocates is freed by its reference counts. With Python's threshold of 700
    objects the collector walks Google's client, some 65,000 objects, again and again: a quarter of
    a request's CPU, and a seventh of a start.
    """
    gc.set_threshold(50_000, 10, 10)


def freeze_gc() -> None:
    """Exempts everything that exists now; call it when a process is ready for requests."""
    gc.freeze()
