"""What is due for one person at one moment, and that a way through a journey is one way."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.journeys.domain.conditions import (
    Confirmed,
    Facts,
    Replied,
    ReplyKind,
    holds,
)
from sms_engagement_runtime.journeys.domain.description import (
    Branch,
    Exit,
    Goal,
    JourneyDefinition,
    Send,
    Wait,
)
from sms_engagement_runtime.journeys.domain.program import decide
from sms_engagement_runtime.journeys.domain.stock import welcome_series

DAY = timedelta(days=1)
NEW, AGREED, ANSWERED = Facts(), Facts(is_confirmed=True), Facts(replies=frozenset({ReplyKind.NEUTRAL}))


def way(steps, *known):
    """What a person gets at each moment, as things stand then."""
    definition = JourneyDefinition(name="tips", steps=steps, values={"promo": "X", "discount": "1"})
    decided, got = {}, []
    for at, facts in zip(definition.offsets, known, strict=True):
        verdict = decide(definition.steps, at=at, facts=facts, decided=decided)
        decided = verdict.decided
        got.append(verdict.send.name if verdict.send else verdict.leaves)
        if verdict.leaves:
            break
    return got


@pytest.mark.parametrize(
    ("second", "text"), [(AGREED, "promotion"), (NEW, "reminder"), (ANSWERED, "reminder")]
)
def test_the_welcome_series_decides_at_the_second_text(second, text):
    assert way(welcome_series().steps, NEW, second) == ["welcome", text]


def test_a_branch_is_decided_once_and_stays_so():
    steps = (
        Send("hello", "x"),
        Wait(DAY),
        Branch(
            Confirmed(),
            then=(Send("a1", "x"), Wait(DAY), Send("a2", "x")),
            otherwise=(Send("b1", "x"), Wait(DAY), Send("b2", "x")),
        ),
    )

    assert way(steps, NEW, NEW, AGREED) == ["hello", "b1", "b2"]
    assert way(steps, NEW, AGREED, NEW) == ["hello", "a1", "a2"]


def test_a_branch_before_waits_is_decided_at_the_first_moment_behind_it():
    steps = (
        Send("hello", "x"),
        Wait(DAY),
        Branch(Confirmed(), then=(Wait(2 * DAY), Send("later", "x")), otherwise=(Send("now", "x"),)),
    )

    assert way(steps, NEW, AGREED, NEW) == ["hello", None, "later"]
    assert way(steps, NEW, NEW, AGREED) == ["hello", "now", "COMPLETED"]


def test_a_goal_ends_the_journey_whenever_it_is_reached():
    steps = (Send("one", "x"), Goal(Confirmed()), Wait(DAY), Send("two", "x"), Wait(DAY), Send("three", "x"))

    assert way(steps, NEW, AGREED, NEW) == ["one", "GOAL_REACHED"]
    assert way(steps, NEW, NEW, AGREED) == ["one", "two", "GOAL_REACHED"]
    assert way(steps, AGREED, NEW, NEW) == ["one", "two", "three"]


def test_an_exit_ends_it_for_whom_it_is():
    steps = (
        Send("one", "x"),
        Wait(DAY),
        Branch(Replied(), then=(Exit(),)),
        Send("two", "x"),
        Wait(DAY),
        Send("three", "x"),
    )

    assert way(steps, NEW, ANSWERED, NEW) == ["one", "EXITED"]
    assert way(steps, NEW, NEW, ANSWERED) == ["one", "two", "three"]


def test_an_arm_without_a_text_goes_on_behind_the_branch():
    steps = (
        Send("one", "x"),
        Wait(DAY),
        Branch(Confirmed(), then=(Send("two", "x"),)),
        Wait(DAY),
        Send("three", "x"),
    )

    assert way(steps, NEW, NEW, NEW) == ["one", None, "three"]
    assert way(steps, NEW, AGREED, NEW) == ["one", "two", "three"]


# Any journey: what the moments give, one by one, is what a person gets who walks through it by themselves.


def programs():
    numbers = iter(range(10**9))

    def send(_):
        return Send(f"s{next(numbers)}", "x")

    def spaced(parts):
        """Put a wait before every text, so that no two come at once."""
        steps = []
        for part in parts:
            steps += [Wait(part[0]), part[1]] if isinstance(part, tuple) else [part]
        return tuple(steps)

    texts = st.tuples(st.integers(1, 4).map(lambda days: days * DAY), st.none().map(send))
    condition = st.sampled_from([Confirmed(), Replied(), ~Confirmed()])
    leaf = st.one_of(texts, texts, condition.map(Goal), st.just(Exit()))
    part = st.recursive(
        leaf,
        lambda inner: st.builds(
            Branch,
            condition,
            st.lists(inner, max_size=3).map(spaced),
            st.lists(inner, max_size=2).map(spaced),
        ),
        max_leaves=6,
    )
    return st.lists(part, min_size=1, max_size=6).map(lambda parts: (Send("first", "x"), *spaced(parts)))


def by_oneself(steps, facts):
    """What somebody gets who goes from step to step by their own clock, while nothing changes."""
    got = []

    def go(some, at):
        """Return when they are at the end of these steps; None where they left."""
        for step in some:
            match step:
                case Wait():
                    at += step.span
                case Send():
                    got.append((at, step.name))
                case Branch():
                    at = go(step.then if holds(step.on, facts) else step.otherwise, at)
                case Goal(condition):
                    at = None if holds(condition, facts) else at
                case Exit():
                    at = None
            if at is None:
                return None
        return at

    go(steps, timedelta(0))
    return got


@given(programs(), st.lists(st.sampled_from([NEW, AGREED, ANSWERED]), min_size=40, max_size=40))
def test_nobody_gets_two_texts_at_a_moment_or_one_twice(steps, states):
    try:
        definition = JourneyDefinition(name="tips", steps=steps)
    except ValueError:
        return  # too many moments
    names, decided, has_left = [], {}, False
    for number, at in enumerate(definition.offsets):
        verdict = decide(steps, at=at, facts=states[number], decided=decided)
        assert verdict.send is None or verdict.leaves is None
        assert all(verdict.decided[place] is known for place, known in decided.items())
        again = decide(steps, at=at, facts=states[number], decided=verdict.decided)
        assert again == verdict
        if has_left:
            # For good: COMPLETED and EXITED stay what they are, whatever happens.
            continue
        decided = verdict.decided
        if verdict.send is not None:
            names.append(verdict.send.name)
        has_left = verdict.leaves is not None
    assert len(names) == len(set(names))
    assert not names or names[0] == "first"


@given(programs(), st.sampled_from([NEW, AGREED, ANSWERED]))
def test_where_nothing_changes_moments_give_what_a_walk_by_oneself_gives(steps, facts):
    try:
        definition = JourneyDefinition(name="tips", steps=steps)
    except ValueError:
        return
    decided, got = {}, []
    for at in definition.offsets:
        verdict = decide(steps, at=at, facts=facts, decided=decided)
        decided = verdict.decided
        if verdict.leaves is not None:
            break
        if verdict.send is not None:
            got.append((at, verdict.send.name))

    assert got == by_oneself(steps, facts)
