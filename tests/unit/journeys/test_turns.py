"""A person's turn: one text whatever happens in between, and the right one."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sms_engagement_runtime.channel.domain.consent import ConsentState, Scope
from sms_engagement_runtime.channel.domain.errors import (
    SendRefusedError,
    SendThrottledError,
    TransientError,
)
from sms_engagement_runtime.channel.domain.ledger import MessageState
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.journeys.domain.conditions import ReplyKind, SubscriberState
from sms_engagement_runtime.journeys.domain.description import Send, Wait
from sms_engagement_runtime.journeys.domain.stock import promotional, welcome_series
from tests.support.fakes import Crash, CrashPlan
from tests.support.journey_fakes import NEWCOMER, PERSON, Acting, OnePerson

WELCOME = "Welcome! Reply YES to confirm or STOP to unsubscribe."
REMINDER = "Please reply YES to confirm your subscription, or STOP to unsubscribe."
PROMOTION = "Hi Ana, use code WELCOME for 10% off!"
INSTANTS = range(1, 61)
"""More than there are around the calls of a turn."""


@pytest.fixture
def one():
    return OnePerson()


@pytest.fixture
def welcomed(one):
    one.turn(1)
    one.due(2)
    return one


def yes(one):
    return lambda: one.set_consent(ConsentState.ACTIVE)


def stop(one):
    return lambda: one.set_consent(ConsentState.OPTED_OUT)


def refuse(one):
    return lambda: one.answer(ReplyKind.NEGATIVE, ended="DECLINED")


def repeated(one, number):
    """Take a turn until it comes to an end, as the engine does."""
    for _ in range(10):
        try:
            outcome = one.turn(number)
        except TransientError:
            continue
        if outcome.is_final:
            return outcome
        # Whoever is at it is done by then, or never will be.
        one.clock.advance(seconds=61)
    raise AssertionError(f"no end: {outcome}")


def test_there_are_no_more_instants_than_are_tried(one):
    plans = CrashPlan(), CrashPlan()
    one.turn(1, plans[0])
    one.due(2)
    one.turn(2, plans[1])

    assert all(20 < plan.instants < INSTANTS[-1] for plan in plans)


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("crash_at", INSTANTS)
def test_a_crash_anywhere_costs_nobody_their_text_and_gives_nobody_two(number, crash_at):
    one = OnePerson()
    if number == 2:
        one.turn(1)
        one.due(2)
    before = len(one.texts)
    try:
        one.turn(number, CrashPlan(crash_at))
    except Crash:
        one.clock.advance(seconds=61)

    outcome = repeated(one, number)

    sent = one.texts[before:]
    # A claim whose process died may have gone out, and is never sent again.
    assert len(sent) == 1 or (sent == [] and outcome.state == "UNCERTAIN")
    assert one.row.settled == number
    assert one.row.sent[number].name == ("welcome" if number == 1 else "reminder")


@pytest.mark.parametrize("at", INSTANTS)
def test_a_yes_at_any_instant_leads_to_one_text_and_no_reminder_after_it(at):
    one = OnePerson()
    one.turn(1)
    one.due(2)
    claims = []

    def confirm():
        claims.append(one.ledger.claims)
        yes(one)()

    try:
        one.turn(2, Acting(at, confirm))
    except TransientError:
        repeated(one, 2)

    assert len(one.texts) == 2
    # Before the reminder was claimed, the YES is in time.
    was_in_time = claims == [1]
    assert one.texts[1] == (PROMOTION if was_in_time else REMINDER)


@pytest.mark.parametrize("speak", [stop, refuse])
@pytest.mark.parametrize("at", INSTANTS)
def test_a_no_at_any_instant_before_the_claim_is_in_time(at, speak):
    one = OnePerson()
    one.turn(1)
    one.due(2)
    claims = []

    def leave():
        claims.append(one.ledger.claims)
        speak(one)()

    try:
        one.turn(2, Acting(at, leave))
    except TransientError:
        repeated(one, 2)

    was_in_time = claims == [1]
    assert one.texts[1:] == ([] if was_in_time else [REMINDER])
    assert one.row.settled == 2


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("at", INSTANTS)
def test_two_attempts_at_once_send_one_text_even_if_they_would_decide_differently(number, at):
    one = OnePerson()
    if number == 2:
        one.turn(1)
        one.due(2)
    before = len(one.texts)

    def other():
        if number == 2:
            yes(one)()
        repeated(one, number)

    with suppress(TransientError):
        one.turn(number, Acting(at, other))
    repeated(one, number)

    assert len(one.texts) == before + 1
    assert one.row.settled == number


def test_an_answer_while_the_text_waits_for_its_hour_changes_which_one_it_is(welcomed):
    # Ten in the evening: the reminder waits for the morning.
    welcomed.clock.advance(hours=10)
    waits = welcomed.turn(2)
    assert (waits.state, waits.reason) == ("DEFERRED", "QUIET_HOURS")

    welcomed.set_consent(ConsentState.ACTIVE)
    welcomed.clock.instant = waits.until
    welcomed.turn(2)

    assert welcomed.texts == [WELCOME, PROMOTION]


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.set_consent(ConsentState.ACTIVE),
        lambda one: one.set_consent(ConsentState.OPTED_OUT),
        lambda one: one.answer(ReplyKind.NEGATIVE, ended="DECLINED"),
    ],
    ids=["another text", "opted out", "declined"],
)
def test_a_text_that_waited_for_its_hour_and_is_not_the_one_any_more_is_closed(welcomed, change):
    welcomed.clock.advance(hours=10)
    waits = welcomed.turn(2)
    states = {row.purpose: row.state for row in welcomed.ledger.rows.values()}
    assert states["welcome/reminder"] is MessageState.DEFERRED

    change(welcomed)
    welcomed.clock.instant = waits.until
    welcomed.turn(2)

    row = next(row for row in welcomed.ledger.rows.values() if row.purpose == "welcome/reminder")
    assert (row.state, row.reason) == (MessageState.SUPPRESSED, Reason.NO_LONGER_TRUE)


def test_a_yes_after_the_reminder_does_not_bring_the_promotion_too(welcomed):
    welcomed.turn(2)

    welcomed.set_consent(ConsentState.ACTIVE)
    again = welcomed.turn(2)

    assert again.state == "ACCEPTED"
    assert welcomed.texts == [WELCOME, REMINDER]


def test_the_person_is_pending_before_the_text_arrives_and_not_while_it_waits(one):
    states = []
    one.carrier.answers = [lambda: states.append(one.contacts.get(PERSON).consents.get(Scope.MARKETING))]
    one.clock.advance(hours=12)  # midnight in New York
    waits = one.turn(1)

    assert waits.reason == "QUIET_HOURS"
    assert one.contacts.get(PERSON).consents == {}
    one.clock.instant = waits.until
    one.turn(1)
    assert states == [ConsentState.PENDING]
    assert [name for name, _ in one.bus.events] == ["ConfirmationAsked"]


def test_nobody_is_made_pending_while_sending_is_paused(one):
    one.pause.paused = True

    outcome = one.turn(1)

    assert outcome.reason == "PAUSED"
    assert one.contacts.get(PERSON).consents == {}


def test_the_reminder_asks_anew(welcomed):
    first = welcomed.contacts.get(PERSON).pending_since

    welcomed.turn(2)

    assert welcomed.contacts.get(PERSON).pending_since - first == timedelta(days=1)
    assert [(r.source, r.words) for r in welcomed.contacts.records] == [
        ("confirmation-request", "welcome/welcome"),
        ("confirmation-request", "welcome/reminder"),
    ]


def fail(one, reason):
    (key,) = one.ledger.rows
    one.ledger.rows[key] = replace(one.ledger.rows[key], state=MessageState.FAILED, reason=reason)


def test_a_text_that_can_never_arrive_is_not_followed_by_another(welcomed):
    fail(welcomed, "INVALID")

    outcome = welcomed.turn(2)

    assert (outcome.state, outcome.reason) == ("SUPPRESSED", "NOT_DELIVERED")
    assert welcomed.row.ended == "NOT_DELIVERED"


@pytest.mark.parametrize("reason", ["UNREACHABLE", "CARRIER_UNREACHABLE", "UNKNOWN"])
def test_whose_phone_was_off_gets_the_next_text(welcomed, reason):
    fail(welcomed, reason)

    assert welcomed.turn(2).state == "ACCEPTED"


def test_a_text_that_the_service_refuses_ends_the_journey(one):
    one.carrier.answers = [SendRefusedError("DESTINATION_PHONE_NUMBER_NOT_VERIFIED")]

    first = one.turn(1)
    one.clock.advance(days=1)
    second = one.turn(2)

    assert first.state == "FAILED"
    assert (second.state, second.reason) == ("SUPPRESSED", "TEXT_FAILED")


def test_whoever_the_step_before_missed_leaves_once_it_is_over(one):
    one.clock.advance(days=1)

    waits = one.turn(2)
    over = one.turn(2, previous_is_over=True)

    assert (waits.state, waits.reason) == ("DEFERRED", "EARLIER_STEP")
    assert (over.state, over.reason) == ("SUPPRESSED", "STEP_MISSED")
    assert one.texts == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": SubscriberState.OPTED_OUT}, "OPTED_OUT"),
        ({"state": SubscriberState.BOUNCED}, "NOT_DELIVERED"),
        ({"state": SubscriberState.ACTIVE}, "NOT_IN_AUDIENCE"),
        ({"state": None}, "NOT_IN_AUDIENCE"),
        ({"phone_number": None}, "NO_PHONE"),
        ({"phone_number": "+12065550102"}, "PHONE_CHANGED"),
    ],
)
def test_a_row_that_changed_since_the_snapshot_counts_as_it_is_now(changes, reason):
    one = OnePerson(person=replace(NEWCOMER, **changes))

    outcome = one.turn(1)

    assert (outcome.state, outcome.reason) == ("SUPPRESSED", reason)
    assert one.row.ended == reason
    assert one.texts == []


ACTIVE = replace(NEWCOMER, state=SubscriberState.ACTIVE, has_opted_in=True)
JANUARY, JUNE = datetime(2026, 1, 15, tzinfo=UTC), datetime(2026, 6, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("opted_out_at", "resubscribed_at", "is_out"),
    [
        (JUNE, None, True),
        (JUNE, JANUARY, True),
        (JUNE, JUNE, True),
        (JANUARY, JUNE, False),
        # Nobody can say that the person came back after it.
        (None, JUNE, True),
    ],
)
@pytest.mark.parametrize("number", [1, 2])
def test_an_opt_out_that_only_the_row_knows_holds_until_the_person_comes_back(
    number, opted_out_at, resubscribed_at, is_out
):
    # They said YES before; the opt-out went by another way than the channel's.
    everybody = replace(promotional(), audience=frozenset(SubscriberState))
    later = replace(everybody, steps=(*everybody.steps, Wait(timedelta(days=1)), Send("again", "Last days!")))
    one = OnePerson(later, ACTIVE)
    one.set_consent(ConsentState.ACTIVE)
    if number == 2:
        one.turn(1)
        one.due(2)
    before = len(one.texts)
    contact = one.contacts.get(PERSON)
    one.contacts.put(replace(contact, resubscribed_at=resubscribed_at))
    one.person = replace(ACTIVE, state=SubscriberState.OPTED_OUT, opted_out_at=opted_out_at)

    outcome = one.turn(number)

    assert outcome.reason == ("OPTED_OUT" if is_out else None)
    assert len(one.texts) - before == (not is_out)


def test_a_number_that_is_none_is_not_texted_whatever_its_person_has_said():
    one = OnePerson(replace(promotional(), audience=frozenset(SubscriberState)), ACTIVE)
    one.set_consent(ConsentState.ACTIVE)
    one.person = replace(ACTIVE, state=SubscriberState.BOUNCED)

    outcome = one.turn(1)

    assert (outcome.state, outcome.reason) == ("SUPPRESSED", "NOT_DELIVERED")
    assert one.texts == []


def test_whom_its_own_question_made_pending_still_gets_it():
    welcome = replace(welcome_series(), audience=frozenset({SubscriberState.NEW}))
    one = OnePerson(welcome)
    one.carrier.answers = [SendThrottledError("slow down")] * 20
    deferred = one.turn(1)
    one.carrier.answers = []
    # The bus has told the table meanwhile.
    one.person = replace(NEWCOMER, state=SubscriberState.PENDING)
    if deferred.until is not None:
        one.clock.instant = max(one.clock.instant, deferred.until)

    outcome = one.turn(1)

    assert deferred.state == "DEFERRED"
    assert outcome.state == "ACCEPTED"
    assert one.texts == [WELCOME]


def test_whom_another_question_made_pending_is_not_in_the_audience():
    one = OnePerson(replace(welcome_series(), audience=frozenset({SubscriberState.NEW})))
    one.person = replace(NEWCOMER, state=SubscriberState.PENDING)

    assert one.turn(1).reason == "NOT_IN_AUDIENCE"


def test_a_step_that_failed_goes_on_under_another_name_and_texts_nobody_twice(welcomed):
    run, step = welcomed.steps[2]
    again = {2: (replace(run, run_id=f"{run.run_id}-again"), step)}

    first = welcomed.turn(2, steps=again)
    told = [welcomed.turn(2).state, welcomed.turn(2, steps=again).state]

    assert first.state == "ACCEPTED"
    assert told == ["ALREADY_SENT", "ACCEPTED"]
    assert welcomed.texts == [WELCOME, REMINDER]
    assert welcomed.row.ended == "COMPLETED"


def test_two_journeys_whose_runs_have_one_name_know_nothing_of_each_other():
    one = OnePerson()
    one.turn(1)
    one.answer(ReplyKind.NEGATIVE, ended="DECLINED")
    welcomed = one.steps
    one.set_consent(ConsentState.ACTIVE)
    one.journey, one.person = promotional(), ACTIVE
    promoted = one.begin("run")

    outcome = one.turn(1, steps=promoted)

    assert outcome.state == "ACCEPTED"
    assert one.texts == [WELCOME, PROMOTION]
    # They are started by name on one state machine.
    assert {run.run_id for run, _ in welcomed.values()}.isdisjoint(run.run_id for run, _ in promoted.values())


@pytest.mark.parametrize(
    ("person", "contact", "strict", "reason"),
    [
        (ACTIVE, None, False, None),
        (ACTIVE, ConsentState.ACTIVE, True, None),
        (ACTIVE, None, True, "NO_CONSENT"),
        (ACTIVE, ConsentState.PENDING, False, "PENDING_CONFIRMATION"),
        (ACTIVE, ConsentState.OPTED_OUT, False, "OPTED_OUT"),
        (replace(ACTIVE, has_opted_in=False), None, False, "NO_CONSENT"),
        (replace(ACTIVE, has_opted_in=False), ConsentState.ACTIVE, False, None),
    ],
)
def test_a_promotion_needs_consent_by_the_contact_or_where_it_is_silent_by_the_row(
    person, contact, strict, reason
):
    one = OnePerson(promotional(), person, requires_recorded_consent=strict)
    if contact is not None:
        one.set_consent(contact)

    outcome = one.turn(1)

    assert outcome.reason == reason
    assert one.texts == ([PROMOTION] if reason is None else [])
