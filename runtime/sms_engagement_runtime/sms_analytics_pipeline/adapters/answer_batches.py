"""Answers of a batch of the stream: found, read, and kept at the same time."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Executor
from typing import Annotated, Any, Final

import msgspec

from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.observability import logger
from sms_engagement_runtime.sms_analytics_pipeline.adapters.kinesis_records import Batch, decode_batch
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import LATEST_TIMESTAMP, EventType
from sms_engagement_runtime.sms_analytics_pipeline.domain.responses import Kept, ResponseKeeper
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import Subscriber

WORKERS: Final = 16
"""Answers that are kept at the same time. Each waits for one transaction, so a batch of a hundred takes some
seven times as long as one; more threads save less time than they take from one another."""


# A partition key takes 2,048 bytes, a sort key 1,024 (DynamoDB developer guide, *Service quotas*), and a
# character takes up to four of them. Real ids are a tenth of this.
KeyText = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
EventId = Annotated[str, msgspec.Meta(min_length=1, max_length=250)]
ShortText = Annotated[str, msgspec.Meta(max_length=512)]


class AnswerEvent(msgspec.Struct, gc=False):
    """What is read of an event."""

    event_type: str
    event_id: EventId
    event_timestamp: Annotated[int, msgspec.Meta(ge=0, le=LATEST_TIMESTAMP)]
    subscriber_id: KeyText
    phone_number: ShortText | None = None
    message_id: ShortText | None = None
    campaign_id: ShortText | None = None
    journey_id: ShortText | None = None
    response_text: str | None = None
    keyword: ShortText | None = None
    record_status: str | None = None
    counted_as: str | None = None
    counted_at: int | None = None
    schema_version: int = 1


_decode = msgspec.json.Decoder(AnswerEvent).decode


def _in_base64(raw: bytes) -> tuple[str, str, str]:
    """Return what a base64 text has where the bytes that it stands for have these, wherever they begin.

    Three bytes make four characters. So there are three ways in which the bytes can lie, and of each those
    characters are taken that no neighbour has a part in.
    """
    ways = []
    for before in range(3):
        text = base64.b64encode(b"\0" * before + raw).decode()
        ways.append(text[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6])
    return ways[0], ways[1], ways[2]


_RECEIVED: Final = _in_base64(b'"_SMS.RECEIVED"')


def read(event: Mapping[str, Any]) -> Batch[AnswerEvent] | None:
    """Decode the answers of a batch; None where it has none.

    They are looked for before anything is decoded: of everything on the stream, one event in forty is one.
    """
    first, second, third = _RECEIVED
    records = [
        record
        for record in event["Records"]
        if first in (data := record["kinesis"]["data"]) or second in data or third in data
    ]
    return decode_batch({"Records": records}, _decode) if records else None


def keep_batch(
    batch: Batch[AnswerEvent],
    keeper: ResponseKeeper,
    workers: Executor,
    *,
    erased: AbstractSet[str] = frozenset(),
) -> tuple[dict[Kept, int], str | None]:
    """Keep the answers of a batch.

    Parameters
    ----------
    erased
        Subscriber ids of who was erased: nothing of them is kept.

    Returns
    -------
    tuple
        How many became what, and the sequence number of the first answer that is not kept.
    """
    people: dict[str, list[tuple[str, AnswerEvent]]] = {}
    for number, event in zip(batch.sequence_numbers, batch.events, strict=True):
        if event.event_type == EventType.RECEIVED and event.subscriber_id not in erased:
            people.setdefault(event.subscriber_id, []).append((number, event))
    if not people:
        return {}, None
    rows = keeper.subscribers.find(people)
    arguments = [(keeper, answers, rows.get(subscriber_id)) for subscriber_id, answers in people.items()]
    counts: dict[Kept, int] = {}
    failed: list[str] = []
    for kept, failed_at in workers.map(_keep_answers, *zip(*arguments, strict=True)):
        for outcome in kept:
            counts[outcome] = counts.get(outcome, 0) + 1
        if failed_at is not None:
            failed.append(failed_at)
    # The numbers are of different lengths.
    return counts, min(failed, key=int, default=None)


def _keep_answers(
    keeper: ResponseKeeper, answers: Sequence[tuple[str, AnswerEvent]], row: Subscriber | None
) -> tuple[list[Kept], str | None]:
    """Keep the answers of one person, up to the first that cannot be."""
    kept: list[Kept] = []
    for number, answer in answers:
        try:
            outcome, row = keeper.keep(answer, row)
        except TransientError as error:
            logger.warning("answer not kept", sequence_number=number, reason=str(error))
            return kept, number
        kept.append(outcome)
    return kept, None
