"""A queue with tens of thousands of messages is as quick as one with ten.

Reason
    A broadcast to 20,000 people makes 40,000 delivery events, faster than a small machine records them. Each
    message that is taken then costs several walks over all that wait, and the queue grows by what it costs.
AWS
    A standard queue takes "a nearly unlimited number of API calls per second", however many messages wait.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MiniStack 1.5.33
    Walks over all messages of the queue to expire some, to move dead ones, to complete their fields and to
    find visible ones, and copies all of them to delete one.
Hook
    The functions of ``sqs`` that do so, where a standard queue is longer than `SHORT`. Messages are taken
    from the front, so those to delete, and those that were taken too often, are near it.
"""

from collections.abc import Callable, Collection
from itertools import islice, takewhile
from typing import Any, Final

from sms_local.emulator.patches._pinned import PatchSettings, require, rewrite

SHORT: Final = 200
"""Queues of so many messages are left to MiniStack."""

SECONDS_BETWEEN_EXPIRIES: Final = 60.0
"""How late a message goes whose retention, of at least a minute, is over."""

_EXPIRED_AT: Final = "sms_local_expired_at"

type Message = dict[str, Any]
type Queue = dict[str, Any]
type Now = Callable[[], float]


def apply(settings: PatchSettings) -> None:
    """Walk no further than needed."""
    from ministack.services import sqs

    now = settings.clock.now
    for name in ("_expire_retained", "_dlq_sweep", "_collect_msgs"):
        require(holds=hasattr(sqs, name), what=f"sqs.{name}")
    sqs._expire_retained = _now_and_then(sqs._expire_retained, now)
    sqs._dlq_sweep = where_some_came_back(sqs._dlq_sweep, now)
    sqs._collect_msgs = from_the_front(sqs._collect_msgs, now)
    sqs._take_out = take_out
    rewrite(
        sqs,
        "_act_delete_message",
        ("    kept = []\n", "    if _take_out(q, {rh}):\n        return {}\n    kept = []\n"),
    )
    before = '        before = len(q["messages"])\n'
    done = '            ok.append({"Id": eid})\n            continue\n'
    rewrite(
        sqs,
        "_act_delete_message_batch",
        (before, f"        if _take_out(q, {{rh}}):\n{done}{before}"),
    )
    kept = "        kept = []\n"
    rewrite(
        sqs,
        "_delete_messages_for_esm",
        (
            kept,
            f"        if _take_out(q, receipt_handles) == len(receipt_handles):\n            return\n{kept}",
        ),
    )


def is_long(queue: Queue) -> bool:
    """Tell whether a queue is one that this is about."""
    return len(queue["messages"]) > SHORT and not queue["is_fifo"]


def take_out(queue: Queue, receipt_handles: Collection[str]) -> int:
    """Remove messages of a long queue by their handles, and say how many there were."""
    if not is_long(queue):
        return 0
    ours = (message for message in queue["messages"] if message.get("receipt_handle") in receipt_handles)
    found = list(islice(ours, len(receipt_handles)))
    for message in found:
        queue["messages"].remove(message)
    return len(found)


def _now_and_then(expire: Callable[[Queue], None], now: Now) -> Callable[[Queue], None]:
    def expire_now_and_then(queue: Queue) -> None:
        if not is_long(queue) or now() - queue.get(_EXPIRED_AT, 0) >= SECONDS_BETWEEN_EXPIRIES:
            queue[_EXPIRED_AT] = now()
            expire(queue)

    return expire_now_and_then


def where_some_came_back(sweep: Callable[[Queue], None], now: Now) -> Callable[[Queue], None]:
    """Move dead messages of a long queue only where some that were taken are to be taken again."""

    def sweep_where_some_came_back(queue: Queue) -> None:
        instant = now()
        # Those that were ever taken are before the first that waits for it.
        front = takewhile(
            lambda message: message.get("receive_count", 0) or message.get("visible_at", 0) > instant,
            queue["messages"],
        )
        if not is_long(queue) or any(message.get("visible_at", 0) <= instant for message in front):
            sweep(queue)

    return sweep_where_some_came_back


def from_the_front(
    collect: Callable[[Queue, int, int], list[Message]], now: Now
) -> Callable[[Queue, int, int], list[Message]]:
    """Take the first messages of a long queue that are visible, and look at no others."""

    def collect_from_the_front(queue: Queue, most: int, visibility_timeout: int) -> list[Message]:
        if is_long(queue):
            instant = now()
            visible = (message for message in queue["messages"] if message.get("visible_at", 0) <= instant)
            queue = queue | {"messages": list(islice(visible, most))}
        return collect(queue, most, visibility_timeout)

    return collect_from_the_front
