"""The product behind the contract of the sequential baseline, so that both run side by side in one process.

``sequential_baseline/bench.py --adapter benchmarks.adapter`` drives it. What runs is the product: its domain,
its services and its adapters. Only what lies behind them is the benchmark's ``env``: the objects below have
the methods of boto3's clients that the product calls, and hand each call to ``env``, which counts it and
waits as long as such a call is assumed to take.

The parts of a wave are sent at once, as the Distributed Map does: in processes of their own, two for each
processor of this machine. A deployment at such a rate has some twenty functions with a hundred threads each,
here they are a few with forty. Where calls take no time, and the CPU time of it all is measured, everything
is done in one process. Reading and writing the objects of a run costs it about a second, however many its
people are, so a comparison needs thousands of them.

Four things differ from a deployment, each because the benchmark's customers are drawn at random:

- one number in twenty belongs to no numbering plan. The product skips such people with a reason; here they
  are texted, after the product's parser has had its say, since the benchmark wants every active customer
  texted;
- three numbers of the twenty thousand are drawn twice. The product texts a phone once; here each customer
  counts as a phone of their own;
- they are drawn from ten countries, and all live in New York: a part holds people with the same hours, and
  three hundred people would be sixteen parts, some of one person;
- the rate of the origination identity is set so high that the pacer never waits, since the baseline has none.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from typing import Any, Final, cast

import phonenumbers

from benchmarks.consumers import (
    BATCH,
    CANONICAL,
    analytics_processor,
    analyze_sentiment,
    archive_consumer,
    event_processor,
    response_handler,
)
from sms_engagement_runtime.channel.adapters.clock import SystemClock
from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.adapters.dynamodb_messages import DynamoLedger
from sms_engagement_runtime.channel.adapters.end_user_messaging import EndUserMessagingSender
from sms_engagement_runtime.channel.adapters.number_places import NumberPlaces
from sms_engagement_runtime.channel.adapters.pacing import (
    PACING_KEY,
    DynamoRateQueue,
    SharedPacer,
)
from sms_engagement_runtime.channel.adapters.pause import DynamoPauseFlag
from sms_engagement_runtime.channel.adapters.phone_numbers import LibPhoneNumberParser
from sms_engagement_runtime.channel.adapters.run_store import S3RunStore
from sms_engagement_runtime.channel.adapters.secrets import SecretCache
from sms_engagement_runtime.channel.adapters.shuffle import S3Shuffle
from sms_engagement_runtime.channel.domain.broadcast.asking import PartAsker
from sms_engagement_runtime.channel.domain.broadcast.audience import Candidate, Cursor, Page, Skipped
from sms_engagement_runtime.channel.domain.broadcast.outcomes import Tally
from sms_engagement_runtime.channel.domain.broadcast.planning import Next, Planner
from sms_engagement_runtime.channel.domain.broadcast.run import Assignment, BroadcastSettings, PartReport, Run
from sms_engagement_runtime.channel.domain.broadcast.snapshot import Snapshot
from sms_engagement_runtime.channel.domain.broadcast.stop_rules import StopRules
from sms_engagement_runtime.channel.domain.campaign_counts import Counts
from sms_engagement_runtime.channel.domain.errors import InvalidPhoneNumberError
from sms_engagement_runtime.channel.domain.keywords import Keyword, recognise
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.channel.domain.pacing import Rate
from sms_engagement_runtime.channel.domain.phone_number import NumberKind, ParsedNumber, PhoneNumber
from sms_engagement_runtime.channel.domain.quiet_hours import Place, QuietHoursPolicy
from sms_engagement_runtime.channel.domain.sending import SendPolicy, SendService
from sms_engagement_runtime.channel.domain.state_rules import Window
from sms_engagement_runtime.review_collector.adapters.dynamodb_customers import DynamoCustomers
from sms_engagement_runtime.review_collector.adapters.dynamodb_requests import DynamoReviewRequests
from sms_engagement_runtime.review_collector.adapters.link_keys import CachedLinkKeys
from sms_engagement_runtime.review_collector.domain.asking import ReviewAsker
from sms_engagement_runtime.review_collector.domain.audience import ReviewAudience
from sms_engagement_runtime.review_collector.domain.link_keys import verify
from sms_engagement_runtime.review_collector.domain.reasons import AskReason
from sms_engagement_runtime.review_collector.domain.request_texts import RequestTexts
from sms_engagement_runtime.review_collector.domain.requests import REGISTRATION, reference_to_id, request_id
from sms_engagement_runtime.review_collector.domain.reviews import find_errors
from sms_engagement_runtime.review_collector.domain.tokens import Verified

__all__ = [
    "BATCH",
    "CANONICAL",
    "analytics_processor",
    "analyze_sentiment",
    "archive_consumer",
    "broadcast",
    "classify",
    "event_processor",
    "generate_token",
    "reference",
    "response_handler",
    "validate_review",
    "validate_token",
]

NAME: Final = "product"
"""Label in the output."""

LINK_LIFETIME: Final = timedelta(days=7)
"""As the product's default."""

PARTS_PER_SECOND: Final = 100_000
"""More than can be reached, so that the pacer is asked and never waits."""

PARTS_AT_ONCE: Final = 2 * (os.cpu_count() or 1)
"""More processes only take the processors from one another."""

RECIPIENTS_PER_PART: Final = 1_000
"""As the construct has it where several functions share a wave."""

WORKERS: Final = 40
"""Threads of a process."""

_SUBSCRIBER_KEY: Final = "benchmark-key-of-subscriber-and-request-ids"
_KEYWORDS: Final = {
    Keyword.OPT_OUT: "opt_out",
    Keyword.CONFIRM: "opt_in",
    Keyword.START: "opt_in",
}


def generate_token(user_id: str, secret: str) -> str:
    """Make the link token of a customer, the request id included."""
    reference = request_id(user_id, REGISTRATION, _SUBSCRIBER_KEY.encode())
    return _link_keys(secret).current().mint(reference, expires_at=datetime.now(UTC) + LINK_LIFETIME)


def validate_token(token: str, secret: str) -> tuple[str | None, str | None]:
    """Verify a token as the form does; return the request id, or why there is none."""
    result = verify(token, _link_keys(secret), now=datetime.now(UTC), max_lifetime=LINK_LIFETIME)
    if isinstance(result, Verified):
        return reference_to_id(result.reference), None
    return None, result.kind


def reference(user_id: str) -> str:
    """Return what ``validate_token`` returns for a customer's token: it carries a reference, not a name."""
    return reference_to_id(request_id(user_id, REGISTRATION, _SUBSCRIBER_KEY.encode()))


def validate_review(data: Mapping[str, object]) -> tuple[bool, list[str] | None]:
    """Check a submitted review."""
    errors = find_errors(data.get("rating"), data.get("reviewText"))
    return (False, list(errors)) if errors else (True, None)


def classify(text: str) -> str:
    """Say what an inbound text asks for, in the three words of the contract."""
    return _KEYWORDS.get(recognise(text), "regular")


def broadcast(env: Any, time_left: Callable[[], float] = lambda: 1e9) -> dict[str, Any]:
    """Ask all active customers for a review: snapshot, plan, parts, and each person through gate and ledger.

    It ends with the wave in which the time does.
    """
    asker, s3 = _asker(env), _S3(env)
    service = asker.send_service
    run = Run(run_id="benchmark", started_at=service.clock.now())
    store = S3RunStore(cast("Any", s3), bucket=env.bucket)
    settings = BroadcastSettings(
        recipients_per_part=RECIPIENTS_PER_PART, recipients_per_second=PARTS_PER_SECOND
    )
    Snapshot(
        run=run,
        source=_Audience(
            customers=asker.customers,
            requests=asker.requests,
            parser=asker.parser,
            subscriber_key=asker.subscriber_key,
            places=service.places,
            hours=service.policy.quiet_hours,
            policy=asker.policy,
            clock=service.clock,
        ),
        store=store,
        shuffle=S3Shuffle(cast("Any", s3), bucket=env.bucket),
        settings=settings,
        token="snapshot",
        may_go_on=lambda: True,
    ).take()
    counts, rules = _Counts(), StopRules()
    planner = Planner(
        store=store,
        hours_of=service.policy.quiet_hours.hours_of_key,
        pause=service.pause,
        counts=counts,
        stop_rules=rules,
        settings=settings,
    )
    part_asker = PartAsker(
        find=asker.customers.find,
        missing_reason=AskReason.NO_CUSTOMER,
        ask=lambda customer: asker.ask_due(customer, run_id=run.run_id),
        store=store,
        hours_of=planner.hours_of,
        clock=service.clock,
        pause=service.pause,
        counts=counts,
        stop_rules=rules,
        has_time=lambda: time_left() > 0,
        on_error=lambda error: env.log.write(f"Person not asked: {error.__name__}"),
        sleep=time.sleep,
        workers=WORKERS,
    )
    functions = _Functions(env, s3, part_asker)
    total = Tally()
    turn = planner.take_turn(run, after=0, now=service.clock.now(), token="0")
    while turn.manifest_key is not None:
        (wave,) = store.read_json([turn.manifest_key], prefix=run.prefix)
        for report in functions.carry_out(wave, turn=turn.number):
            env.log.write(json.dumps({"message": "Part sent", "outcomes": report.final.outcomes}))
            total += report.final
        if time_left() <= 0:
            break
        turn = planner.take_turn(run, after=turn.number, now=service.clock.now(), token=str(turn.number))
    return {
        "sent": total.outcomes.get(OutcomeState.ACCEPTED, 0),
        "failed": total.outcomes.get(OutcomeState.FAILED, 0),
        "complete": turn.next is Next.DONE,
    }


class _Functions:
    """What a Distributed Map calls: functions that carry out the parts of a wave side by side."""

    def __init__(self, env: Any, s3: _S3, part_asker: PartAsker[Any]) -> None:
        self._env = env
        self._s3 = s3
        self._part_asker = part_asker

    def carry_out(self, wave: Sequence[Any], *, turn: int) -> Iterator[PartReport]:
        """Carry out all parts of a wave and return their reports in its order."""
        tokens = [f"{turn}-{number}" for number in range(len(wave))]
        if self._env.latency.get("sms-voice.SendTextMessage"):
            yield from self._in_processes(wave, tokens)
        else:
            for item, token in zip(wave, tokens, strict=True):
                yield self._part_asker.carry_out(Assignment.from_json(item), token=token)

    def _in_processes(self, wave: Sequence[Any], tokens: Sequence[str]) -> Iterator[PartReport]:
        # A forked process has the tables, the stored objects and the code that is loaded, as a warm function.
        _inherited[:] = [self]
        fork = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(min(PARTS_AT_ONCE, len(wave)), mp_context=fork) as processes:
            for report, traces in processes.map(_carry_out_in_process, wave, tokens):
                self._take_over(traces)
                yield PartReport.from_json(report)
        _inherited.clear()

    def carry_out_alone(self, item: Any, token: str) -> tuple[Any, _Traces]:
        """Carry out one part in a process of its own; return its report and what it left in ``env``."""
        env, before = self._env, set(self._s3.objects)
        env.calls.clear()
        env.items.clear()
        env.smsvoice.sent.clear()
        report = self._part_asker.carry_out(Assignment.from_json(item), token=token)
        new = {key: body for key, body in self._s3.objects.items() if key not in before}
        return report.to_json(), _Traces(dict(env.calls), dict(env.items), list(env.smsvoice.sent), new)

    def _take_over(self, traces: _Traces) -> None:
        self._env.calls.update(traces.calls)
        self._env.items.update(traces.items)
        self._env.smsvoice.sent += traces.sent
        self._s3.objects.update(traces.objects)


_inherited: list[_Functions] = []


def _carry_out_in_process(item: Any, token: str) -> tuple[Any, _Traces]:
    [functions] = _inherited
    return functions.carry_out_alone(item, token)


@dataclass(frozen=True, slots=True)
class _Traces:
    """What a process has left behind: calls by API, items in them, texts, and objects by key."""

    calls: Mapping[str, int]
    items: Mapping[str, int]
    sent: Sequence[Mapping[str, Any]]
    objects: Mapping[str, bytes]


@cache
def _link_keys(secret: str) -> CachedLinkKeys:
    # One cache a secret, as one a process.
    return CachedLinkKeys(lambda: json.dumps({"active": 1, "k1": secret}))


def _asker(env: Any) -> ReviewAsker:
    dynamodb: Any = _DynamoDB(env)
    secrets: Any = _Secrets(env)
    return ReviewAsker(
        send_service=SendService(
            contacts=DynamoContacts(dynamodb, table="contacts"),
            ledger=DynamoLedger(dynamodb, messages_table="messages", contacts_table="contacts"),
            sender=EndUserMessagingSender(
                cast("Any", _SmsVoice(env)),
                origination_identity="phone-benchmark",
                configuration_set="benchmark",
            ),
            pause=DynamoPauseFlag(dynamodb, table="contacts"),
            pacer=SharedPacer(
                Rate(parts_per_second=PARTS_PER_SECOND),
                queue=DynamoRateQueue(dynamodb, table="contacts"),
                clock=SystemClock(),
                sleep=time.sleep,
                jitter=random.random,
            ),
            places=_Places(),
            clock=SystemClock(),
            policy=SendPolicy(
                allowed_countries=frozenset(phonenumbers.SUPPORTED_REGIONS),
                # At any hour of the day, so that it can run at any.
                quiet_hours=QuietHoursPolicy(window=Window.of_hours(0, 24), state_rules=False),
            ),
        ),
        requests=DynamoReviewRequests(dynamodb, table="requests"),
        customers=DynamoCustomers(dynamodb, table="customers"),
        parser=_Parser("US"),
        subscriber_key=SecretCache(secrets, "subscriber-key", max_age_seconds=float("inf")).key,
        link_keys=CachedLinkKeys(SecretCache(secrets, "link-keys", max_age_seconds=0).text),
        texts=RequestTexts(),
        link_base_url=env.form_url,
        link_lifetime=LINK_LIFETIME,
    )


class _Parser(LibPhoneNumberParser):
    """The product's parser, which lets numbers through that no numbering plan holds."""

    def parse(self, raw: str | None) -> ParsedNumber:
        try:
            return super().parse(raw)
        except InvalidPhoneNumberError:
            return ParsedNumber(number=PhoneNumber(raw or ""), country="US", kind=NumberKind.UNKNOWN)


class _Places(NumberPlaces):
    """The product's places, after which everybody lives in New York: people of one group, as of one country.

    A part holds people of one group. The benchmark's three hundred are drawn from ten countries with sixteen
    groups, and would be sixteen parts of which some hold one person.
    """

    def place_of(self, number: PhoneNumber, country: str | None, time_zone: str | None) -> Place:
        super().place_of(number, country, time_zone)
        return Place(("America/New_York",))


class _Audience(ReviewAudience):
    """The product's audience, with a phone of their own for each customer."""

    def candidates(self, cursor: Cursor | None) -> Page[Candidate | Skipped]:
        page = super().candidates(cursor)
        rows = [
            replace(row, subscriber_id=f"{row.subscriber_id}/{row.recipient_id}")
            if isinstance(row, Candidate)
            else row
            for row in page.rows
        ]
        return Page(rows=rows, next=page.next)


class _Counts:
    """Counts that nobody adds to: no delivery event comes here."""

    def add(self, campaign_id: str, **_: Any) -> None:
        """Count nothing."""

    def get(self, campaign_id: str) -> Counts:  # noqa: ARG002 - of the port
        return Counts()


class _DynamoDB:
    """The methods of boto3's DynamoDB client that the product calls, on the tables of ``env``."""

    def __init__(self, env: Any) -> None:
        self._env = env
        # The benchmark assumes no latency for it: a hundred rows take about what a page of a scan does.
        env.latency.setdefault("dynamodb.BatchGetItem", env.latency.get("dynamodb.Scan", 0.0))
        self._queue_end = 0

    def scan(self, *, TableName: str, **request: Any) -> dict[str, Any]:  # noqa: N803 - boto3's name
        page = getattr(self._env, TableName).scan(**request)
        return {**page, "Items": [_wire(row) for row in page["Items"]]}

    def batch_get_item(self, *, RequestItems: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        ((name, request),) = RequestItems.items()
        rows = getattr(self._env, name).by
        self._env.hit("dynamodb.BatchGetItem", len(request["Keys"]))
        ids = (key["userId"]["S"] for key in request["Keys"])
        return {"Responses": {name: [_wire(rows[user_id]) for user_id in ids if user_id in rows]}}

    def get_item(self, *, TableName: str, Key: Mapping[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's names
        # The tables behind these reads start empty and take a hash key only.
        name, attribute = next(iter(Key.items()))
        answer: dict[str, Any] = getattr(self._env, TableName).get_item(Key={name: attribute["S"]})
        return answer

    def query(self, *, TableName: str, **request: Any) -> dict[str, Any]:  # noqa: N803 - boto3's name
        # The table behind it starts empty, as for reads of single rows; its keys are plain values.
        plain = {name: attribute["S"] for name, attribute in request["ExpressionAttributeValues"].items()}
        answer: dict[str, Any] = getattr(self._env, TableName).query(ExpressionAttributeValues=plain)
        return answer

    def put_item(self, *, TableName: str, **request: Any) -> dict[str, Any]:  # noqa: N803 - boto3's name
        answer: dict[str, Any] = getattr(self._env, TableName).put_item(**request)
        return answer

    def update_item(self, *, TableName: str, **request: Any) -> dict[str, Any]:  # noqa: N803 - boto3's name
        answer: dict[str, Any] = getattr(self._env, TableName).update_item(**request)
        if request["Key"] == PACING_KEY:
            values = {name: int(value["N"]) for name, value in request["ExpressionAttributeValues"].items()}
            answer["Attributes"] = {"queueEnd": {"N": str(self._move_queue(values))}}
        return answer

    def _move_queue(self, values: Mapping[str, int]) -> int:
        """Move the end of the queue before the rate: the one row whose content counts here."""
        with self._env.lock:
            self._queue_end = values.get(":end", self._queue_end + values.get(":length", 0))
            return self._queue_end

    def transact_write_items(self, *, TransactItems: Sequence[Any]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        answer: dict[str, Any] = self._env.transact_write_items(TransactItems)
        return answer


class _S3:
    """The methods of boto3's S3 client that the product calls; ``env`` takes objects and gives none back."""

    def __init__(self, env: Any) -> None:
        self._env = env
        # The benchmark assumes no latency for reading: it takes about what writing does.
        for api in ("s3.GetObject", "s3.ListObjectsV2"):
            env.latency.setdefault(api, env.latency.get("s3.PutObject", 0.0))
        self.objects: dict[str, bytes] = {}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, **_: Any) -> dict[str, Any]:  # noqa: ARG002, N803 - boto3's names
        self._env.hit("s3.PutObject")
        self.objects[Key] = Body
        return {}

    def get_object(self, *, Bucket: str, Key: str, Range: str = "bytes=0-") -> dict[str, Any]:  # noqa: ARG002, N803 - boto3's names
        self._env.hit("s3.GetObject")
        begin, _, end = Range.removeprefix("bytes=").partition("-")
        last = int(end) + 1 if end else None
        return {"Body": BytesIO(self.objects[Key][int(begin) : last])}

    def get_paginator(self, operation: str) -> _S3:
        assert operation == "list_objects_v2"
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> list[dict[str, Any]]:  # noqa: ARG002, N803 - boto3's names
        self._env.hit("s3.ListObjectsV2")
        return [{"Contents": [{"Key": key} for key in list(self.objects) if key.startswith(Prefix)]}]


class _SmsVoice:
    """The methods of boto3's End User Messaging client that the product calls; ``env`` has no connections."""

    def __init__(self, env: Any) -> None:
        self.send_text_message = env.smsvoice.send_text_message

    def close(self) -> None:
        """Close nothing."""


class _Secrets:
    """The one method of boto3's Secrets Manager client that the product calls."""

    def __init__(self, env: Any) -> None:
        self._texts = {
            "subscriber-key": _SUBSCRIBER_KEY,
            "link-keys": json.dumps({"active": 1, "k1": env.secret}),
        }

    def get_secret_value(self, *, SecretId: str) -> dict[str, str]:  # noqa: N803 - boto3's name
        return {"SecretString": self._texts[SecretId]}


def _wire(row: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    return {
        name: {"S": value} if isinstance(value, str) else {"N": str(value)} for name, value in row.items()
    }
