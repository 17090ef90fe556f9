"""Who a broadcast of review requests is for, page by page."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.broadcast.audience import Candidate, Skipped
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.quiet_hours import Place, QuietHoursPolicy
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_engagement_runtime.review_collector.domain.audience import ReviewAudience
from sms_engagement_runtime.review_collector.domain.customers import Customer
from sms_engagement_runtime.review_collector.domain.occasions import Nothing, OccasionPolicy, choose
from sms_engagement_runtime.review_collector.domain.requests import ReviewRequest
from tests.support.fakes import START, SUBSCRIBER_KEY, FakeClock, FakeParser, FakePlaces
from tests.support.review_fakes import FakeCustomers, FakeReviewRequests

DAY = timedelta(days=1)
JOHN = Customer(user_id="u1", phone_number="+12025550123", name="John Doe", is_active=True)


def audience(*customers, requests=(), places=None):
    fake = FakeReviewRequests({request.request_id: request for request in requests})
    return ReviewAudience(
        customers=FakeCustomers(*customers),
        requests=fake,
        parser=FakeParser(),
        subscriber_key=lambda: SUBSCRIBER_KEY,
        places=places or FakePlaces(),
        hours=QuietHoursPolicy(),
        policy=OccasionPolicy(),
        clock=FakeClock(),
    )


def all_rows(read):
    cursor, rows = None, []
    while True:
        page = read(cursor)
        rows += page.rows
        if page.next is None:
            return rows
        cursor = json.loads(json.dumps(page.next))


def test_who_can_be_texted_is_a_candidate_in_the_group_of_their_hours():
    tokyo = replace(JOHN, user_id="u2", phone_number="+12025550124", time_zone="Asia/Tokyo")

    first, second = all_rows(audience(JOHN, tokyo).candidates)

    assert first == Candidate(
        recipient_id="u1",
        subscriber_id=subscriber_id(PhoneNumber("+12025550123"), SUBSCRIBER_KEY),
        group="America/New_York",
    )
    assert (second.recipient_id, second.group) == ("u2", "Asia/Tokyo")


@pytest.mark.parametrize(
    ("customer", "reason"),
    [
        (replace(JOHN, is_active=False), "INACTIVE"),
        (replace(JOHN, phone_number=None), "NO_PHONE"),
        (replace(JOHN, phone_number="call me"), "INVALID_PHONE"),
    ],
)
def test_who_cannot_be_texted_is_skipped_with_the_reason(customer, reason):
    assert all_rows(audience(customer).candidates) == [Skipped(recipient_id="u1", reason=reason)]


@pytest.mark.parametrize("zones", [(), ("America/Los_Angeles", "Asia/Kolkata", "Europe/Berlin")])
def test_for_whom_there_is_no_hour_is_skipped(zones):
    people = audience(JOHN, places=FakePlaces(zones))

    assert all_rows(people.candidates) == [Skipped(recipient_id="u1", reason="TIME_ZONE_UNKNOWN")]


def test_everybody_is_on_one_page():
    people = [replace(JOHN, user_id=f"u{n}", phone_number=f"+1202555{n:04}") for n in range(7)]

    read = all_rows(audience(*people).candidates)

    assert sorted(row.recipient_id for row in read) == [f"u{n}" for n in range(7)]


def test_histories_hold_no_name_and_no_number():
    request = ReviewRequest(
        request_id="r1",
        user_id="u1",
        occasion="order-17",
        name="John Doe",
        first_name="John",
        recorded_at=START,
        asked_at=START,
        subscriber_id="v1:hash",
        run_id="monday",
    )

    ((user_id, row),) = all_rows(audience(requests=[request]).histories)

    assert user_id == "u1"
    assert row == {
        "requestId": "r1",
        "occasion": "order-17",
        "recordedAt": "2026-11-21T17:00:00+00:00",
        "askedAt": "2026-11-21T17:00:00+00:00",
        "runId": "monday",
    }


def test_places_are_asked_for_the_number_its_country_and_the_recorded_zone():
    asked = []

    class Places:
        def place_of(self, number, country, time_zone):
            asked.append((number.e164, country, time_zone))
            return Place(("Europe/Berlin",))

    customer = replace(JOHN, phone_number="+4915112345678", time_zone="Europe/Vienna")
    all_rows(audience(customer, places=Places()).candidates)

    assert asked == [("+4915112345678", "DE", "Europe/Vienna")]


moments = st.integers(min_value=-100, max_value=20).map(lambda days: START + days * DAY)
instants = st.none() | moments
rows = st.lists(
    st.builds(
        ReviewRequest,
        request_id=st.uuids().map(str),
        user_id=st.just("u1"),
        occasion=st.sampled_from(["registration", "a", "b", "c"]),
        recorded_at=moments,
        occurred_at=instants,
        asked_at=instants,
        reminded_at=instants,
        answered_at=instants,
        run_id=st.none() | st.just("run"),
    ),
    max_size=4,
)


@given(rows)
def test_the_snapshot_objects_exactly_where_asking_would_find_nothing_to_do(requests):
    people = audience(JOHN, requests=requests)
    (candidate,) = all_rows(people.candidates)
    history = json.loads(json.dumps([row for _, row in all_rows(people.histories)]))

    choice = choose(requests, START, OccasionPolicy())

    expected = choice.reason if isinstance(choice, Nothing) else None
    assert people.objection(candidate, history) == expected
