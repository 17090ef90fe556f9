"""Webhooks that come again, early and in any order, races, services that fail: no text twice, none lost."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from threading import Barrier

import pytest

from sms_engagement_runtime.appointment_follow_up.domain.bookings import Provider
from sms_engagement_runtime.channel.adapters.pause import CONTROL_KEY
from sms_local.booking_site import Appointment
from sms_local.testing import Cloud, eventually
from tests.support.appointment_drive import (
    calcom_body,
    canceled_body,
    created_body,
    deliver,
    executions_of,
    follow_up_function,
    invoke_step,
    new_appointment,
    new_uid,
    no_show_body,
    post_webhook,
    purposes_to,
    refused,
    said,
    said_to,
    settle,
    status_of,
    webhook_function,
)
from tests.support.cloud_drive import (
    fault,
    inbound,
    lift_pause,
    new_phone,
    outcome,
    replace_customers,
    wait_for_flag,
)

pytestmark = pytest.mark.cloud

WAIT = timedelta(minutes=31)
"""After so long the follow-up is due, and what is due is done."""

TIMES = 10
RACES = 20


@pytest.fixture(scope="module")
def own_cloud(running_cloud: Cloud) -> Iterator[Cloud]:
    """A cloud on its first day without customers, which is emptied again: conversations wait for days."""
    running_cloud.reset()
    replace_customers(running_cloud, [])
    yield running_cloud
    running_cloud.reset()


@pytest.fixture(autouse=True)
def _never_twice(own_cloud: Cloud) -> Iterator[None]:
    """Whatever a test does, no text goes out twice."""
    yield
    fault(own_cloud, after_accept_crash=0, throttle=0)
    outcome(own_cloud, phone="*", event_type="TEXT_DELIVERED")
    times = Counter(text["context"]["intent"] for text in own_cloud.texts())
    assert [intent for intent, number in times.items() if number > 1] == []


def at_once(cloud: Cloud, bodies: Sequence[bytes]) -> None:
    """Let Calendly deliver webhooks all at once, and those again that were not taken, until each was.

    It tries again for a day whatever is not answered with success.
    """
    left = list(bodies)
    for _ in range(5):
        barrier = Barrier(len(left))

        def post(body: bytes, barrier: Barrier = barrier) -> int:
            barrier.wait()
            return post_webhook(cloud, Provider.CALENDLY, body).status_code

        with ThreadPoolExecutor(len(left)) as pool:
            statuses = list(pool.map(post, left))
        assert set(statuses) <= {200, 429, 503}
        left = [body for body, status in zip(left, statuses, strict=True) if status != 200]
        if not left:
            settle(cloud)
            return
    pytest.fail(f"{len(left)} webhooks were never taken")


def book(cloud: Cloud, phone: str) -> Appointment:
    """Book, and wait for the confirmation."""
    appointment = new_appointment(cloud, phone)
    deliver(cloud, created_body(cloud, appointment))
    settle(cloud)
    return appointment


def running(cloud: Cloud, appointment: Appointment) -> list[str]:
    return [name for name, status in executions_of(cloud, appointment).items() if status == "RUNNING"]


# --- webhooks that come again, and in any order


def test_each_webhook_ten_times_at_once_is_one(own_cloud: Cloud) -> None:
    cloud, cancelled_phone, moved_phone, absent_phone = own_cloud, new_phone(), new_phone(), new_phone()
    cancelled, moves, absent = (
        new_appointment(cloud, phone) for phone in (cancelled_phone, moved_phone, absent_phone)
    )
    new = new_appointment(cloud, moved_phone, replaces=moves)

    for appointment in (cancelled, moves, absent):
        at_once(cloud, [created_body(cloud, appointment)] * TIMES)
    at_once(cloud, [canceled_body(cloud, cancelled)] * TIMES)
    at_once(cloud, [canceled_body(cloud, moves, moved_to=new), created_body(cloud, new)] * (TIMES // 2))
    at_once(cloud, [no_show_body(cloud, absent)] * TIMES)
    cloud.advance(WAIT)

    assert purposes_to(cloud, cancelled_phone) == ["confirmation", "cancelled"]
    assert purposes_to(cloud, moved_phone) == ["confirmation", "moved", "follow-up"]
    assert purposes_to(cloud, absent_phone) == ["confirmation", "no-show"]
    assert status_of(cloud, cancelled) == "CANCELED"
    assert (status_of(cloud, moves), status_of(cloud, new)) == ("RESCHEDULED", "FOLLOWED_UP")
    assert status_of(cloud, absent) == "NO_SHOW"
    assert running(cloud, cancelled) == running(cloud, moves) == []


def test_a_cancellation_that_overtakes_its_booking_leads_to_no_text(own_cloud: Cloud) -> None:
    cloud, phone = own_cloud, new_phone()
    appointment = new_appointment(cloud, phone)
    booked, cancelled = created_body(cloud, appointment), canceled_body(cloud, appointment)

    deliver(cloud, cancelled)
    settle(cloud)
    before = status_of(cloud, appointment)
    deliver(cloud, booked, cancelled, booked)
    cloud.advance(WAIT)

    assert (before, status_of(cloud, appointment)) == ("CANCELED", "CANCELED")
    assert said_to(cloud, phone) == []
    assert running(cloud, appointment) == []


@pytest.mark.parametrize("order", ["old new old new", "new old new old", "new new old old", "old old new"])
def test_the_pair_of_a_move_is_one_text_in_any_order_and_however_often(own_cloud: Cloud, order: str) -> None:
    cloud, phone = own_cloud, new_phone()
    old = book(cloud, phone)
    new = new_appointment(cloud, phone, starts_at=old.starts_at + timedelta(days=1), replaces=old)
    bodies = {"old": canceled_body(cloud, old, moved_to=new), "new": created_body(cloud, new)}

    for which in order.split():
        deliver(cloud, bodies[which])
        settle(cloud)

    assert purposes_to(cloud, phone) == ["confirmation", "moved"]
    assert (status_of(cloud, old), status_of(cloud, new)) == ("RESCHEDULED", "CONFIRMED_SENT")
    assert running(cloud, old) == []
    assert running(cloud, new) == [""]


def test_a_move_that_is_told_before_the_first_booking_is_one_text(own_cloud: Cloud) -> None:
    cloud, phone = own_cloud, new_phone()
    old = new_appointment(cloud, phone)
    new = new_appointment(cloud, phone, starts_at=old.starts_at + timedelta(days=1), replaces=old)

    deliver(cloud, created_body(cloud, new), canceled_body(cloud, old, moved_to=new))
    settle(cloud)
    deliver(cloud, created_body(cloud, old))
    settle(cloud)

    assert purposes_to(cloud, phone) == ["moved"]
    assert (status_of(cloud, old), status_of(cloud, new)) == ("RESCHEDULED", "CONFIRMED_SENT")
    assert running(cloud, old) == []


# --- races


def test_an_answer_in_the_same_instant_as_the_follow_up_is_followed_up_once_or_not_at_all(
    own_cloud: Cloud,
) -> None:
    cloud = own_cloud
    phones = [new_phone() for _ in range(RACES)]
    for phone in phones:
        book(cloud, phone)
    first_due = said_to(cloud, phones[0])[0].at + timedelta(minutes=30)
    cloud.go_to(first_due - timedelta(seconds=1))

    spared: set[str] = set()
    barrier = Barrier(2)

    def pass_time() -> None:
        barrier.wait()
        cloud.advance(timedelta(minutes=5))

    def answer() -> None:
        barrier.wait()
        # Follow-ups go from the first to the last, answers the other way round: they meet somewhere.
        for phone in reversed(phones):
            cloud.text_from(phone, "1")
            eventually(lambda phone=phone: answered(cloud, [phone]), what="the answer")

    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(pass_time), pool.submit(answer)]
        while not all(job.done() for job in jobs):
            # In this order: who has answered, and has no follow-up a moment later, must never get one.
            spared |= answered(cloud, phones) - followed_up(cloud, phones)
            wait(jobs, timeout=0.1)
        for job in jobs:
            job.result()
    settle(cloud)

    texts = said(cloud)
    times = {phone: [text.purpose for text in texts[phone]].count("follow-up") for phone in phones}
    assert set(times.values()) <= {0, 1}
    assert {phone for phone in spared if times[phone]} == set()
    assert answered(cloud, phones) == set(phones)


def answered(cloud: Cloud, phones: Sequence[str]) -> set[str]:
    """Return the phones whose answer is recorded."""
    rows = cloud.rows("conversations")
    return {row["phoneNumber"] for row in rows if row["status"] == "RESPONDED"}.intersection(phones)


def followed_up(cloud: Cloud, phones: Sequence[str]) -> set[str]:
    """Return the phones whose follow-up is claimed or sent."""
    claimed = {row["subscriberId"] for row in cloud.rows("messages") if row["purpose"] == "follow-up"}
    rows = cloud.rows("conversations")
    return {row["phoneNumber"] for row in rows if row.get("subscriberId") in claimed}.intersection(phones)


def test_an_answer_while_the_follow_up_step_runs_is_followed_up_once_or_not_at_all(own_cloud: Cloud) -> None:
    cloud = own_cloud
    phones = [new_phone() for _ in range(5)]
    appointments = [book(cloud, phone) for phone in phones]

    for phone, appointment in zip(phones, appointments, strict=True):
        barrier = Barrier(3)

        def step(appointment: Appointment = appointment, barrier: Barrier = barrier) -> None:
            barrier.wait()
            invoke_step(cloud, appointment, "follow-up")

        def answer(phone: str = phone, barrier: Barrier = barrier) -> None:
            barrier.wait()
            cloud.text_from(phone, "1")

        with ThreadPoolExecutor(3) as pool:
            for job in [pool.submit(step), pool.submit(answer), pool.submit(step)]:
                job.result()
    settle(cloud)
    cloud.advance(WAIT)

    for phone in phones:
        assert purposes_to(cloud, phone) in (["confirmation"], ["confirmation", "follow-up"])
    assert answered(cloud, phones) == set(phones)


def test_a_stop_during_the_wait_ends_it(own_cloud: Cloud) -> None:
    cloud, phone = own_cloud, new_phone()
    appointment = book(cloud, phone)

    cloud.advance(timedelta(minutes=20))
    inbound(cloud, from_=phone, body="STOP")
    cloud.advance(WAIT)

    assert purposes_to(cloud, phone) == ["confirmation", "keyword-reply"]
    assert status_of(cloud, appointment) == "OPTED_OUT"
    assert running(cloud, appointment) == []


def test_who_has_opted_out_before_is_told_of_no_booking(own_cloud: Cloud) -> None:
    cloud, phone = own_cloud, new_phone()
    inbound(cloud, from_=phone, body="STOP")

    appointment = book(cloud, phone)
    deliver(cloud, canceled_body(cloud, appointment))
    cloud.advance(WAIT)

    assert purposes_to(cloud, phone) == ["keyword-reply"]
    assert status_of(cloud, appointment) == "CANCELED"
    assert running(cloud, appointment) == []


# --- services that fail


def test_a_confirmation_whose_answer_was_lost_is_not_sent_again_and_the_flow_goes_on(
    own_cloud: Cloud,
) -> None:
    cloud, phone = own_cloud, new_phone()
    fault(cloud, after_accept_crash=1)

    appointment = book(cloud, phone)
    after_the_crash = purposes_to(cloud, phone)
    cloud.advance(WAIT)

    assert after_the_crash == ["confirmation"]
    assert purposes_to(cloud, phone) == ["confirmation", "follow-up"]
    assert status_of(cloud, appointment) == "FOLLOWED_UP"


def test_a_follow_up_whose_answer_was_lost_is_not_sent_again_and_the_flow_goes_on(own_cloud: Cloud) -> None:
    cloud, phone = own_cloud, new_phone()
    appointment = book(cloud, phone)
    fault(cloud, after_accept_crash=1)

    cloud.advance(WAIT + WAIT)

    assert purposes_to(cloud, phone) == ["confirmation", "follow-up"]
    assert status_of(cloud, appointment) == "FOLLOWED_UP"
    assert running(cloud, appointment) == [""]


def test_a_text_that_the_carrier_cannot_deliver_ends_the_conversation_with_its_reason(
    own_cloud: Cloud,
) -> None:
    cloud, phone = own_cloud, new_phone()
    outcome(cloud, phone=phone, event_type="TEXT_INVALID")

    appointment = book(cloud, phone)
    cloud.advance(WAIT)

    assert purposes_to(cloud, phone) == ["confirmation"]
    row = cloud.conversation(appointment)
    assert row is not None
    assert (row["status"], row["reason"]) == ("FAILED", "INVALID")
    assert running(cloud, appointment) == []


def test_a_step_that_is_called_again_and_at_once_sends_once(own_cloud: Cloud) -> None:
    cloud, phone = own_cloud, new_phone()
    appointment = book(cloud, phone)

    for step in ("confirm", "follow-up"):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda step: invoke_step(cloud, appointment, step), [step] * 4))
        invoke_step(cloud, appointment, step)
    cloud.advance(WAIT)

    assert purposes_to(cloud, phone) == ["confirmation", "follow-up"]
    assert status_of(cloud, appointment) == "FOLLOWED_UP"
    assert executions_of(cloud, appointment) == {"": "RUNNING"}


def test_a_carrier_that_throttles_delays_texts_and_loses_none(own_cloud: Cloud) -> None:
    cloud, phones = own_cloud, [new_phone() for _ in range(2)]
    fault(cloud, throttle=0.5)

    for phone in phones:
        deliver(cloud, created_body(cloud, new_appointment(cloud, phone)))
    settle(cloud)
    cloud.advance(WAIT + WAIT)

    for phone in phones:
        assert purposes_to(cloud, phone) == ["confirmation", "follow-up"]


@pytest.mark.parametrize("action", ["dynamodb:PutItem", "dynamodb:GetItem", "states:StartExecution"])
def test_a_booking_that_could_not_be_taken_is_taken_when_the_provider_tells_of_it_again(
    own_cloud: Cloud, action: str
) -> None:
    cloud, phone = own_cloud, new_phone()
    appointment = new_appointment(cloud, phone)
    body = created_body(cloud, appointment)

    with refused(cloud, webhook_function(cloud), action):
        answer = post_webhook(cloud, Provider.CALENDLY, body)
    settle(cloud)
    meanwhile = (executions_of(cloud, appointment), said_to(cloud, phone))
    deliver(cloud, body, body)
    cloud.advance(WAIT)

    assert (answer.status_code, answer.json()) == (503, {"message": "Try again later"})
    # With the row written and no execution, nothing but the second webhook can help.
    assert meanwhile == ({}, [])
    assert purposes_to(cloud, phone) == ["confirmation", "follow-up"]


@pytest.mark.parametrize("action", ["states:StopExecution", "states:StartExecution", "dynamodb:PutItem"])
def test_a_cancellation_that_could_not_be_taken_is_taken_when_the_provider_tells_of_it_again(
    own_cloud: Cloud, action: str
) -> None:
    cloud, phone = own_cloud, new_phone()
    appointment = book(cloud, phone)
    body = canceled_body(cloud, appointment)

    with refused(cloud, webhook_function(cloud), action):
        answer = post_webhook(cloud, Provider.CALENDLY, body)
    deliver(cloud, body, body)
    cloud.advance(WAIT)

    assert answer.status_code == 503
    assert purposes_to(cloud, phone) == ["confirmation", "cancelled"]
    assert running(cloud, appointment) == []


@pytest.mark.parametrize("action", ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:ConditionCheckItem"])
def test_a_table_that_does_not_answer_delays_the_texts_and_loses_none(own_cloud: Cloud, action: str) -> None:
    cloud, phone = own_cloud, new_phone()

    with refused(cloud, follow_up_function(cloud), action):
        appointment = book(cloud, phone)
        # Further attempts of the state machine fail, too.
        cloud.advance(timedelta(seconds=20))
        meanwhile = executions_of(cloud, appointment)
    cloud.advance(timedelta(hours=1))

    assert meanwhile == {"": "RUNNING"}
    assert purposes_to(cloud, phone) == ["confirmation", "follow-up"]
    assert executions_of(cloud, appointment) == {"": "RUNNING"}


def test_what_is_paused_goes_out_once_when_sending_goes_on(own_cloud: Cloud) -> None:
    cloud, phone, cancelled_phone = own_cloud, new_phone(), new_phone()
    contacts = cloud.outputs["tables"]["contacts"]
    cloud.dynamodb.put_item(TableName=contacts, Item=dict(CONTROL_KEY) | {"paused": {"BOOL": True}})
    wait_for_flag()

    try:
        appointment, cancelled = book(cloud, phone), book(cloud, cancelled_phone)
        deliver(cloud, created_body(cloud, appointment))
        cloud.advance(timedelta(minutes=20))
        deliver(cloud, canceled_body(cloud, cancelled))
        settle(cloud)
        while_paused = said_to(cloud, phone)
    finally:
        lift_pause(cloud)
    cloud.advance(timedelta(minutes=6))
    after_it = purposes_to(cloud, phone)
    cloud.advance(WAIT)

    assert while_paused == []
    assert after_it == ["confirmation"]
    assert purposes_to(cloud, phone) == ["confirmation", "follow-up"]
    # Who was never told of an appointment is not told of its end either.
    assert said_to(cloud, cancelled_phone) == []
    assert status_of(cloud, cancelled) == "CANCELED"


def test_the_same_of_cal_com(own_cloud: Cloud) -> None:
    cloud, phone, uid = own_cloud, new_phone(), new_uid()
    fields = {"phone": phone, "uid": uid, "starts_at": cloud.now() + timedelta(days=2)}
    booked = calcom_body(cloud, "BOOKING_CREATED", **fields)
    cancelled = calcom_body(cloud, "BOOKING_CANCELLED", **fields)

    for body in (booked, booked, cancelled, booked, cancelled):
        assert post_webhook(cloud, Provider.CALCOM, body).status_code == 200
        settle(cloud)
    cloud.advance(WAIT)

    assert purposes_to(cloud, phone) == ["confirmation", "cancelled"]
