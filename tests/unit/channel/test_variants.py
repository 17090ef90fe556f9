"""Who gets which wording, and when a wording is given up."""

from collections import Counter
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.broadcast.stop_rules import StopRules
from sms_engagement_runtime.channel.domain.campaign_counts import Counts
from sms_engagement_runtime.channel.domain.variants import MAX_VARIANTS, assign, campaign_id, choose

PEOPLE = [f"v1:person-{number}" for number in range(20_000)]

# Values that chi-squared of as many degrees of freedom exceeds once in a thousand experiments (NIST/SEMATECH
# e-Handbook of Statistical Methods, 1.3.6.7.4). The people are always the same, so no run is unlucky.
ONCE_IN_A_THOUSAND = {1: 10.828, 2: 13.816, 3: 16.266, 4: 18.467, 6: 22.458, 25: 52.620}


def chi_squared(counts, expected):
    return sum((counts[cell] - wanted) ** 2 / wanted for cell, wanted in expected.items())


# Who gets what


@pytest.mark.parametrize(
    ("experiment", "variants", "holdout", "expected"),
    [
        ("appointments/confirmation", 2, 0, [1, 1, 0, 0, 1, 1]),
        ("appointments/confirmation", 2, 50, [1, None, None, None, 1, None]),
        ("appointments/confirmation", 3, 0, [2, 2, 0, 0, 1, 1]),
        ("appointments/reminder", 2, 0, [0, 1, 1, 0, 1, 0]),
    ],
)
def test_a_person_has_the_same_variant_for_ever(experiment, variants, holdout, expected):
    # Computed by sha256sum from '["appointments/confirmation", "v1:person-0"]' and so on.
    dealt = [assign(person, experiment, variants=variants, holdout_percent=holdout) for person in PEOPLE[:6]]

    assert dealt == expected


@pytest.mark.parametrize("variants", [2, 3, 5, 7, 26])
def test_the_variants_are_dealt_evenly(variants):
    counts = Counter(assign(person, "confirmation", variants=variants) for person in PEOPLE)

    expected = dict.fromkeys(range(variants), len(PEOPLE) / variants)
    assert set(counts) == set(expected)
    assert chi_squared(counts, expected) < ONCE_IN_A_THOUSAND[variants - 1]


@pytest.mark.parametrize(
    ("one", "other"), [("confirmation", "reminder"), ("a", "b"), ("", " "), ("spring-1", "spring-2")]
)
def test_experiments_are_independent_of_each_other(one, other):
    pairs = Counter((assign(person, one, variants=2), assign(person, other, variants=2)) for person in PEOPLE)

    expected = dict.fromkeys(product((0, 1), repeat=2), len(PEOPLE) / 4)
    assert chi_squared(pairs, expected) < ONCE_IN_A_THOUSAND[3]


@pytest.mark.parametrize("percent", [1, 10, 50, 99])
def test_the_holdout_is_as_large_as_was_asked_for(percent):
    counts = Counter(
        assign(person, "confirmation", variants=2, holdout_percent=percent) is None for person in PEOPLE
    )

    held = len(PEOPLE) * percent / 100
    assert chi_squared(counts, {True: held, False: len(PEOPLE) - held}) < ONCE_IN_A_THOUSAND[1]


def test_without_a_holdout_everybody_gets_a_text_and_with_a_whole_one_nobody():
    nobody_held = {assign(person, "confirmation", variants=2) for person in PEOPLE}
    all_held = {assign(person, "confirmation", variants=2, holdout_percent=100) for person in PEOPLE}

    assert (nobody_held, all_held) == ({0, 1}, {None})


def test_the_variants_of_those_who_are_not_held_out_are_dealt_evenly():
    counts = Counter(assign(person, "confirmation", variants=3, holdout_percent=40) for person in PEOPLE)

    texted = len(PEOPLE) - counts.pop(None)
    assert chi_squared(counts, dict.fromkeys(range(3), texted / 3)) < ONCE_IN_A_THOUSAND[2]


@given(st.text(), st.text(), st.integers(1, 26), st.integers(1, 26), st.integers(0, 100), st.integers(0, 100))
@example("v1:a", "confirmation", 2, 3, 50, 60)
def test_changing_one_thing_leaves_the_other_alone(person, experiment, variants, others, percent, higher):
    percent, higher = sorted((percent, higher))
    plain = assign(person, experiment, variants=variants)
    held = assign(person, experiment, variants=variants, holdout_percent=percent)
    more_held = assign(person, experiment, variants=variants, holdout_percent=higher)
    held_of_others = assign(person, experiment, variants=others, holdout_percent=percent)

    assert plain is not None
    assert 0 <= plain < variants
    assert (held is None) == (held_of_others is None)
    assert held in (None, plain)
    assert more_held in (None, held)


@pytest.mark.parametrize("separator", ["", " ", ",", "/", "#", ":", '", "'])
def test_no_two_pairs_of_names_are_taken_for_one(separator):
    def dealt(person, experiment):
        return [assign(f"{person}{number}", experiment, variants=26) for number in range(20)]

    assert dealt("b", f"c{separator}a") != dealt(f"a{separator}b", "c")


@pytest.mark.parametrize("variants", [0, -1, 27])
def test_a_number_of_variants_that_cannot_be(variants):
    with pytest.raises(ValueError, match=f"1 to 26 variants, got {variants}"):
        assign("v1:a", "confirmation", variants=variants)


@pytest.mark.parametrize("percent", [-1, 101])
def test_a_holdout_that_cannot_be(percent):
    with pytest.raises(ValueError, match=f"holdout_percent must be between 0 and 100, got {percent}"):
        assign("v1:a", "confirmation", variants=2, holdout_percent=percent)


# When a wording is given up

RULES = StopRules()


def fared(ended, *, opted_out=0, failed=0):
    return Counts(delivered=ended - failed, failed=failed, opted_out=opted_out)


FINE = fared(1000, opted_out=10)
BETTER = fared(1000, opted_out=5)
DISLIKED = fared(1000, opted_out=60)
MORE_DISLIKED = fared(1000, opted_out=90)
FILTERED = fared(1000, failed=400)
NEW = fared(99)
NEW_AND_DISLIKED = fared(99, opted_out=99)


@pytest.mark.parametrize(
    ("assigned", "counts", "chosen"),
    [
        pytest.param(0, [FINE], 0, id="one variant"),
        pytest.param(0, [DISLIKED], 0, id="one variant, and no other to turn to"),
        pytest.param(0, [Counts(), Counts()], 0, id="nothing is known yet"),
        pytest.param(0, [FINE, BETTER], 0, id="a better one is no reason to leave a good one"),
        pytest.param(0, [NEW_AND_DISLIKED, FINE], 0, id="too few texts to conclude anything"),
        pytest.param(0, [DISLIKED, FINE], 1, id="people opt out"),
        pytest.param(1, [DISLIKED, FINE], 1, id="people opt out of another"),
        pytest.param(1, [FINE, FILTERED], 0, id="it does not arrive"),
        pytest.param(0, [DISLIKED, FINE, BETTER], 2, id="the one with the fewest opt-outs"),
        pytest.param(0, [DISLIKED, FILTERED, FINE], 2, id="not one that breaks the rules otherwise"),
        pytest.param(0, [DISLIKED, NEW, FINE], 2, id="a proven one before a new one"),
        pytest.param(0, [DISLIKED, MORE_DISLIKED, NEW], 2, id="a new one before a broken one"),
        pytest.param(0, [DISLIKED, NEW_AND_DISLIKED], 1, id="a new one, whatever was counted"),
        pytest.param(0, [DISLIKED, NEW_AND_DISLIKED, NEW], 2, id="of new ones the one with fewer opt-outs"),
        pytest.param(0, [DISLIKED, Counts(), NEW], 1, id="one that nobody got"),
        pytest.param(1, [FINE, DISLIKED, FINE], 2, id="of two alike the next one"),
        pytest.param(2, [FINE, FINE, DISLIKED], 0, id="after the last comes the first"),
        pytest.param(0, [MORE_DISLIKED, DISLIKED], 1, id="all broken: the lesser evil"),
        pytest.param(1, [MORE_DISLIKED, DISLIKED], 1, id="all broken: the lesser evil stays"),
        pytest.param(1, [FILTERED, FILTERED, FILTERED], 1, id="all broken alike: the assigned one"),
    ],
)
def test_which_variant_is_sent(assigned, counts, chosen):
    assert choose(assigned, counts, RULES) == chosen


def test_the_limits_are_those_of_the_rules():
    strict = StopRules(max_opt_out_percent=0.5, min_delivery_percent=99, min_volume=10)

    assert choose(0, [FINE, BETTER], strict) == 1
    assert choose(0, [NEW_AND_DISLIKED, BETTER], strict) == 1


counts_of_a_variant = st.builds(
    Counts, delivered=st.integers(0, 300), failed=st.integers(0, 300), opted_out=st.integers(0, 300)
)


@given(st.lists(counts_of_a_variant, min_size=1, max_size=26), st.data())
def test_a_broken_variant_is_sent_only_if_all_are_broken(counts, data):
    assigned = data.draw(st.integers(0, len(counts) - 1))

    chosen = choose(assigned, counts, RULES)

    if RULES.broken_by(counts[chosen]) is not None:
        assert all(RULES.broken_by(one) is not None for one in counts)
    if RULES.broken_by(counts[assigned]) is None:
        assert chosen == assigned


@pytest.mark.parametrize("assigned", [-1, 2])
def test_a_variant_that_there_is_not(assigned):
    with pytest.raises(ValueError, match=f"variant {assigned} was assigned, and there are 2"):
        choose(assigned, [FINE, FINE], RULES)


# Under which name it is counted


def test_each_variant_has_a_letter():
    assert campaign_id("appointments", "confirmation", 0) == "appointments/confirmation/a"
    assert campaign_id("appointments", "no-show", 25) == "appointments/no-show/z"
    assert len({campaign_id("c", "p", variant) for variant in range(MAX_VARIANTS)}) == 26


@pytest.mark.parametrize("variant", [-1, 26])
def test_a_variant_without_letter(variant):
    with pytest.raises(ValueError, match=f"one of 0 to 25, got {variant}"):
        campaign_id("appointments", "confirmation", variant)
