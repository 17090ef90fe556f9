"""What the carrier does with single texts: lost answers, refusals, events that come twice and late."""

from datetime import timedelta

import pytest

from sms_local.testing import Cloud, eventually
from tests.support.cloud_drive import (
    asked_phones,
    command,
    consents_of,
    fault,
    inbound,
    logged_entries,
    new_customers,
    outcome,
    phones_of,
    progress_of,
    replace_customers,
    replies_to,
    report_of,
    requests_to,
    row_of,
    start_broadcast,
    subscriber_of,
    summary_of,
    wait_until_empty,
)

pytestmark = pytest.mark.cloud

_PRICE_MILLICENTS = 581
"""``totalMessagePrice`` of one text to the US or Canada, as the simulator's events say."""


def test_accepted_texts_whose_answer_was_lost_are_counted_healed_by_events_and_not_sent_again(
    quiet_cloud: Cloud,
) -> None:
    people = new_customers(5)
    replace_customers(quiet_cloud, people)
    fault(quiet_cloud, after_accept_crash=2)

    first = quiet_cloud.broadcast()
    for person in people:
        row_of(quiet_cloud, person.phone, state="DELIVERED")
    second = quiet_cloud.broadcast()

    assert first["outcomes"] == {"ACCEPTED": 3, "UNCERTAIN": 2}
    assert first["reasons"] == {"OUTCOME_UNKNOWN": 2}
    assert second["outcomes"] == {"ALREADY_SENT": 5}
    assert asked_phones(quiet_cloud) == phones_of(people)


def test_a_call_that_was_answered_500_is_made_once_and_stays_uncertain(quiet_cloud: Cloud) -> None:
    victim, *others = new_customers(3)
    replace_customers(quiet_cloud, [victim, *others])
    outcome(quiet_cloud, phone=victim.phone, error="InternalServerException")

    first = quiet_cloud.broadcast()
    second = quiet_cloud.broadcast()
    third = quiet_cloud.broadcast()

    # The scripted answer is for one call: a second one would have been accepted.
    assert requests_to(quiet_cloud, victim.phone) == []
    assert len(requests_to(quiet_cloud)) == 2
    assert first["outcomes"] == {"ACCEPTED": 2, "UNCERTAIN": 1}
    # A run waits until a claim is old enough to be called uncertain.
    assert second["outcomes"] == third["outcomes"] == {"ALREADY_SENT": 2, "UNCERTAIN": 1}
    assert third["reasons"]["OUTCOME_UNKNOWN"] == 1
    assert report_of(quiet_cloud, third["runId"])[victim.user_id] == ("UNCERTAIN", "OUTCOME_UNKNOWN")


def test_events_that_come_several_times_and_late_count_once(quiet_cloud: Cloud) -> None:
    (person,) = new_customers(1)
    replace_customers(quiet_cloud, [person])
    outcome(quiet_cloud, phone=person.phone, event_type="TEXT_DELIVERED", duplicates=3, delay_seconds=1.5)

    quiet_cloud.broadcast()
    (text,) = requests_to(quiet_cloud)
    before = row_of(quiet_cloud, person.phone, state="ACCEPTED")
    after = row_of(quiet_cloud, person.phone, state="DELIVERED")

    wait_until_empty(quiet_cloud, "Event")
    assert "priceMillicents" not in before
    assert after["priceMillicents"] == _PRICE_MILLICENTS
    # Two events, four times each: whatever came after the first final one has changed nothing.
    assert row_of(quiet_cloud, person.phone, state="DELIVERED") == after
    endings = [
        entry["became_final"]
        for entry in logged_entries(quiet_cloud, "delivery event recorded")
        if entry["message_id"] == text["message_id"]
    ]
    assert endings.count(True) <= 1


@pytest.mark.parametrize(("status", "state"), [("INVALID", "FAILED"), ("TTL_EXPIRED", "EXPIRED")])
def test_a_text_that_cannot_be_delivered_is_recorded_and_not_sent_again(
    quiet_cloud: Cloud, status: str, state: str
) -> None:
    victim, other = new_customers(2)
    replace_customers(quiet_cloud, [victim, other])
    outcome(quiet_cloud, phone=victim.phone, event_type=f"TEXT_{status}")

    quiet_cloud.broadcast()
    row = row_of(quiet_cloud, victim.phone, state=state)
    outcome(quiet_cloud, phone=victim.phone, event_type="TEXT_DELIVERED")
    second = quiet_cloud.broadcast()

    assert row["reason"] == status
    assert len(requests_to(quiet_cloud, victim.phone)) == 1
    assert report_of(quiet_cloud, second["runId"])[victim.user_id] == ("FAILED", status)
    assert second["outcomes"] == {"ALREADY_SENT": 1, "FAILED": 1}


def test_a_text_that_the_service_refuses_is_recorded_with_its_reason(quiet_cloud: Cloud) -> None:
    victim, other = new_customers(2)
    replace_customers(quiet_cloud, [victim, other])
    outcome(quiet_cloud, phone=victim.phone, error="ValidationException:INVALID_PARAMETER")

    summary = quiet_cloud.broadcast()

    assert summary["outcomes"] == {"ACCEPTED": 1, "FAILED": 1}
    assert row_of(quiet_cloud, victim.phone, state="FAILED")["reason"] == "INVALID_PARAMETER"
    assert requests_to(quiet_cloud, victim.phone) == []


def test_an_opt_out_that_only_the_carrier_knows_is_recorded(quiet_cloud: Cloud) -> None:
    victim, other = new_customers(2)
    replace_customers(quiet_cloud, [victim, other])
    outcome(quiet_cloud, phone=victim.phone, error="ConflictException:DESTINATION_PHONE_NUMBER_OPTED_OUT")

    summary = quiet_cloud.broadcast()

    assert summary["outcomes"] == {"ACCEPTED": 1, "FAILED": 1}
    row = row_of(quiet_cloud, victim.phone, state="FAILED")
    assert row["reason"] == "DESTINATION_PHONE_NUMBER_OPTED_OUT"
    assert consents_of(quiet_cloud, victim.phone) == {"OPTED_OUT"}
    own = subscriber_of(quiet_cloud, victim.phone)
    records = [
        row
        for row in quiet_cloud.rows("contacts")
        if row["subscriberId"] == own and row["record"].startswith("consent#")
    ]
    assert {record["source"] for record in records} == {"carrier"}
    assert replies_to(quiet_cloud, victim.phone) == []


def test_a_spent_limit_pauses_everything_until_somebody_resumes(quiet_cloud: Cloud) -> None:
    people = new_customers(6)
    replace_customers(quiet_cloud, people)
    outcome(
        quiet_cloud, phone="*", error="ServiceQuotaExceededException:MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT"
    )

    run = start_broadcast(quiet_cloud)
    eventually(lambda: progress_of(quiet_cloud, run)["reason"] == "PAUSED", what="the pause")
    quiet_cloud.advance(timedelta(hours=2))
    while_paused = asked_phones(quiet_cloud)
    command(quiet_cloud, "resume")
    summary = summary_of(quiet_cloud, run)

    # One call found the limit; those that were in the hands of other workers may have gone out.
    assert len(while_paused) < len(people)
    assert summary["outcomes"] == {"ACCEPTED": len(people)}
    assert asked_phones(quiet_cloud) == phones_of(people)


def test_a_stop_while_the_answer_is_unknown_keeps_later_texts_away(quiet_cloud: Cloud) -> None:
    (person,) = new_customers(1)
    replace_customers(quiet_cloud, [person])
    outcome(quiet_cloud, phone=person.phone, error="InternalServerException")
    quiet_cloud.broadcast()

    inbound(quiet_cloud, from_=person.phone, body="STOP")
    summary = quiet_cloud.broadcast()

    assert requests_to(quiet_cloud, person.phone) == []
    assert len(replies_to(quiet_cloud, person.phone)) == 1
    assert summary["outcomes"] == {"UNCERTAIN": 1}
