"""Events on the bus are as their schemas in ``docs/events/`` say, and those schemas are all there are.

Whatever any test publishes through the fake bus is held to its schema there; here is that the fake does so,
that nothing is missing, and that what the schemas let through is what our own functions can read.
"""

import ast
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sms_engagement_runtime.appointment_follow_up.domain import bus_events as appointment_events
from sms_engagement_runtime.appointment_follow_up.domain import conversation as rules
from sms_engagement_runtime.appointment_follow_up.domain.bookings import (
    Booked,
    Booking,
    Cancelled,
    NoShowMarked,
    Party,
    Provider,
    appointment_id,
)
from sms_engagement_runtime.appointment_follow_up.domain.conversation import (
    Conversation,
    Event,
    Recipient,
    Reply,
)
from sms_engagement_runtime.appointment_follow_up.domain.reply_kinds import ReplyKind
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.journeys.domain import bus_events as journey_events
from sms_engagement_runtime.review_collector.domain import bus_events
from sms_engagement_runtime.review_collector.domain.errands import read_errand
from tests.support.bus_schemas import FOLDER, documented, errors_of, hold_to_schema
from tests.support.fakes import FakeBus

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = ROOT / "runtime" / "sms_engagement_runtime"

# It is handed from function to function by a state machine, and never on the bus.
OWN_CLOCK = {bus_events.REVIEW_REMINDER_DUE}


def constants_of(path: Path) -> dict[str, str]:
    """Texts of a module by the name of their constant."""
    return {
        node.target.id: node.value.value
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


# Nine, and the one of ReviewCollector.
APPOINTMENT_TYPES = constants_of(RUNTIME / "appointment_follow_up" / "domain" / "bus_events.py").values()


def published_types() -> set[str]:
    """First arguments of every ``bus.publish`` in the runtime, and of every ``_publish`` before one."""
    constants = {name: value for path in RUNTIME.rglob("*.py") for name, value in constants_of(path).items()}
    types = set()
    for path in RUNTIME.rglob("domain/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if not ast.unparse(node.func).endswith(("bus.publish", "self._publish")):
                continue
            match node.args[0]:
                # A name in small letters is a parameter: whoever calls says which type it is.
                case ast.Name(id=name) if name.isupper():
                    types.add(constants[name])
                case ast.Attribute(value=ast.Name(id="bus_events"), attr=name):
                    types.add(constants_of(path.parent / "bus_events.py")[name])
    return types


def consumed_types() -> set[str]:
    names = vars(bus_events)
    own = {value for name, value in names.items() if name.isupper() and isinstance(value, str)} - OWN_CLOCK
    # A rule starts a journey by it; no function reads it.
    return own | {journey_events.SUBSCRIBER_ENTERED}


def test_every_event_that_is_published_or_consumed_has_a_schema_and_no_other() -> None:
    assert published_types() >= {"ReplyReceived", "ReviewLinkRequested", "ReviewSubmitted", "WrongNumber"}
    assert published_types() >= set(APPOINTMENT_TYPES)
    assert published_types() | consumed_types() == documented()


def test_the_overview_has_a_row_for_each() -> None:
    overview = (FOLDER / "README.md").read_text(encoding="utf-8")

    assert set(re.findall(r"^\| `(\w+)` \|", overview, flags=re.MULTILINE)) == documented()


@pytest.mark.parametrize("detail_type", sorted(documented()))
def test_schemas_name_themselves_and_take_fields_that_nobody_knows_yet(detail_type: str) -> None:
    schema = json.loads((FOLDER / f"{detail_type}.schema.json").read_text(encoding="utf-8"))

    assert schema["title"] == detail_type
    assert schema["additionalProperties"] is True
    assert set(schema["required"]) <= set(schema["properties"])
    assert all(field["description"] for field in schema["properties"].values() if "$ref" not in field)


@pytest.mark.parametrize(
    ("detail_type", "detail"),
    [
        ("ReviewSubmitted", {"reviewId": "r", "userId": "u1", "rating": 6, "occasion": "o"}),
        ("ReviewSubmitted", {"reviewId": "r", "userId": "u1", "rating": 5}),
        ("ReviewLinkRequested", {"requestId": "too short"}),
        ("Undocumented", {}),
    ],
)
def test_the_fake_bus_takes_nothing_that_breaks_its_schema(detail_type: str, detail: dict) -> None:
    bus = FakeBus()

    with pytest.raises(AssertionError, match=detail_type):
        bus.publish(detail_type, detail)

    assert bus.events == []


IDS = {"userId": "u1", "occasion": "order-17"}
VALID = [
    ("ReviewRequested", IDS),
    ("ReviewRequested", {**IDS, "occurredAt": "2026-11-21T17:00:00Z"}),
    ("ReviewRequested", {**IDS, "occurredAt": "2026-11-21T17:00:00.123456-05:00"}),
    ("OccasionRecorded", {**IDS, "occurredAt": "2026-11-21"}),
    ("OccasionRecorded", {**IDS, "more": {"than": "we know"}}),
    ("OccasionRecorded", {"userId": "x" * 512, "occasion": "\u00fc\U0001f600"}),
    ("ReviewLinkRequested", {"requestId": "AAECAwQFBgcICQoL"}),
    ("ReviewSubmitted", {"reviewId": "r", "userId": "u1", "rating": 5, "occasion": "o"}),
]
INVALID = [
    ("ReviewRequested", {"userId": "u1"}),
    ("ReviewRequested", {**IDS, "userId": ""}),
    ("ReviewRequested", {**IDS, "userId": 7}),
    ("ReviewRequested", {**IDS, "occasion": "x" * 513}),
    ("OccasionRecorded", {**IDS, "occurredAt": "yesterday"}),
    ("OccasionRecorded", {**IDS, "occurredAt": 1795280400}),
    ("OccasionRecorded", {**IDS, "occurredAt": "9999-12-31T23:59:59Z"}),
    ("ReviewLinkRequested", {}),
]


@pytest.mark.parametrize(("detail_type", "detail"), VALID)
def test_what_a_schema_lets_through_can_be_read(detail_type: str, detail: dict) -> None:
    hold_to_schema(detail_type, detail)

    assert read_errand(detail_type, detail) is not None


@pytest.mark.parametrize(("detail_type", "detail"), INVALID)
def test_what_cannot_be_read_is_refused_by_its_schema(detail_type: str, detail: dict) -> None:
    assert errors_of(detail_type, detail)
    assert read_errand(detail_type, detail) is None


# Appointments

NOW = datetime(2026, 11, 21, 17, tzinfo=UTC)
BOOKING = Booking(
    provider=Provider.CALCOM,
    external_id="bFJeNb2uX8ANpT3JL5EfXw",
    booked_at=NOW,
    starts_at=NOW + timedelta(days=3),
    ends_at=NOW + timedelta(days=3, hours=1),
    event_name="Strategy Session",
    invitee_name="Ana Lima",
    host_name="Dr. Grey",
    replaces="7wMVgk1oYWqyX5dcdXWqPE",
)
RECIPIENT = Recipient(number=PhoneNumber("+12025550111"), country="US", subscriber_id="v1:pseudonym")


def conversation(recipient: Recipient | str = RECIPIENT) -> Conversation:
    booked = Booked(key="k1", at=NOW, booking=BOOKING)
    return rules.book(rules.unknown(BOOKING.appointment_id, NOW), booked, recipient)


TOLD = rules.tell(conversation(), Event.CONFIRMATION_SENT, NOW)
ANSWERED = rules.answer(TOLD, Reply(at=NOW, kind=ReplyKind.CONFIRM))
NAMES = {"provider": Provider.CALCOM, "external_id": BOOKING.external_id}
CANCELLED = rules.cancel(TOLD, Cancelled(key="k2", at=NOW, by=Party.HOST, **NAMES))
ABSENT = rules.mark_no_show(ANSWERED, NoShowMarked(key="k3", at=NOW, **NAMES))
MOVED = {
    "movedFrom": appointment_id(Provider.CALCOM, "7wMVgk1oYWqyX5dcdXWqPE"),
    "movedFromExternalId": "7wMV",
}

APPOINTMENT_EXAMPLES = [
    (appointment_events.BOOKED, conversation(), {}),
    (appointment_events.BOOKED, conversation("NO_PHONE"), {}),
    (appointment_events.MOVED, conversation(), MOVED),
    (appointment_events.CONFIRMATION_SENT, TOLD, {}),
    (appointment_events.FOLLOW_UP_SENT, rules.tell(TOLD, Event.FOLLOW_UP_SENT, NOW), {}),
    (appointment_events.CONFIRMED, ANSWERED, {"occasion": "in-1", "inboundMessageId": "in-1"}),
    *[
        (
            appointment_events.REPLIED,
            ANSWERED,
            {"occasion": "in-1", "inboundMessageId": "in-1", "answer": kind},
        )
        for kind in ReplyKind
    ],
    *[(appointment_events.CANCELLED, CANCELLED, {"by": by}) for by in (*Party, None)],
    (appointment_events.NO_SHOW, ABSENT, {"occasion": "1795280400"}),
    (appointment_events.FINISHED, ANSWERED, {}),
]


def test_every_appointment_event_has_an_example() -> None:
    assert {event_type for event_type, _, _ in APPOINTMENT_EXAMPLES} == set(APPOINTMENT_TYPES) - {
        appointment_events.REVIEW_REQUESTED
    }


@pytest.mark.parametrize(("event_type", "told", "more"), APPOINTMENT_EXAMPLES)
def test_an_appointment_event_is_as_its_schema_says(event_type: str, told: Conversation, more: dict) -> None:
    detail = appointment_events.detail(event_type, told, occurred_at=NOW, **more)

    hold_to_schema(event_type, detail)


@pytest.mark.parametrize(("event_type", "told", "more"), APPOINTMENT_EXAMPLES)
def test_a_schema_describes_each_field_of_an_appointment_event(
    event_type: str, told: Conversation, more: dict
) -> None:
    schema = json.loads((FOLDER / f"{event_type}.schema.json").read_text(encoding="utf-8"))

    detail = appointment_events.detail(event_type, told, occurred_at=NOW, **more)

    assert set(detail) == set(schema["properties"]) == set(schema["required"])
    for missing in detail:
        assert errors_of(event_type, {name: value for name, value in detail.items() if name != missing})


@pytest.mark.parametrize(("event_type", "told", "more"), APPOINTMENT_EXAMPLES)
def test_an_appointment_event_names_nobody(event_type: str, told: Conversation, more: dict) -> None:
    text = json.dumps(appointment_events.detail(event_type, told, occurred_at=NOW, **more))

    for personal in ("Ana", "Lima", "2025550111", "Grey"):
        assert personal not in text


@pytest.mark.parametrize("status", rules.Status)
def test_an_appointment_event_may_come_in_any_state_of_the_conversation(status: rules.Status) -> None:
    schema = json.loads((FOLDER / f"{appointment_events.BOOKED}.schema.json").read_text(encoding="utf-8"))

    assert status.value in schema["properties"]["status"]["enum"]
    assert set(schema["properties"]["status"]["enum"]) <= set(rules.Status)
