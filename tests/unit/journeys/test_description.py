"""What a journey may be, what is refused, and that it is the same behind the state machine."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.gate import MessageClass
from sms_engagement_runtime.journeys.domain.conditions import (
    Confirmed,
    Facts,
    HasAttribute,
    InState,
    Replied,
    RepliedNegatively,
    RepliedPositively,
    ReplyKind,
    SubscriberState,
    condition_from_json,
    condition_to_json,
    holds,
)
from sms_engagement_runtime.journeys.domain.description import (
    MAX_STEPS,
    Branch,
    Exit,
    Goal,
    JourneyDefinition,
    Send,
    Wait,
)
from sms_engagement_runtime.journeys.domain.stock import confirmation, promotional, welcome_series

DAY = timedelta(days=1)
ONE = Send("one", "Hello")


def journey(*steps, **fields):
    return JourneyDefinition(name="tips", steps=steps, **fields)


def conditions():
    plain = st.sampled_from(
        [
            Confirmed(),
            Replied(),
            RepliedPositively(),
            RepliedNegatively(),
            InState("NEW", "PENDING"),
            HasAttribute("segment", "vip"),
        ]
    )
    return st.recursive(
        plain,
        lambda inner: st.one_of(
            st.tuples(inner, inner).map(lambda two: two[0] & two[1]),
            st.tuples(inner, inner).map(lambda two: two[0] | two[1]),
            inner.map(lambda one: ~one),
        ),
        max_leaves=4,
    )


def facts():
    return st.builds(
        Facts,
        is_confirmed=st.booleans(),
        replies=st.frozensets(st.sampled_from(ReplyKind)),
        state=st.sampled_from([*SubscriberState, None]),
        attributes=st.sampled_from([{}, {"segment": "vip"}, {"segment": "other"}]),
    )


@given(conditions(), facts())
def test_a_condition_means_the_same_after_it_was_json(condition, known):
    copied = condition_from_json(json.loads(json.dumps(condition_to_json(condition))))

    assert holds(copied, known) is holds(condition, known)


@given(conditions(), conditions(), facts())
def test_conditions_join_as_logic_does(one, other, known):
    assert holds(one & other, known) is (holds(one, known) and holds(other, known))
    assert holds(one | other, known) is (holds(one, known) or holds(other, known))
    assert holds(~one, known) is not holds(one, known)


def test_a_yes_that_confirms_is_an_answer_too():
    confirmed = Facts(is_confirmed=True)

    assert holds(Replied(), confirmed)
    assert holds(RepliedPositively(), confirmed)
    assert not holds(RepliedNegatively(), confirmed)
    assert not holds(Replied(), Facts())


@pytest.mark.parametrize(
    "definition",
    [
        welcome_series(),
        promotional(),
        confirmation(),
        journey(
            ONE,
            Wait(DAY),
            Goal(Replied()),
            Branch(
                InState("ACTIVE") & ~HasAttribute("segment", "vip"),
                then=(Send("two", {"en": "Two", "de": "Zwei"}, message_class=MessageClass.TRANSACTIONAL),),
                otherwise=(Exit(),),
            ),
        ),
    ],
    ids=lambda definition: definition.name,
)
def test_a_journey_is_the_same_after_it_was_json(definition):
    written = json.loads(json.dumps(definition.to_json()))

    assert JourneyDefinition.from_json(written).to_json() == definition.to_json()
    assert JourneyDefinition.from_json(written).offsets == definition.offsets


def test_the_stock_texts_are_the_promised_ones():
    welcome = {send.name: send for send in welcome_series().sends}

    assert welcome["welcome"].text == "Welcome! Reply YES to confirm or STOP to unsubscribe."
    assert welcome["promotion"].text == "Hi {{name}}, use code {{promo}} for {{discount}}% off!"
    assert welcome["welcome"].asks_to_confirm
    assert welcome["reminder"].asks_to_confirm
    assert welcome_series().offsets == [timedelta(0), DAY]
    assert welcome_series().audience == {"NEW", "PENDING"}
    assert promotional().audience == {"ACTIVE"}
    assert (welcome_series().once, confirmation().once, promotional().once) == (True, True, False)


def test_moments_are_those_of_every_way_through():
    definition = journey(
        ONE,
        Wait(DAY),
        Branch(Confirmed(), then=(Wait(2 * DAY), Send("two", "Two")), otherwise=(Send("three", "Three"),)),
        Wait(DAY),
        Send("four", "Four"),
    )

    # Behind the branch, whoever was in its first arm is two days later.
    assert definition.offsets == [timedelta(0), DAY, 2 * DAY, 3 * DAY, 4 * DAY]


def test_texts_at_one_moment_are_one_step():
    definition = journey(
        ONE,
        Wait(DAY),
        Branch(Confirmed(), then=(Send("two", "Two"),), otherwise=(Send("three", "Three"),)),
    )

    assert definition.offsets == [timedelta(0), DAY]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: journey(), "has no Send"),
        (lambda: journey(Wait(DAY)), "has no Send"),
        (lambda: journey(Send("one", "Hello {{code}}")), "unknown placeholder code"),
        (lambda: journey(Send("one", "Hello {{NAME}}")), "malformed braces"),
        (lambda: journey(Send("one", "  ")), "must not be blank"),
        (lambda: journey(Send("one", {"fr": "Salut"})), "no text in the default locale en"),
        (lambda: journey(ONE, Wait(DAY), ONE), "got one twice"),
        (lambda: journey(ONE, Send("two", "Two")), "two comes at once after another one"),
        (lambda: journey(ONE, Branch(Confirmed(), (Send("two", "Two"),))), "two comes at once"),
        (lambda: journey(ONE, audience=frozenset()), "at least one state"),
        (lambda: journey(ONE, values={"name": "x"}), "'name' is the person's"),
        (lambda: journey(ONE, values={"promo": "x" * 41}), "1 to 40 characters"),
        (lambda: journey(ONE, values={"promo": "{{x}}"}), "without braces"),
        (lambda: journey(ONE, Wait(200 * DAY), Wait(200 * DAY), Send("two", "Two")), "takes over a year"),
        (
            lambda: journey(*[s for n in range(MAX_STEPS + 1) for s in (Wait(DAY), Send(f"s{n}", "x"))]),
            f"at most {MAX_STEPS} are allowed",
        ),
        (lambda: JourneyDefinition(name="Tips", steps=[ONE]), "name of a journey is 1 to 40"),
        (lambda: Send("One", "Hello"), "name of a text is 1 to 40"),
        (lambda: Send("one", "Hello", message_class=MessageClass.REPLY), "got REPLY"),
        (
            lambda: Send("one", "?", asks_to_confirm=True, message_class=MessageClass.TRANSACTIONAL),
            "asks to confirm is PROMOTIONAL",
        ),
        (lambda: Wait(timedelta(0)), "longer than 0 and at most 365 days"),
        (lambda: Wait(timedelta(seconds=-1)), "longer than 0"),
        (lambda: Wait(366 * DAY), "at most 365 days"),
        (lambda: Branch("confirmed", then=(ONE,)), "a Branch needs a condition"),
        (lambda: Goal(None), "a Goal needs a condition"),
        (lambda: InState("ASLEEP"), "got ASLEEP"),
        (lambda: InState(), "at least one state"),
        (lambda: HasAttribute("", "x"), "name of an attribute"),
    ],
)
def test_what_cannot_be_a_journey_is_refused_with_a_sentence(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_text_that_takes_too_many_parts_is_named():
    definition = journey(
        Send("one", {"en": "a" * 160, "pl": "ł" * 71}),
        Wait(DAY),
        Send("two", "{{promo}}" + "b" * 140),
        values={"promo": None},
    )

    faults = list(definition.overlong(1))

    assert [fault.partition(" takes")[0] for fault in faults] == ["journey tips, text one (pl)"]
    assert list(definition.overlong(2)) == []
    assert "text two" in "".join(definition.overlong(1, {"promo": "c" * 40}))
