"""An event source mapping of a queue waits for its batching window and takes batches of more than ten.

Reason
    A broadcast makes two delivery events a text. Taken one by one they start as many workers of the event
    recorder as the mapping allows, all cold and all at once, and a run on a small machine waits seconds for
    its own summary. What a batch costs, and what a handler does with a hundred records, is not seen at all.
AWS
    With ``MaximumBatchingWindowInSeconds`` Lambda waits until the window is over, the batch is full or the
    payload limit is reached; with a window of at least a second ``BatchSize`` may be up to 10,000.
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
MiniStack 1.5.33
    Takes whatever is visible, at once, and never more than ten messages.
Hook
    ``lambda_svc._poll_sqs`` asks first whether the batch is ready; ``sqs._receive_messages_for_esm`` loses
    its limit of ten. The payload limit is not looked at.
"""

import time
from itertools import islice
from typing import Any

from sms_local.emulator.patches._pinned import PatchSettings, rewrite

_DEFAULT_BATCH_SIZE = 10


def apply(_: PatchSettings) -> None:
    """Let mappings of queues fill their batches."""
    from ministack.services import lambda_svc, sqs

    lambda_svc._sqs_batch_is_ready = batch_is_ready
    take = "batch = _sqs._receive_messages_for_esm(queue_url, batch_size)"
    rewrite(
        lambda_svc,
        "_poll_sqs",
        (take, f"if not _sqs_batch_is_ready(esm, queue, now):\n                continue\n            {take}"),
    )
    rewrite(
        sqs,
        "_receive_messages_for_esm",
        ("min(int(max_number or 1), 10)", "min(int(max_number or 1), 10_000)"),
    )


def batch_is_ready(mapping: dict[str, Any], queue: dict[str, Any], now: float | None = None) -> bool:
    """Say whether a mapping would take its batch now.

    Parameters
    ----------
    mapping
        With ``BatchSize`` and ``MaximumBatchingWindowInSeconds``.
    queue
        With ``messages``, each with ``visible_at`` in epoch seconds.
    """
    window = float(mapping.get("MaximumBatchingWindowInSeconds") or 0)
    if not window:
        return True
    now = time.time() if now is None else now
    batch_size = int(mapping.get("BatchSize") or _DEFAULT_BATCH_SIZE)
    # Of a long queue only as many are looked at as fill a batch.
    visible = list(
        islice(
            (message["visible_at"] for message in list(queue["messages"]) if message["visible_at"] <= now),
            batch_size,
        )
    )
    return len(visible) >= batch_size or (bool(visible) and now - min(visible) >= window)
