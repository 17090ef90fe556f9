"""The clock of the whole embedded cloud, moved through the carrier; the emulator is a fake that can wait."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sms_local.carrier.clock import CloudState, EmulatorClock, RestlessError, UnreachableError
from sms_local.carrier.timeline import Due

US, OTHER = "+14255550182", "+14255550183"
TOPIC = "arn:aws:sns:us-east-1:000000000000:events"
START = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SOON = timedelta(seconds=60)


@dataclass
class FakeCloud:
    """An emulator's clock: what waits falls due, and may lead to another wait."""

    offset_file: Path
    waiting: list[Due] = field(default_factory=list)
    followers: dict[str, tuple[timedelta, str]] = field(default_factory=dict)
    log: list[Due] = field(default_factory=list)
    steps: list[datetime] = field(default_factory=list)
    failure: Exception | None = None
    hold: threading.Event | None = None

    def begin_at(self, at: datetime) -> None:
        self.offset_file.write_text(str((at - datetime.now(UTC)).total_seconds()))

    def wait(self, duration: timedelta, name: str) -> None:
        self.waiting.append(Due(at=self.now() + duration, what="wait", name=name))

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float(self.offset_file.read_text()))

    async def settle(self, *, after: int | None = None) -> CloudState:
        if self.failure is not None:
            raise self.failure
        if self.hold is not None:
            await asyncio.to_thread(self.hold.wait)
        next_due = min(self.waiting, key=lambda due: due.at, default=None)
        logged = len(self.log)
        return CloudState(
            next_due=next_due, fell_due=self.log[logged if after is None else after :], logged=logged
        )

    async def go_to(self, at: datetime) -> None:
        self.steps.append(at)
        if at > self.now():
            self.begin_at(at)
        for due in sorted(self.waiting, key=lambda due: due.at):
            if due.at <= at:
                self.waiting.remove(due)
                self.log.append(due)
                if due.name in self.followers:
                    self.wait(*self.followers[due.name])


@pytest.fixture
def cloud(tmp_path):
    fake = FakeCloud(tmp_path / "clock-offset")
    fake.begin_at(START)
    return fake


@pytest.fixture
def carrier(start_carrier, cloud):
    return with_events(start_carrier(offset_file=cloud.offset_file, cloud=cloud))


def with_events(started):
    """Let a simulator tell a topic what becomes of texts."""
    started.sms.create_configuration_set(ConfigurationSetName="set")
    started.sms.create_event_destination(
        ConfigurationSetName="set",
        EventDestinationName="topic",
        MatchingEventTypes=["ALL"],
        SnsDestination={"TopicArn": TOPIC},
    )
    return started


def now(carrier):
    return datetime.fromisoformat(carrier.control("GET", "clock")["now"])


def advance(carrier, duration):
    answer = carrier.control("POST", "clock", advance_seconds=duration.total_seconds())
    return answer["due"]


def send(carrier, phone, *, delay):
    carrier.control("POST", "outcome", phone=phone, delay_seconds=delay.total_seconds())
    carrier.sms.send_text_message(DestinationPhoneNumber=phone, MessageBody="Hi", ConfigurationSetName="set")


def test_the_time_is_the_emulator_s_and_goes_on(carrier):
    first, second = now(carrier), now(carrier)

    assert START <= first <= second < START + SOON


def test_a_jump_ends_where_it_was_told_to(carrier):
    assert advance(carrier, HOUR) == []
    assert START + HOUR <= now(carrier) < START + HOUR + SOON

    at = START + 5 * HOUR
    answer = carrier.control("POST", "clock", at=at.isoformat())

    assert answer["due"] == []
    assert at <= datetime.fromisoformat(answer["now"]) < at + SOON


def test_an_instant_may_have_any_offset_from_utc(carrier):
    carrier.control("POST", "clock", at="2026-11-23T10:00:00-05:00")

    assert now(carrier) - datetime(2026, 11, 23, 15, tzinfo=UTC) < SOON


def test_chained_waits_end_one_after_the_other_within_a_jump(carrier, cloud):
    cloud.wait(HOUR, "first")
    cloud.followers = {
        "first": (2 * HOUR, "second"),
        "second": (3 * HOUR, "third"),
        "third": (HOUR, "fourth"),
    }

    due = advance(carrier, 6.5 * HOUR)

    assert [one["name"] for one in due] == ["first", "second", "third"]
    instants = [datetime.fromisoformat(one["at"]) - START for one in due]
    for instant, hours in zip(instants, (1, 3, 6), strict=True):
        assert hours * HOUR <= instant < hours * HOUR + SOON
    assert [one.name for one in cloud.waiting] == ["fourth"]


def test_what_is_due_within_a_while_may_happen_together_and_nothing_beyond_the_end(carrier, cloud):
    for minutes in (10, 12, 14, 16, 58, 61):
        cloud.wait(timedelta(minutes=minutes), f"{minutes}")

    answer = carrier.control("POST", "clock", advance_seconds=3600, together_seconds=300)

    assert [one["name"] for one in answer["due"]] == ["10", "12", "14", "16", "58"]
    assert [round((step - START).total_seconds() / 60, 1) for step in cloud.steps] == [15, 21, 60]
    assert datetime.fromisoformat(answer["now"]) - START - HOUR < SOON
    assert [one.name for one in cloud.waiting] == ["61"]


def test_delays_of_the_carrier_are_in_order_with_waits_and_done_with_the_answer(start_carrier, cloud):
    # Events of one instant are published side by side.
    carrier = with_events(start_carrier(offset_file=cloud.offset_file, cloud=cloud, event_interval=MINUTE))
    cloud.wait(2 * HOUR, "wait")
    send(carrier, OTHER, delay=3 * HOUR)
    send(carrier, US, delay=HOUR)

    due = advance(carrier, 4 * HOUR)

    assert [(one["what"], one["name"]) for one in due] == [
        ("carrier", f"TEXT_SUCCESSFUL of a text to {US}"),
        ("carrier", f"TEXT_DELIVERED of a text to {US}"),
        ("wait", "wait"),
        ("carrier", f"TEXT_SUCCESSFUL of a text to {OTHER}"),
        ("carrier", f"TEXT_DELIVERED of a text to {OTHER}"),
    ]
    assert [one["at"] for one in due] == sorted(one["at"] for one in due)
    # Published when the jump is answered, each with its own virtual time.
    events = [(e["eventType"], e["destinationPhoneNumber"]) for e in carrier.topics.on(TOPIC)]
    assert events == [
        ("TEXT_SUCCESSFUL", US),
        ("TEXT_DELIVERED", US),
        ("TEXT_SUCCESSFUL", OTHER),
        ("TEXT_DELIVERED", OTHER),
    ]
    hours = [
        (datetime.fromtimestamp(event["eventTimestamp"] / 1000, UTC) - START) / HOUR
        for event in carrier.topics.on(TOPIC)
    ]
    assert [round(hour) for hour in hours] == [1, 1, 3, 3]
    assert {message["status"] for message in carrier.messages()} == {"TEXT_DELIVERED"}


def test_what_is_due_later_stays(carrier):
    send(carrier, US, delay=2 * HOUR)

    assert advance(carrier, HOUR) == []
    assert carrier.messages()[0]["status"] is None
    advance(carrier, HOUR + MINUTE)

    assert carrier.messages()[0]["status"] == "TEXT_DELIVERED"
    assert carrier.messages()[0]["sent_at"].startswith("2026-11-23T12:00")


def test_cleared_texts_are_due_no_more(carrier, cloud):
    send(carrier, US, delay=HOUR)
    carrier.control("DELETE", "messages")

    assert advance(carrier, 2 * HOUR) == []

    assert len(cloud.steps) == 1


def test_nothing_due_is_one_step_however_far(carrier, cloud):
    advance(carrier, timedelta(days=365))

    assert len(cloud.steps) == 1


def test_no_time_at_all_waits_for_what_runs(carrier, cloud):
    assert carrier.control("POST", "clock", advance_seconds=0)["due"] == []
    assert now(carrier) < START + SOON


def test_of_two_jumps_at_once_the_second_begins_where_the_first_ended(carrier, cloud, until):
    cloud.hold = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        jumps = [pool.submit(advance, carrier, HOUR) for _ in range(2)]
        try:
            # Neither is answered while something runs, and the carrier answers others meanwhile.
            assert carrier.messages() == []
            assert not any(jump.done() for jump in jumps)
        finally:
            cloud.hold.set()
        for jump in jumps:
            jump.result(timeout=60)

    assert START + 2 * HOUR <= now(carrier) < START + 2 * HOUR + SOON
    assert cloud.steps == sorted(cloud.steps)


REFUSED = [
    ({}, "The body must have one of `advance_seconds` and `at`."),
    ({"advance_seconds": None}, "The body must have one of `advance_seconds` and `at`."),
    ({"advance_seconds": 1, "at": "2026-11-24T12:00:00Z"}, "The body must have one of"),
    ({"seconds": 60}, "Unknown field seconds; known: advance_seconds, at, together_seconds."),
    ({"together_seconds": 60}, "The body must have one of `advance_seconds` and `at`."),
    ({"advance_seconds": 60, "together_seconds": 3601}, "`together_seconds` must be between 0 and 3600."),
    ({"advance_seconds": -1}, "`advance_seconds` must be between 0 and"),
    ({"advance_seconds": 1e12}, "`advance_seconds` must be between 0 and"),
    ({"advance_seconds": "60"}, "`advance_seconds` must be a number."),
    ({"advance_seconds": True}, "`advance_seconds` must be a number."),
    ({"at": "2026-11-23T11:59:00Z"}, "The clock only goes forward: 2026-11-23T11:59:00+00:00 is before"),
    ({"at": "2026-11-24T12:00:00"}, "`at` must have an offset from UTC"),
    ({"at": "tomorrow"}, "`at` must be an instant in ISO 8601"),
    ({"at": ""}, "`at` must be an instant in ISO 8601"),
    ({"at": 1795280400}, "`at` must be a string."),
    ({"at": "9999-12-31T23:59:59Z"}, "`at` must be within 3660 days from now."),
    ([], "The body must be a JSON object."),
]


@pytest.mark.parametrize(("body", "sentence"), REFUSED)
def test_what_makes_no_sense_is_refused_with_a_sentence_and_moves_nothing(carrier, cloud, body, sentence):
    response = carrier.http.post("/control/clock", json=body)

    assert response.status_code == 400
    assert response.json()["error"].startswith(sentence)
    assert cloud.steps == []


@pytest.mark.parametrize(
    ("failure", "status"),
    [(UnreachableError("The emulator does not answer."), 502), (RestlessError("It is not done."), 504)],
)
def test_an_emulator_that_fails_is_an_error_with_a_sentence(carrier, cloud, failure, status):
    cloud.failure = failure

    response = carrier.http.post("/control/clock", json={"advance_seconds": 60})

    assert (response.status_code, response.json()["error"]) == (status, str(failure))


def test_a_clock_that_failed_can_be_moved_again(carrier, cloud):
    cloud.failure = RestlessError("It is not done.")
    carrier.http.post("/control/clock", json={"advance_seconds": 60})
    cloud.failure = None

    advance(carrier, HOUR)

    assert now(carrier) >= START + HOUR


def test_without_an_emulator_s_clock_time_is_real_and_cannot_be_moved(start_carrier):
    alone = start_carrier()

    response = alone.http.post("/control/clock", json={"advance_seconds": 60})

    assert response.status_code == 409
    assert abs(now(alone) - datetime.now(UTC)) < SOON


def test_a_delay_passes_at_real_speed_too(carrier, until):
    send(carrier, US, delay=timedelta(milliseconds=50))

    until(lambda: carrier.messages()[0]["status"] == "TEXT_DELIVERED")


def test_an_emulator_that_does_not_answer_is_named():
    async def settle():
        clock = EmulatorClock("http://127.0.0.1:9")  # discard: nothing listens there
        try:
            await clock.settle()
        finally:
            await clock.close()

    with pytest.raises(UnreachableError, match="The emulator does not answer: ConnectError"):
        asyncio.run(settle())
