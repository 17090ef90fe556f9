"""What a text, an answer, a review and an appointment use of AWS, measured; and what is paid without any.

``python benchmarks/text_cost.py`` measures and prints; ``--write`` puts it into the file that
``sms-engagement cost`` reckons with, and the bills into ``docs/cost.md``.

Measured is what the product's own handlers ask of AWS: they run against moto and the carrier simulator, and
every call is looked at as it leaves boto3 (`benchmarks.metering`). What is paid for by the month, and the
memory of functions, is counted in the synthesized templates of the environment ``prod``. Appointments are
those of `benchmarks.appointment_cost`. Assumed are times of calls and of code: constants of that file and of
this one. Nothing was measured on AWS.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType, SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.appointment_cost import (
    CALL_SECONDS,
    DEFAULTS,
    EVENTS_PER_TEXT,
    LIKE_FOR_LIKE,
    WORK_SECONDS,
    play,
)
from benchmarks.metering import Meter, compact, log_kilobytes
from benchmarks.request_units import Usage, size_of
from sms_engagement_runtime.costs.domain.standing import standing_by_system

# Handlers make their clients when they are imported, and must find a Region and no account.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
os.environ.setdefault("POWERTOOLS_TRACE_DISABLED", "true")
for _name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
    os.environ.setdefault(_name, "none")

ROOT: Final = Path(__file__).resolve().parents[1]
PROFILE: Final = ROOT / "runtime" / "sms_engagement_runtime" / "costs" / "measured.json"
COMMAND: Final = "python benchmarks/text_cost.py --write"
STANDING_COMMAND: Final = "python benchmarks/text_cost.py --standing --write"

_RATE: Final = 1_000
_PEOPLE: Final = 120
"""Of a broadcast. What a run costs whatever its size is spread over them: a few calls each."""

_BATCH: Final = 10
"""Events that a function gets at once while a broadcast goes out, fewer than it may."""

_STREAM_BATCH: Final = 50

_SECRET: Final = "the text of the subscriber key secret"
_LINK_KEYS: Final = json.dumps({"active": 1, "k1": "a link key of the measurement"})
_RUNTIME: Final = "sms_engagement_runtime"
_MORNING: Final = datetime(2026, 11, 23, 17, tzinfo=UTC)


class Clock:
    """Time of the functions: it stands still while they compute, and goes on while they call and wait.

    So what they use is the same on every machine. A text takes some tenths of a second of it, in which nobody
    else reserves: each writes the queue of the rate once, as at one part a second. At a faster rate one write
    serves several texts.
    """

    def __init__(self, instant: datetime) -> None:
        self.instant = instant

    def now(self) -> datetime:
        """Return the present instant."""
        return self.instant

    def sleep(self, seconds: float) -> None:
        """Let so much time pass."""
        self.instant += timedelta(seconds=max(0.0, seconds))

    def seconds(self) -> float:
        """Return seconds since an instant that does not matter, as ``time.monotonic``."""
        return self.instant.timestamp()

    def on_call(self, service: str) -> None:
        """Let the time of a call pass."""
        self.sleep(_call_seconds(service))

    def drives(self, *senders: ModuleType) -> None:
        """Have functions that send wait by this clock."""
        for module in senders:
            service: Any = module._service
            service.pacer._sleep = self.sleep
            # How often the queue of the rate is asked would depend on which thread comes first.
            module._workers = 1  # type: ignore[attr-defined]
            module.time = SimpleNamespace(sleep=self.sleep)  # type: ignore[attr-defined]


def _call_seconds(service: str) -> float:
    return CALL_SECONDS[_KIND.get(service, "other")]


class Bench:
    """The functions in moto, with a meter at every call, their log, and a clock of their own."""

    def __init__(self, memory: Mapping[str, float]) -> None:
        self.clock = Clock(_MORNING)
        self.meter = Meter(self.clock.on_call)
        self.log = io.StringIO()
        self.memory = memory

    @contextmanager
    def on(self) -> Iterator[None]:
        """Take what the functions log, the metrics that they print, and have them go by the clock.

        To be entered before they are imported: what they remember of a secret, of the flag that pauses
        sending and of the list of the erased ages by that clock too.
        """
        from sms_engagement_runtime.channel.adapters.clock import VirtualClock
        from sms_engagement_runtime.channel.adapters.erased_people import ErasedPeople
        from sms_engagement_runtime.channel.adapters.pause import DynamoPauseFlag
        from sms_engagement_runtime.channel.adapters.secrets import SecretCache
        from sms_engagement_runtime.observability import logger

        handler: Any = logger.registered_handler
        former = handler.setStream(self.log)
        try:
            with ExitStack() as stack:
                stack.enter_context(contextlib.redirect_stdout(self.log))
                stack.enter_context(patch.object(VirtualClock, "now", lambda _: self.clock.now()))
                for remembers in (ErasedPeople, DynamoPauseFlag, SecretCache):
                    defaults: Any = remembers.__init__.__kwdefaults__
                    stack.enter_context(patch.dict(defaults, clock=self.clock.seconds))
                yield
        finally:
            handler.setStream(former)

    def flow(self, do: Callable[[], None], *, function: str | None, invocations: int = 1) -> Usage:
        """Return what a piece of work used.

        Parameters
        ----------
        function
            Whose memory is paid for; None where its time is reckoned elsewhere.
        """
        self.meter.restart()
        self.log.seek(0)
        self.log.truncate()
        do()
        usage: Usage = Counter(self.meter.usage)
        _add(usage, "CloudWatch Logs, KB", round(log_kilobytes(self.log.getvalue(), invocations), 1))
        usage["Lambda requests"] += invocations
        usage["X-Ray traces"] += invocations
        if function is not None:
            seconds = invocations * WORK_SECONDS + sum(
                count * _call_seconds(service) for service, count in self.meter.calls.items()
            )
            _add(usage, "Lambda GB-seconds, arm64", seconds * self.memory[function])
        return usage


_KIND: Final = {"dynamodb": "DynamoDB", "pinpoint-sms-voice-v2": "send"}


def _add(usage: Usage, unit: str, amount: float) -> None:
    usage[unit] += amount  # type: ignore[assignment] # as for half units


def _times(usage: Mapping[str, float], factor: float) -> Usage:
    result: Usage = Counter()
    for unit, amount in usage.items():
        _add(result, unit, amount * factor)
    return result


# Reviews: a broadcast, the form, and what is posted


def measure_reviews(memory: Mapping[str, float]) -> dict[str, Usage]:
    """Measure a broadcast, a look at the form, a posted review, a delivery event, an answer."""
    from tests.support.carrier import carrier_server
    from tests.support.review_tables import aws_client, review_tables
    from tests.support.secret_server import secret_server

    bench = Bench(memory)
    with ExitStack() as stack:
        carrier = stack.enter_context(carrier_server()).restart()
        carrier.client.create_configuration_set(ConfigurationSetName="channel")
        carrier.client.create_opt_out_list(OptOutListName="channel")
        secret = stack.enter_context(secret_server(_LINK_KEYS))
        dynamodb = stack.enter_context(review_tables())
        aws_client("secretsmanager").create_secret(Name="subscriber-key", SecretString=_SECRET)
        aws_client("secretsmanager").create_secret(Name="link-keys", SecretString=_LINK_KEYS)
        aws_client("s3").create_bucket(Bucket="broadcast")
        aws_client("sns").create_topic(Name="admin")
        aws_client("sns").create_topic(Name="attention")
        aws_client("sqs").create_queue(QueueName="inbound")
        aws_client("events").create_event_bus(Name="channel")
        stack.enter_context(bench.on())
        environment = _environment(carrier.url)
        shop = _Shop(stack, bench.clock, environment, secret.environment(), dynamodb)
        stack.enter_context(bench.meter.on())
        flows = {"review request": _broadcasts(bench, shop)}
        flows["storage, a text"] = _kept(dynamodb, ("contacts", "messages", "review-requests"), _PEOPLE)
        flows |= _pages(bench, shop)
        flows |= _channel(bench, shop)
    return flows


def _environment(carrier_url: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2": carrier_url,
        "CONTACTS_TABLE": "contacts",
        "MESSAGES_TABLE": "messages",
        "CUSTOMERS_TABLE": "customers",
        "REVIEW_REQUESTS_TABLE": "review-requests",
        "REVIEWS_TABLE": "reviews",
        "BROADCAST_BUCKET": "broadcast",
        "SUBSCRIBER_KEY_SECRET_ARN": "subscriber-key",
        "LINK_SECRET_ARN": "link-keys",
        "LINK_BASE_URL": "https://r.example.com/",
        "RECIPIENTS_PER_PART": "1000",
        "RECIPIENTS_PER_SECOND": str(_RATE),
        "RUN_EXPIRY_SECONDS": "604800",
        "FOLLOW_UP_SECONDS": "259200",
        "SENDER": "eum",
        "ORIGINATION_IDENTITY": (
            "arn:aws:sms-voice:us-east-1:000000000000:phone-number/phone-local0000000000000000000000000"
        ),
        "CONFIGURATION_SET": "channel",
        "ALLOWED_COUNTRIES": "US",
        "DEFAULT_COUNTRY": "US",
        "PARTS_PER_SECOND": str(_RATE),
        "MAX_PARTS": "1",
        "BUS_NAME": "channel",
        "ADMIN_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:admin",
        "ATTENTION_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:attention",
        "INBOUND_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/inbound",
        "OPT_OUT_LIST": "channel",
        "OPT_OUT_MODE": "self",
        "REPLIES": "{}",
        "EDIT_WINDOW_SECONDS": "86400",
        "RETENTION_DAYS": "0",
        "LINK_LIFETIME_SECONDS": "604800",
        "CLOCK": "virtual",
        "CLOCK_OFFSET_FILE": "never read",
    }


class _Shop:
    """Handlers of reviews and of the channel, called as their callers do."""

    def __init__(
        self,
        stack: ExitStack,
        clock: Clock,
        environment: Mapping[str, str],
        secret: Mapping[str, str],
        dynamodb: Any,
    ) -> None:
        from tests.support.handlers import fresh_handler

        self.dynamodb = dynamodb
        self.clock = clock

        def load(module: str, more: Mapping[str, str] | None = None) -> ModuleType:
            name = f"{_RUNTIME}.{module}"
            loaded: ModuleType = stack.enter_context(fresh_handler(name, {**environment, **(more or {})}))
            return loaded

        self.audience = load("review_collector.handlers.audience")
        self.send_part = load("review_collector.handlers.send_part")
        clock.drives(self.send_part)
        self.plan = load("channel.handlers.plan_broadcast")
        self.summary = load("channel.handlers.summarise_broadcast")
        self.form = load("review_collector.handlers.form", secret)
        self.submit = load("review_collector.handlers.submit", secret)
        self.recorder = load("channel.handlers.event_recorder")
        self.router = load("channel.handlers.router")


def _call(module: ModuleType, event: Any, request: str = "request") -> Any:
    from tests.support.handlers import Context

    return json.loads(json.dumps(module.handler(event, Context(aws_request_id=request))))


_RECKONED_BY_RATE: Final = ("Lambda requests", "X-Ray traces")
"""Of a broadcast: by the time that the number takes, and not by texts."""


def _broadcasts(bench: Bench, shop: _Shop) -> Usage:
    for number in range(_PEOPLE):
        row = {
            "userId": f"customer-{number:06}",
            "phoneNumber": _phone(number),
            "name": "Alexandra Thompson",
            "email": f"customer-{number:06}@example.com",
            "status": "active",
            "createdAt": "2026-11-01T12:00:00Z",
        }
        shop.dynamodb.put_item(TableName="customers", Item={k: {"S": v} for k, v in row.items()})
    usage = bench.flow(lambda: _broadcast(shop, "run"), function=None)
    for unit in _RECKONED_BY_RATE:
        del usage[unit]
    return _times(usage, 1 / _PEOPLE)


def _broadcast(shop: _Shop, run_id: str) -> None:
    from tests.support.review_tables import aws_client

    at = shop.clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    event = {"runId": run_id, "startedAt": at, "input": {}}
    taken = _call(shop.audience, event, f"{run_id}-audience")
    while taken["more"]:
        taken = _call(shop.audience, event, f"{run_id}-audience")
    plan = _call(shop.plan, taken, f"{run_id}-plan")
    while plan["next"] != "DONE":
        if plan["next"] == "WAIT":
            shop.clock.instant = datetime.fromisoformat(plan["until"])
        else:
            body = aws_client("s3").get_object(Bucket=plan["bucket"], Key=plan["manifestKey"])["Body"]
            for number, part in enumerate(json.loads(body.read())):
                _call(shop.send_part, part, f"{run_id}-part-{number}")
        plan = _call(shop.plan, plan, f"{run_id}-plan")
    summary = _call(shop.summary, plan, f"{run_id}-summary")
    if summary["outcomes"] != {"ACCEPTED": _PEOPLE}:
        raise RuntimeError(f"the broadcast came to {summary['outcomes']}")


def _kept(dynamodb: Any, tables: Sequence[str], texts: int) -> Usage:
    """Return the bytes that a text leaves in tables, a hundred a row and index entry of DynamoDB's own."""
    kept = 0
    for table in tables:
        for row in dynamodb.scan(TableName=table)["Items"]:
            kept += 2 * 100 + size_of(row)
    return Counter({"bytes kept": round(kept / texts)})


def _pages(bench: Bench, shop: _Shop) -> dict[str, Usage]:
    from sms_engagement_runtime.review_collector.adapters.dynamodb_requests import DynamoReviewRequests
    from sms_engagement_runtime.review_collector.domain.link_keys import parse_keys
    from sms_engagement_runtime.review_collector.domain.requests import ReviewRequest, reference_to_id
    from tests.support.http_events import api_event

    reference = bytes(range(12))
    now = shop.clock.now()
    DynamoReviewRequests(shop.dynamodb, table="review-requests").reserve(
        ReviewRequest(
            request_id=reference_to_id(reference),
            user_id="customer-000001",
            occasion="registration",
            name="Alexandra Thompson",
            recorded_at=now,
            asked_at=now,
        )
    )
    token = parse_keys(_LINK_KEYS).mint(reference, expires_at=now + timedelta(days=6))
    headers = {"accept": "text/html", "content-type": "application/x-www-form-urlencoded"}
    form = api_event("GET /r/{token}", token=token, headers=headers)
    text = "The+coffee+was+hot+and+the+staff+very+kind.+" * 4
    posted = api_event(
        "POST /submit-review", headers=headers, body=f"token={token}&rating=5&reviewText={text}"
    )
    answers: list[Any] = []
    view = bench.flow(lambda: answers.append(_call(shop.form, form)), function="Form")
    review = bench.flow(lambda: answers.append(_call(shop.submit, posted)), function="Submit")
    if [answer["statusCode"] for answer in answers] != [200, 201]:
        raise RuntimeError(f"the form answered {answers}")
    for usage in (view, review):
        usage["HTTP API requests"] += 1
    return {"form view": view, "review": review}


def _channel(bench: Bench, shop: _Shop) -> dict[str, Usage]:
    """Measure delivery events of the texts above, and an inbound message of one of their people."""
    from tests.support.sqs_records import envelope, sqs_event

    sent = [row for row in shop.dynamodb.scan(TableName="messages")["Items"] if "messageId" in row][:_BATCH]
    now = shop.clock.now()
    usage: Usage = Counter()
    for event_type in EVENTS_PER_TEXT:
        bodies = [_delivery(event_type, row["messageId"]["S"], row["messageKey"]["S"], now) for row in sent]
        event = sqs_event(*(envelope(body) for body in bodies))
        usage += bench.flow(partial(_nothing_failed, shop.recorder, event), function="EventRecorder")
    per_event = _times(usage, 1 / (len(sent) * len(EVENTS_PER_TEXT)))
    inbound = {
        "originationNumber": "+12025550101",
        "destinationNumber": "+12065550100",
        "messageKeyword": "KEYWORD_1",
        "messageBody": "thanks, see you soon",
        "inboundMessageId": "0c6a1b5e-1d6f-4c2b-9a5e-000000000001",
        "previousPublishedMessageId": sent[0]["messageId"]["S"],
    }
    event = sqs_event(envelope(inbound, published=now.isoformat().replace("+00:00", "Z")))
    routed = bench.flow(lambda: _nothing_failed(shop.router, event), function="Router")
    for usage in (per_event, routed):
        _from_topic(usage)
    return {"delivery event": per_event, "inbound text": routed}


def _from_topic(usage: Usage) -> None:
    """Add what brings a message from a topic over a queue to a function: in, out, deleted."""
    usage["SNS messages"] += 1
    usage["KMS requests"] += 1
    usage["SQS requests"] += 3


def _delivery(event_type: str, message_id: str, key: str, now: datetime) -> dict[str, Any]:
    return {
        "eventType": event_type,
        "eventVersion": "1.0",
        "eventTimestamp": round(now.timestamp() * 1000),
        "isFinal": event_type == "TEXT_DELIVERED",
        "originationPhoneNumber": "+12065550100",
        "destinationPhoneNumber": "+12025550101",
        "isoCountryCode": "US",
        "messageId": message_id,
        "messageRequestTimestamp": round(now.timestamp() * 1000),
        "messageType": "PROMOTIONAL",
        "messageStatus": event_type.removeprefix("TEXT_"),
        "messageStatusDescription": "Message has been accepted by phone",
        "totalMessageParts": 1,
        "totalMessagePrice": 0.00581,
        "totalCarrierFee": 0.003,
        "context": {"intent": key, "campaign": "run-1"},
    }


def _nothing_failed(module: ModuleType, event: Any) -> None:
    answer = _call(module, event)
    if answer["batchItemFailures"]:
        raise RuntimeError(f"{module.__name__} failed with {answer}")


# Journeys


def measure_journeys(memory: Mapping[str, float]) -> dict[str, Usage]:
    """Measure a promotion to active subscribers, from the start of its journey to the summary."""
    from sms_engagement_runtime.journeys.domain.stock import promotional
    from tests.support.carrier import carrier_server
    from tests.support.dynamodb_tables import CONTACTS, MESSAGES
    from tests.support.handlers import fresh_handler
    from tests.support.journey_drive import (
        ENROLMENTS,
        HANDLERS,
        SUBSCRIBERS,
        environment,
        journey_cloud,
        subscriber_item,
    )

    bench = Bench(memory)
    with ExitStack() as stack:
        carrier = stack.enter_context(carrier_server()).restart()
        carrier.client.create_configuration_set(ConfigurationSetName="channel")
        carrier.client.create_opt_out_list(OptOutListName="channel")
        dynamodb = stack.enter_context(journey_cloud())
        for number in range(_PEOPLE):
            row = subscriber_item(_phone(number), "ACTIVE", attributes={"name": "Alexandra Thompson"})
            dynamodb.put_item(TableName=SUBSCRIBERS, Item=row)
        stack.enter_context(bench.on())
        variables = {
            **environment(carrier.url, Path("never read")),
            "RECIPIENTS_PER_PART": "1000",
        }
        modules = {
            name: stack.enter_context(fresh_handler(path, variables)) for name, path in HANDLERS.items()
        }
        bench.clock.drives(modules["send_part"])
        drive = _journeys(modules, bench.clock)
        stack.enter_context(bench.meter.on())
        summaries: list[Any] = []
        usage = bench.flow(lambda: summaries.append(drive.step(drive.start(promotional()), 1)), function=None)
        if summaries[0]["outcomes"] != {"ACCEPTED": _PEOPLE}:
            raise RuntimeError(f"the promotion came to {summaries[0]['outcomes']}")
        kept = _kept(dynamodb, (CONTACTS, MESSAGES, ENROLMENTS), _PEOPLE)
    for unit in _RECKONED_BY_RATE:
        del usage[unit]
    return {"promotion": _times(usage, 1 / _PEOPLE), "storage, a promotion": kept}


def _journeys(modules: Mapping[str, ModuleType], clock: Clock) -> Any:
    """Drive journeys on a clock, and let the bus and what is remembered of the flag be as in the cloud."""
    from tests.support.handlers import Context
    from tests.support.journey_drive import JourneyDrive

    class Drive(JourneyDrive):  # type: ignore[misc] # tests have no types
        def move(self, instant: datetime) -> None:
            clock.instant = max(clock.instant, instant)

        def call(self, name: str, event: Mapping[str, Any], **context: Any) -> Any:
            call = Context(aws_request_id=f"call-{next(self._calls)}", **context)
            return json.loads(json.dumps(self.modules[name].handler(event, call)))

    return Drive(modules, Path("never written"), clock.now())


def _phone(number: int) -> str:
    return f"+1{202 + number // 100}55501{number % 100:02}"


# The stream


def measure_analytics(memory: Mapping[str, float]) -> dict[str, Usage]:
    """Measure what an event and an answer use from the topic to the archive."""
    from tests.support.pipeline_drive import pipeline
    from tests.support.sqs_records import envelope, sqs_event

    bench = Bench(memory)
    now = _MORNING
    flows = {}
    with bench.on(), pipeline() as line:
        line.clock.instant = now
        with bench.meter.on():
            for name, payloads in {
                "event on the stream": [
                    _delivery("TEXT_DELIVERED", f"message-{n:06}", f"key-{n}", now)
                    for n in range(_STREAM_BATCH)
                ],
                "answer on the stream": [
                    {
                        "originationNumber": f"+120255501{n:02}",
                        "destinationNumber": "+12065550100",
                        "messageKeyword": "KEYWORD_1",
                        "messageBody": "great, thanks",
                        "inboundMessageId": f"inbound-{n}",
                        "previousPublishedMessageId": f"message-{n:06}",
                    }
                    for n in range(_STREAM_BATCH)
                ],
            }.items():
                usage: Usage = Counter()
                for start in range(0, _STREAM_BATCH, _BATCH):
                    some = payloads[start : start + _BATCH]
                    event = sqs_event(*(envelope(each, published=now.isoformat()) for each in some))
                    usage += bench.flow(
                        partial(_nothing_failed, line.ingest_module, event), function="Ingest"
                    )
                shards = line.records().values()
                new = [record for records in shards for record in records][-_STREAM_BATCH:]
                for consumer, function in _CONSUMERS.items():
                    if consumer == "response_handler" and name != "answer on the stream":
                        continue
                    call = partial(_nothing_failed, line.consumers[consumer], {"Records": new})
                    usage += bench.flow(call, function=function)
                per_event = _times(usage, 1 / _STREAM_BATCH)
                _from_topic(per_event)
                flows[name] = per_event
    return flows


_CONSUMERS: Final = {"response_handler": "ResponseHandler", "analytics": "Analytics", "archive": "Archiver"}


_STATES_OF_A_REMINDER: Final = 2
"""The wait, and the task."""


# Appointments


def measure_appointments() -> dict[str, Usage]:
    """Take what a life of an appointment without a reminder uses, and what a reminder uses."""
    reminder = play(DEFAULTS, answers=False).usage_of("remind")
    reminder["state transitions"] += _STATES_OF_A_REMINDER
    flows = {"appointment reminder": reminder}
    for name, answers in (("appointment, answered", True), ("appointment, followed up", False)):
        flows[name] = play(LIKE_FOR_LIKE, answers=answers).usage
    for usage in flows.values():
        del usage["message parts"]
    return flows


# What is paid for by the month


@contextmanager
def synthesized() -> Iterator[dict[str, dict[str, Any]]]:
    """Give the templates of ``prod`` by stack, as ``cdk synth`` writes them."""
    import aws_cdk as cdk

    from app import build_app

    context = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    with TemporaryDirectory() as folder:
        app = cdk.App(context={**context, "stage": "prod"}, outdir=folder, analytics_reporting=False)
        (stage,) = build_app(app)
        app.synth()
        yield {
            path.name.removesuffix(".template.json").removeprefix(f"{stage.node.id}"): json.loads(
                path.read_text(encoding="utf-8")
            )
            for path in sorted(Path(folder).glob("assembly-*/*.template.json"))
        }


def memory_of(templates: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return gigabytes of each function, by its construct's id."""
    found: dict[str, float] = {}
    for template in templates.values():
        for logical_id, resource in template["Resources"].items():
            if resource["Type"] != "AWS::Lambda::Function":
                continue
            size = resource["Properties"].get("MemorySize", 128) / 1024
            for name in _MEASURED:
                if logical_id[:-8].endswith(name):
                    found[name] = max(size, found.get(name, 0))
    return found


_MEASURED: Final = (
    "Form",
    "Submit",
    "EventRecorder",
    "Router",
    "Ingest",
    "ResponseHandler",
    "Analytics",
    "Archiver",
    "SendPart",
)


def measure(templates: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Measure all of it."""
    memory = memory_of(templates)
    flows = {
        **measure_reviews(memory),
        **measure_journeys(memory),
        **measure_analytics(memory),
        **measure_appointments(),
    }
    return {
        "made": COMMAND,
        "sendPartGigabytes": round(memory["SendPart"], 3),
        "flows": {name: compact(usage) for name, usage in sorted(flows.items())},
        "standing": count(templates),
    }


def count(templates: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Count what stands, by system."""
    return {name: dict(sorted(counts.items())) for name, counts in standing_by_system(templates).items()}


def main() -> None:
    """Measure, and print or write."""
    parser = argparse.ArgumentParser(description="Measure what texts use of AWS.")
    parser.add_argument("--write", action="store_true", help=f"into {PROFILE.name} and docs/cost.md")
    parser.add_argument("--standing", action="store_true", help="only what stands, from the templates")
    options = parser.parse_args()
    with synthesized() as templates:
        if options.standing:
            measured = {**json.loads(PROFILE.read_text(encoding="utf-8")), "standing": count(templates)}
        else:
            measured = measure(templates)
        text = json.dumps(measured, indent=2) + "\n"
    if not options.write:
        print(text)
        return
    PROFILE.write_text(text, encoding="utf-8", newline="\n")
    from tools.cost_page import write

    write()


if __name__ == "__main__":
    main()
