from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.consent import ALL_SCOPES, ConsentState, Contact, Scope
from sms_engagement_runtime.channel.domain.encoding import measure
from sms_engagement_runtime.channel.domain.gate import (
    Answers,
    ConsentRule,
    Defer,
    GateFacts,
    MessageClass,
    Send,
    Suppress,
    decide,
)
from sms_engagement_runtime.channel.domain.reasons import Reason

NOW = datetime(2026, 11, 21, 17, tzinfo=UTC)


def _contact(consents: dict[Scope, ConsentState]) -> Contact:
    return Contact(subscriber_id="v1:a", consents=consents)


OPTED_OUT = _contact(dict.fromkeys(ALL_SCOPES, ConsentState.OPTED_OUT))
REVIEW_REQUEST = GateFacts(
    now=NOW,
    still_true=True,
    expires_at=NOW + timedelta(hours=1),
    is_paused=False,
    contact=_contact({}),
    scope=Scope.REVIEWS,
    message_class=MessageClass.PROMOTIONAL,
    consent_rule=ConsentRule.IMPLIED,
    answers=None,
    country="US",
    allowed_countries=frozenset({"US", "CA"}),
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


def test_lets_a_text_pass_when_nothing_speaks_against_it():
    assert decide(REVIEW_REQUEST) == Send()


# In the order of the checks: each fact objects, and all those after it do too.
OBJECTIONS = [
    ({"still_true": False}, Suppress(Reason.NO_LONGER_TRUE)),
    ({"expires_at": NOW}, Suppress(Reason.EXPIRED)),
    ({"is_paused": True}, Defer(Reason.PAUSED)),
    ({"contact": OPTED_OUT}, Suppress(Reason.OPTED_OUT)),
    ({"country": "FR"}, Suppress(Reason.COUNTRY_NOT_ALLOWED)),
    ({"measured": measure("a" * 161)}, Suppress(Reason.TOO_MANY_PARTS)),
]


@pytest.mark.parametrize("position", range(len(OBJECTIONS)))
def test_the_first_objection_gives_the_reason(position):
    all_from_here = {name: value for facts, _ in OBJECTIONS[position:] for name, value in facts.items()}

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


CONTACTS = st.dictionaries(st.sampled_from(Scope), st.sampled_from(ConsentState)).map(_contact)


@st.composite
def facts(draw: st.DrawFn) -> GateFacts:
    message_class = draw(st.sampled_from(MessageClass))
    is_reply = message_class is MessageClass.REPLY
    return GateFacts(
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
        contact=_contact({**given_facts.contact.consents, given_facts.scope: ConsentState.OPTED_OUT}),
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
        lambda f: replace(f, contact=_contact({**f.contact.consents, **OPTED_OUT.consents})),
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


@given(facts())
def test_the_same_facts_give_the_same_decision(given_facts):
    assert decide(given_facts) == decide(given_facts)
