from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.consent import (
    ALL_SCOPES,
    ConsentState,
    Contact,
    Scope,
    sent_mark,
)
from sms_engagement_runtime.channel.domain.encoding import measure
from sms_engagement_runtime.channel.domain.frequency import FrequencyCap
from sms_engagement_runtime.channel.domain.gate import (
    Answers,
    ConsentRule,
    Defer,
    GateFacts,
    MessageClass,
    Send,
    Suppress,
    decide,
    objections,
)
from sms_engagement_runtime.channel.domain.ledger import intent_key
from sms_engagement_runtime.channel.domain.pacing import LEAVES_WITHIN
from sms_engagement_runtime.channel.domain.quiet_hours import Place, QuietHoursPolicy
from sms_engagement_runtime.channel.domain.reasons import Reason

# A Saturday: noon in New York, nine in Los Angeles, seven in Honolulu.
NOW = datetime(2026, 11, 21, 17, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
POLICY = QuietHoursPolicy()
OPEN = POLICY.hours_for(Place(("America/New_York",)))
EARLY = POLICY.hours_for(Place(("Pacific/Honolulu",)))
EIGHT_IN_HONOLULU = datetime(2026, 11, 21, 18, tzinfo=UTC)
NOWHERE = POLICY.hours_for(Place(()))
KEY = "key of this text"
CAP = FrequencyCap(texts=3, period=timedelta(hours=24))


def _contact(consents: dict[Scope, ConsentState], recent: dict[str, datetime] | None = None) -> Contact:
    return Contact(subscriber_id="v1:a", consents=consents, recent_texts=recent or {})


def _recent(*hours_ago: float) -> dict[str, datetime]:
    return {f"text {hours} h ago": NOW - timedelta(hours=hours) for hours in hours_ago}


OPTED_OUT = _contact(dict.fromkeys(ALL_SCOPES, ConsentState.OPTED_OUT))
REVIEW_REQUEST = GateFacts(
    key=KEY,
    now=NOW,
    still_true=True,
    expires_at=NOW + timedelta(hours=1),
    is_paused=False,
    contact=_contact({}),
    scope=Scope.REVIEWS,
    message_class=MessageClass.PROMOTIONAL,
    consent_rule=ConsentRule.IMPLIED,
    answers=None,
    hours=OPEN,
    frequency_cap=CAP,
    country="US",
    allowed_countries=frozenset({"US", "CA"}),
    over_budget=None,
    measured=measure("Hi John!"),
    max_parts=1,
)
REPLY = replace(
    REVIEW_REQUEST,
    scope=None,
    message_class=MessageClass.REPLY,
    consent_rule=ConsentRule.NONE,
    answers=Answers.MESSAGE,
)
CONFIRMATION = replace(REVIEW_REQUEST, message_class=MessageClass.TRANSACTIONAL)


def test_lets_a_text_pass_when_nothing_speaks_against_it():
    assert decide(REVIEW_REQUEST) == Send()


# In the order of the checks: each fact objects, and all those after it do too.
OBJECTIONS = [
    ({"still_true": False}, Suppress(Reason.NO_LONGER_TRUE)),
    ({"expires_at": NOW}, Suppress(Reason.EXPIRED)),
    ({"is_paused": True}, Defer(Reason.PAUSED)),
    # Everybody after this one has had three texts today: one row of a contact is two facts.
    (
        {"contact": replace(OPTED_OUT, recent_texts=_recent(1, 2, 3))},
        Suppress(Reason.OPTED_OUT),
    ),
    (
        {"hours": EARLY, "contact": _contact({}, _recent(1, 2, 3)), "expires_at": NOW + timedelta(days=1)},
        Defer(Reason.QUIET_HOURS, EIGHT_IN_HONOLULU),
    ),
    (
        {"contact": _contact({}, _recent(1, 2, 3))},
        Defer(Reason.FREQUENCY_CAP, NOW + timedelta(hours=21) + LEAVES_WITHIN),
    ),
    ({"country": "FR"}, Suppress(Reason.COUNTRY_NOT_ALLOWED)),
    ({"over_budget": Reason.CAMPAIGN_BUDGET}, Defer(Reason.CAMPAIGN_BUDGET)),
    ({"measured": measure("a" * 161)}, Suppress(Reason.TOO_MANY_PARTS)),
]


@pytest.mark.parametrize(
    ("late_by", "decision"),
    [(timedelta(0), Send()), (timedelta(seconds=1), Defer(Reason.QUIET_HOURS, EIGHT_IN_HONOLULU))],
)
def test_a_text_that_follows_what_the_person_did_comes_within_five_minutes_or_in_their_hours(
    late_by, decision
):
    caused_at = NOW - timedelta(minutes=5) - late_by
    early = replace(CONFIRMATION, hours=EARLY, expires_at=NOW + timedelta(days=1))

    assert decide(replace(early, caused_at=caused_at)) == decision
    assert decide(early) == Send()


@pytest.mark.parametrize("position", range(len(OBJECTIONS)))
def test_the_first_objection_gives_the_reason(position):
    # Where two set the same fact, the first one's holds.
    all_from_here = {
        name: value for facts, _ in reversed(OBJECTIONS[position:]) for name, value in facts.items()
    }

    assert decide(replace(REVIEW_REQUEST, **all_from_here)) == OBJECTIONS[position][1]


@pytest.mark.parametrize(("facts", "decision"), OBJECTIONS, ids=lambda value: str(value)[:30])
def test_each_objection_is_enough(facts, decision):
    assert decide(replace(REVIEW_REQUEST, **facts)) == decision


@pytest.mark.parametrize(
    ("state", "message_class", "rule", "decision"),
    [
        (None, MessageClass.PROMOTIONAL, ConsentRule.IMPLIED, Send()),
        (None, MessageClass.PROMOTIONAL, ConsentRule.RECORDED, Suppress(Reason.NO_CONSENT)),
        (None, MessageClass.TRANSACTIONAL, ConsentRule.IMPLIED, Send()),
        (None, MessageClass.TRANSACTIONAL, ConsentRule.RECORDED, Suppress(Reason.NO_CONSENT)),
        ("PENDING", MessageClass.PROMOTIONAL, ConsentRule.IMPLIED, Suppress(Reason.PENDING_CONFIRMATION)),
        ("PENDING", MessageClass.PROMOTIONAL, ConsentRule.RECORDED, Suppress(Reason.PENDING_CONFIRMATION)),
        (None, MessageClass.PROMOTIONAL, ConsentRule.ASKING, Send()),
        ("PENDING", MessageClass.PROMOTIONAL, ConsentRule.ASKING, Send()),
        ("OPTED_OUT", MessageClass.PROMOTIONAL, ConsentRule.ASKING, Suppress(Reason.OPTED_OUT)),
        ("PENDING", MessageClass.TRANSACTIONAL, ConsentRule.IMPLIED, Send()),
        ("PENDING", MessageClass.TRANSACTIONAL, ConsentRule.RECORDED, Suppress(Reason.PENDING_CONFIRMATION)),
        ("ACTIVE", MessageClass.PROMOTIONAL, ConsentRule.RECORDED, Send()),
        ("ACTIVE", MessageClass.TRANSACTIONAL, ConsentRule.RECORDED, Send()),
        ("OPTED_OUT", MessageClass.PROMOTIONAL, ConsentRule.IMPLIED, Suppress(Reason.OPTED_OUT)),
        ("OPTED_OUT", MessageClass.TRANSACTIONAL, ConsentRule.IMPLIED, Suppress(Reason.OPTED_OUT)),
    ],
)
def test_consent_by_class_and_rule(state, message_class, rule, decision):
    consents = {} if state is None else {Scope.REVIEWS: ConsentState(state)}

    facts = replace(
        REVIEW_REQUEST, contact=_contact(consents), message_class=message_class, consent_rule=rule
    )

    assert decide(facts) == decision


def test_consent_of_another_scope_does_not_count():
    marketing = _contact({Scope.MARKETING: ConsentState.ACTIVE})

    assert decide(replace(REVIEW_REQUEST, contact=marketing, consent_rule=ConsentRule.RECORDED)) == Suppress(
        Reason.NO_CONSENT
    )


@pytest.mark.parametrize(
    ("answers", "decision"),
    [
        (Answers.OPT_OUT, Send()),
        (Answers.HELP, Send()),
        (Answers.MESSAGE, Suppress(Reason.OPTED_OUT)),
    ],
)
def test_only_the_confirmation_and_help_may_follow_an_opt_out(answers, decision):
    assert decide(replace(REPLY, contact=OPTED_OUT, answers=answers)) == decision


def test_replies_need_no_consent():
    assert decide(REPLY) == Send()


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"country": None}, Reason.COUNTRY_UNKNOWN),
        ({"measured": measure("")}, Reason.EMPTY_BODY),
        ({"measured": measure("é" * 320), "max_parts": 2}, Reason.TOO_MANY_PARTS),
        ({"measured": measure("a" * 1531), "max_parts": 20}, Reason.TOO_MANY_PARTS),
        ({"measured": measure("ж" * 631), "max_parts": 20}, Reason.TOO_MANY_PARTS),
    ],
)
def test_country_and_length(facts, reason):
    assert decide(replace(REVIEW_REQUEST, **facts)) == Suppress(reason)


def test_allows_as_many_parts_as_the_channel_does():
    assert decide(replace(REVIEW_REQUEST, measured=measure("a" * 306), max_parts=2)) == Send()


# Quiet hours


@pytest.mark.parametrize(
    ("expires_at", "decision"),
    [
        (None, Defer(Reason.QUIET_HOURS, EIGHT_IN_HONOLULU)),
        (EIGHT_IN_HONOLULU + timedelta(seconds=1), Defer(Reason.QUIET_HOURS, EIGHT_IN_HONOLULU)),
        (EIGHT_IN_HONOLULU, Suppress(Reason.EXPIRES_IN_QUIET_HOURS)),
        (NOW + timedelta(minutes=1), Suppress(Reason.EXPIRES_IN_QUIET_HOURS)),
    ],
)
def test_a_text_waits_for_its_hour_if_it_still_is_useful_then(expires_at, decision):
    assert decide(replace(REVIEW_REQUEST, hours=EARLY, expires_at=expires_at)) == decision


NINE_IN_THE_EVENING = datetime(2026, 11, 22, 2, tzinfo=UTC)
NEXT_MORNING = datetime(2026, 11, 22, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "decision"),
    [
        (timedelta(seconds=31), Send()),
        (timedelta(seconds=30), Defer(Reason.QUIET_HOURS, NEXT_MORNING)),
        (timedelta(0), Defer(Reason.QUIET_HOURS, NEXT_MORNING)),
    ],
)
def test_a_text_that_might_arrive_at_night_waits_for_the_morning(before, decision):
    facts = replace(REVIEW_REQUEST, now=NINE_IN_THE_EVENING - before, expires_at=None)

    assert decide(facts) == decision


@pytest.mark.parametrize("hours", [NOWHERE, None])
def test_nobody_is_texted_whose_hour_nobody_knows(hours):
    assert decide(replace(REVIEW_REQUEST, hours=hours)) == Suppress(Reason.TIME_ZONE_UNKNOWN)


# Frequency cap


@pytest.mark.parametrize(
    ("recent", "decision"),
    [
        ({}, Send()),
        (_recent(1, 2), Send()),
        (_recent(1, 2, 24), Defer(Reason.FREQUENCY_CAP, NOW + LEAVES_WITHIN)),
        (_recent(1, 2, 24.01), Send()),
        (_recent(1, 2, 23.5), Defer(Reason.FREQUENCY_CAP, NOW + timedelta(hours=0.5) + LEAVES_WITHIN)),
        (_recent(0, 1, 2), Defer(Reason.FREQUENCY_CAP, NOW + timedelta(hours=22) + LEAVES_WITHIN)),
        (_recent(1, 2, 3, 4, 5), Defer(Reason.FREQUENCY_CAP, NOW + timedelta(hours=21) + LEAVES_WITHIN)),
        (_recent(1, 2) | {KEY: NOW}, Send()),
        (
            _recent(1, 2, 3) | {KEY: NOW},
            Defer(Reason.FREQUENCY_CAP, NOW + timedelta(hours=21) + LEAVES_WITHIN),
        ),
    ],
)
def test_a_text_waits_until_enough_others_have_left_the_period(recent, decision):
    assert decide(replace(REVIEW_REQUEST, contact=_contact({}, recent))) == decision


# Budget


def test_the_budget_of_a_day_is_there_again_at_the_next_midnight_of_utc():
    assert decide(replace(REVIEW_REQUEST, over_budget=Reason.DAY_BUDGET)) == Defer(
        Reason.DAY_BUDGET, MIDNIGHT
    )


# What is exempt


@pytest.mark.parametrize("text", [REPLY, CONFIRMATION], ids=["reply", "transactional"])
@pytest.mark.parametrize("hours", [None, EARLY, NOWHERE])
def test_night_and_cap_do_not_hold_up_what_somebody_waits_for(text, hours):
    capped = _contact({}, _recent(1, 2, 3, 4))

    assert decide(replace(text, hours=hours, contact=capped)) == Send()


def test_a_rehearsal_hears_every_objection_in_order():
    everything = replace(
        REVIEW_REQUEST,
        still_true=False,
        expires_at=None,
        is_paused=True,
        contact=replace(OPTED_OUT, recent_texts=_recent(1, 2, 3)),
        hours=EARLY,
        country=None,
        over_budget=Reason.DAY_BUDGET,
        measured=measure(""),
    )

    assert [objection.reason for objection in objections(everything)] == [
        Reason.NO_LONGER_TRUE,
        Reason.PAUSED,
        Reason.OPTED_OUT,
        Reason.QUIET_HOURS,
        Reason.FREQUENCY_CAP,
        Reason.COUNTRY_UNKNOWN,
        Reason.DAY_BUDGET,
        Reason.EMPTY_BODY,
    ]


CONTACTS = st.builds(
    _contact,
    st.dictionaries(st.sampled_from(Scope), st.sampled_from(ConsentState)),
    st.dictionaries(
        st.sampled_from(["a", "b", "c", "d", KEY]),
        st.integers(-10, 30 * 3600).map(lambda seconds: NOW - timedelta(seconds=seconds)),
    ),
)


@st.composite
def facts(draw: st.DrawFn) -> GateFacts:
    message_class = draw(st.sampled_from(MessageClass))
    is_reply = message_class is MessageClass.REPLY
    return GateFacts(
        key=KEY,
        now=NOW,
        still_true=draw(st.booleans()),
        expires_at=draw(st.none() | st.sampled_from([NOW - timedelta(1), NOW, NOW + timedelta(1)])),
        is_paused=draw(st.booleans()),
        contact=draw(CONTACTS),
        scope=None if is_reply else draw(st.sampled_from(Scope)),
        message_class=message_class,
        consent_rule=ConsentRule.NONE
        if is_reply
        else draw(st.sampled_from([ConsentRule.IMPLIED, ConsentRule.RECORDED])),
        answers=draw(st.sampled_from(Answers)) if is_reply else None,
        hours=draw(st.sampled_from([None, OPEN, EARLY, NOWHERE])),
        frequency_cap=draw(st.builds(FrequencyCap, texts=st.integers(1, 4))),
        over_budget=None
        if message_class is not MessageClass.PROMOTIONAL
        else draw(st.sampled_from([None, Reason.DAY_BUDGET, Reason.CAMPAIGN_BUDGET])),
        country=draw(st.sampled_from([None, "US", "CA", "FR"])),
        allowed_countries=draw(st.frozensets(st.sampled_from(["US", "CA", "FR"]))),
        measured=measure(draw(st.text(max_size=10)) * draw(st.integers(0, 40))),
        max_parts=draw(st.integers(1, 10)),
    )


@given(facts())
def test_nobody_who_opted_out_gets_anything_but_a_confirmation_or_help(given_facts):
    assume(given_facts.scope is not None)
    out = replace(
        given_facts,
        contact=replace(
            given_facts.contact,
            consents={**given_facts.contact.consents, given_facts.scope: ConsentState.OPTED_OUT},
        ),
    )

    assert not isinstance(decide(out), Send)


@given(
    st.sampled_from(Scope),
    st.sets(st.sampled_from(Scope), min_size=1),
    st.sampled_from([MessageClass.PROMOTIONAL, MessageClass.TRANSACTIONAL]),
    st.sampled_from([ConsentRule.IMPLIED, ConsentRule.RECORDED]),
)
def test_an_opt_out_of_everything_holds_for_a_scope_that_was_added_since(
    scope, scopes_then, message_class, rule
):
    out = _contact(dict.fromkeys(scopes_then, ConsentState.OPTED_OUT))

    decision = decide(
        replace(REVIEW_REQUEST, contact=out, scope=scope, message_class=message_class, consent_rule=rule)
    )

    assert decision == Suppress(Reason.OPTED_OUT)


@given(facts())
def test_nothing_is_sent_while_paused(given_facts):
    assert not isinstance(decide(replace(given_facts, is_paused=True)), Send)


RESTRICTIONS = st.sampled_from(
    [
        lambda f: replace(f, still_true=False),
        lambda f: replace(f, expires_at=NOW),
        lambda f: replace(f, is_paused=True),
        lambda f: replace(
            f, contact=replace(f.contact, consents={**f.contact.consents, **OPTED_OUT.consents})
        ),
        lambda f: replace(
            f, contact=replace(f.contact, recent_texts={**f.contact.recent_texts, "another": NOW})
        ),
        lambda f: replace(f, frequency_cap=FrequencyCap(texts=1)),
        lambda f: replace(f, hours=None),
        lambda f: replace(f, hours=EARLY),
        lambda f: replace(f, over_budget=Reason.DAY_BUDGET),
        lambda f: replace(f, country=None),
        lambda f: replace(f, allowed_countries=frozenset()),
        lambda f: replace(f, max_parts=1),
        lambda f: replace(f, measured=measure("a" * 1531)),
        lambda f: replace(f, measured=measure("")),
    ]
)


@given(facts(), RESTRICTIONS)
def test_a_further_restriction_never_lets_a_text_pass(given_facts, restrict):
    assume(not isinstance(decide(given_facts), Send))

    assert not isinstance(decide(restrict(given_facts)), Send)


PROMOTIONAL_FACTS = st.builds(
    lambda **drawn: replace(REVIEW_REQUEST, expires_at=None, **drawn),
    contact=CONTACTS.map(lambda contact: replace(contact, consents={})),
    hours=st.sampled_from([OPEN, EARLY]),
    frequency_cap=st.builds(
        FrequencyCap, texts=st.integers(1, 4), period=st.integers(1, 30).map(lambda n: timedelta(hours=n))
    ),
    over_budget=st.sampled_from([None, Reason.DAY_BUDGET, Reason.CAMPAIGN_BUDGET]),
)


@given(PROMOTIONAL_FACTS)
def test_nothing_promotional_is_sent_at_night_above_the_cap_or_the_budget(given_facts):
    others = [
        at
        for key, at in given_facts.contact.recent_texts.items()
        if key != KEY and at > NOW - given_facts.frequency_cap.period - LEAVES_WITHIN
    ]

    may_go = (
        given_facts.hours.is_open(NOW)
        and len(others) < given_facts.frequency_cap.texts
        and given_facts.over_budget is None
    )

    assert isinstance(decide(given_facts), Send) is may_go


@given(PROMOTIONAL_FACTS)
def test_who_asks_again_when_told_to_is_not_told_the_same_again(given_facts):
    decision = decide(given_facts)
    assume(isinstance(decision, Defer) and decision.until is not None)
    assert decision.until > NOW

    # By then, a new day has its own budget.
    again = decide(replace(given_facts, now=decision.until, over_budget=None))

    assert isinstance(again, Send) or again.reason is not decision.reason


@given(facts())
def test_the_same_facts_give_the_same_decision(given_facts):
    assert decide(given_facts) == decide(given_facts)


def test_who_comes_back_after_an_erasure_does_not_get_the_same_text_again_but_gets_the_next_one():
    had = intent_key("reviews", "v1:a", "review-request", "purchase-1")
    contact = Contact(subscriber_id="v1:a", sent_before_erasure=frozenset({sent_mark(had)}))
    again = replace(REVIEW_REQUEST, contact=contact, key=had)

    assert decide(again) == Suppress(Reason.SENT_BEFORE_ERASURE)
    assert decide(replace(again, is_paused=True)) == Suppress(Reason.SENT_BEFORE_ERASURE)
    assert decide(replace(again, key=intent_key("reviews", "v1:a", "review-request", "purchase-2"))) == Send()


@given(st.sampled_from(MessageClass), st.sampled_from(Answers), st.booleans(), st.booleans())
def test_nothing_goes_to_who_was_erased_not_even_the_answer_to_help(message_class, answers, paused, true):
    is_reply = message_class is MessageClass.REPLY
    facts = replace(
        REVIEW_REQUEST,
        contact=Contact(subscriber_id="v1:a", erased_at=NOW),
        message_class=message_class,
        consent_rule=ConsentRule.NONE if is_reply else ConsentRule.IMPLIED,
        answers=answers if is_reply else None,
        scope=None if is_reply else Scope.REVIEWS,
        is_paused=paused,
        still_true=true,
    )

    assert decide(facts) == Suppress(Reason.ERASED)
