"""What a run is started with, who its moments are for, and when a person's hour is."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sms_engagement_runtime.channel.domain.broadcast.audience import Candidate, Skipped
from sms_engagement_runtime.channel.domain.broadcast.outcomes import Tally
from sms_engagement_runtime.channel.domain.broadcast.run import Audience, Part, Run
from sms_engagement_runtime.channel.domain.quiet_hours import DEFAULT, Place
from sms_engagement_runtime.journeys.domain.audience import (
    AudienceNotReadyError,
    FirstAudience,
    LaterAudience,
    PreviousRun,
)
from sms_engagement_runtime.journeys.domain.preferred_time import next_preferred
from sms_engagement_runtime.journeys.domain.runs import JourneyInputError, StepRun, start
from sms_engagement_runtime.journeys.domain.stock import promotional, welcome_series
from tests.support.broadcast_fakes import FakeRunStore
from tests.support.fakes import SUBSCRIBER_KEY, FakeClock, FakeParser, FakePlaces
from tests.support.journey_fakes import NEWCOMER, FakeSubscribers

NOW = datetime(2026, 11, 21, 17, tzinfo=UTC)
HOURS = DEFAULT.hours_for(Place(("America/New_York",)))


def begin(journey=None, run_id="run", **given):
    event = {"runId": run_id, "journey": (journey or welcome_series()).to_json(), "input": given}
    return start(event, now=NOW, max_parts=1)


def about(step):
    return StepRun.from_json(json.loads(json.dumps(step.engine_input))["about"])


def test_each_moment_knows_its_run_its_time_and_the_ones_before_it():
    first, second = begin()

    assert (first.run_id, first.starts_at) == ("run_welcome-1", NOW)
    assert (second.run_id, second.starts_at) == ("run_welcome-2", NOW + timedelta(days=1))
    assert (about(first).first, about(first).previous, about(first).is_last) == (None, None, False)
    assert (about(second).first, about(second).previous, about(second).is_last) == (
        "run_welcome-1",
        "run_welcome-1",
        True,
    )
    assert about(second).at == timedelta(days=1)


def test_occasions_are_once_the_run_or_what_was_given():
    assert about(begin()[0]).occasion == "once"
    assert about(begin(occasion="monday")[0]).occasion == "once"
    assert about(begin(promotional())[0]).occasion == "run"
    assert about(begin(promotional(), occasion="monday")[0]).occasion == "monday"


def test_values_are_those_of_the_run_over_the_defaults():
    assert about(begin(values={"promo": "SPRING"})[0]).values == {"promo": "SPRING", "discount": "10"}
    with pytest.raises(JourneyInputError, match="the value of promo is missing"):
        begin(promotional(promo=None))


def test_named_subscribers_are_carried_to_the_first_moment_alone():
    first, second = begin(subscriberIds=["v1:a"])

    assert about(first).subscriber_ids == ["v1:a"]
    assert about(second).subscriber_ids is None


def test_names_of_long_runs_fit_and_stay_apart():
    names = [
        step.run_id
        for run in ("r" * 79 + "a", "r" * 79 + "b")
        for step in begin(run_id=run, campaign="c" * 30)
    ]

    assert all(len(name) <= 80 for name in names)
    assert len(set(names)) == 4


def test_runs_of_two_journeys_on_one_engine_have_no_name_in_common():
    journeys = [replace(promotional(), name=name) for name in ("welcome", "vip-welcome", "welcome-vip")]

    names = [
        step.run_id
        for journey in journeys
        for run in ("spring", "spring-vip", "vip-1", "1", "r" * 80)
        for step in begin(journey, run_id=run)
    ]

    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ["segment", "occasion", "reason"])
def test_what_each_moment_carries_along_is_short(name):
    begin(**{name: "x" * 200})
    with pytest.raises(JourneyInputError, match=f"{name} has 201 characters, at most 200 are allowed"):
        begin(**{name: "x" * 201})


def test_the_engine_that_is_started_by_hand_says_who_starts_it():
    for given in (None, {}, {"journey": {"name": "x"}}):
        with pytest.raises(JourneyInputError, match="start the journey's own state machine"):
            StepRun.from_json(given)


# Audiences


def test_a_page_of_subscribers_has_candidates_by_their_hours_and_reasons_for_the_others():
    stranger = NEWCOMER.__class__(subscriber_id="v1:x", phone_number="+12065550102", state=NEWCOMER.state)
    audience = FirstAudience(
        step=about(begin()[0]),
        subscribers=FakeSubscribers({NEWCOMER.subscriber_id: NEWCOMER, "v1:x": stranger}),
        parser=FakeParser(),
        subscriber_key=lambda: SUBSCRIBER_KEY,
        places=FakePlaces(),
        hours=DEFAULT,
        clock=FakeClock(),
    )

    page = audience.candidates(None)

    assert page.next is None
    assert page.rows == [
        Candidate(
            recipient_id=NEWCOMER.subscriber_id,
            subscriber_id=NEWCOMER.subscriber_id,
            group="America/New_York",
        ),
        Skipped(recipient_id="v1:x", reason="PHONE_CHANGED"),
    ]


def test_later_moments_are_for_whom_the_first_could_text():
    store, step = FakeRunStore(), about(begin()[1])
    audience = LaterAudience(step=step, store=store)
    with pytest.raises(AudienceNotReadyError):
        audience.candidates(None)
    parts = []
    for number in range(11):
        key = f"runs/run_welcome-1/parts/{number}.jsonl"
        store.write_people(key, [f"v1:{number}a", f"v1:{number}b"])
        parts.append(Part(key=key, group=f"zone-{number}", people=2))
    written = Audience(customers=30, recipients=22, skipped=Tally(people=8), parts=parts, result_keys=[])
    store.write_json(Run(run_id="run_welcome-1", started_at=NOW).audience_key, written.to_json())

    found, cursor = [], None
    while True:
        page = audience.candidates(cursor)
        found += page.rows
        cursor = page.next
        if cursor is None:
            break

    assert [one.recipient_id for one in found] == [f"v1:{n}{letter}" for n in range(11) for letter in "ab"]
    assert all(one.group == f"zone-{one.recipient_id[3:-1]}" for one in found)


def test_whether_the_step_before_is_over_is_looked_at_again_each_minute():
    store, clock = FakeRunStore(), FakeClock()
    previous = PreviousRun(step=about(begin()[1]), store=store, clock=clock)
    assert previous.is_over() is False
    store.write_json("runs/run_welcome-1/summary.json", {"complete": True})

    clock.advance(seconds=59)
    assert previous.is_over() is False
    clock.advance(seconds=1)
    assert previous.is_over() is True
    assert PreviousRun(step=about(begin()[0]), store=store, clock=clock).is_over() is True


# Preferred times: noon in New York is 17:00 UTC in November.


@pytest.mark.parametrize(
    ("preferred", "due", "at"),
    [
        ("18:30", "2026-11-21T17:00", "2026-11-21T23:30"),
        ("12:00", "2026-11-21T17:00", "2026-11-21T17:00"),
        ("11:30", "2026-11-21T17:00", "2026-11-21T17:00"),  # within the hour after it
        ("11:00", "2026-11-21T17:00", "2026-11-22T16:00"),
        ("9:15", "2026-11-21T17:00", "2026-11-22T14:15"),
        ("12:00", "2027-03-13T17:30", "2027-03-13T17:30"),
        ("11:00", "2027-03-13T18:30", "2027-03-14T15:00"),  # the clock was put forward that night
        ("03:00", "2026-11-21T17:00", None),  # nobody may be texted then
        ("24:00", "2026-11-21T17:00", None),
        ("noon", "2026-11-21T17:00", None),
        ("", "2026-11-21T17:00", None),
        (None, "2026-11-21T17:00", None),
    ],
)
def test_the_preferred_time_is_the_next_one_on_the_persons_clock(preferred, due, at):
    due = datetime.fromisoformat(due).replace(tzinfo=UTC)
    wanted = None if at is None else datetime.fromisoformat(at).replace(tzinfo=UTC)

    assert next_preferred(preferred, due=due, zone="America/New_York", hours=HOURS) == wanted


@pytest.mark.parametrize("zone", [None, "Mars/Base", "../etc"])
def test_without_a_clock_there_is_no_preferred_time(zone):
    assert next_preferred("18:00", due=NOW, zone=zone, hours=HOURS) is None
