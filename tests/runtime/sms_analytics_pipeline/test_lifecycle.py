import itertools

import pytest

from sms_engagement_runtime.sms_analytics_pipeline.domain.lifecycle import (
    AS_BEFORE,
    PENDING_FOR,
    TRANSITIONS,
    Happening,
    SubscriptionStatus,
    fold,
)

NEW, PENDING, ACTIVE, OPTED_OUT, BOUNCED = SubscriptionStatus
H = Happening
DAY = 24 * 3_600_000


def status_after(*happened, until=None):
    """Fold happenings that come a second after one another, or at the instants given."""
    entries = [e if isinstance(e, tuple) else (1000 * (n + 1), e) for n, e in enumerate(happened)]
    return fold(
        entries, until=until if until is not None else max((at for at, _ in entries), default=0)
    ).status


def test_the_table_has_every_cell():
    assert list(TRANSITIONS) == list(SubscriptionStatus)
    for row in TRANSITIONS.values():
        assert list(row) == list(Happening)


def test_only_start_leaves_opted_out():
    leaving = {happening for happening, target in TRANSITIONS[OPTED_OUT].items() if target != OPTED_OUT}

    assert leaving == {H.STARTED}


def test_only_failures_for_good_lead_to_bounced():
    for status, happening in itertools.product(SubscriptionStatus, Happening):
        if status != BOUNCED and TRANSITIONS[status][happening] == BOUNCED:
            assert happening is H.FAILED_FOR_GOOD


def test_yes_confirms_from_pending_only():
    assert [s for s in SubscriptionStatus if TRANSITIONS[s][H.CONFIRMED] != s] == [PENDING]


def test_only_a_bounced_one_comes_back_to_what_it_was():
    for status, happening in itertools.product(SubscriptionStatus, Happening):
        assert (TRANSITIONS[status][happening] is AS_BEFORE) == (
            status == BOUNCED and happening in {H.DELIVERED, H.RESPONDED}
        )


@pytest.mark.parametrize(
    ("happened", "status"),
    [
        ([], NEW),
        ([H.TEXTED, H.DELIVERED], NEW),
        ([H.RESPONDED], NEW),
        ([H.RESPONDED, H.CONFIRMED], NEW),
        ([H.ASKED_TO_CONFIRM], PENDING),
        ([H.ASKED_TO_CONFIRM, H.CONFIRMED], ACTIVE),
        ([H.ASKED_TO_CONFIRM, H.RESPONDED], PENDING),
        ([H.ASKED_TO_CONFIRM, H.OPTED_OUT, H.CONFIRMED], OPTED_OUT),
        ([H.OPTED_OUT, H.ASKED_TO_CONFIRM, H.CONFIRMED], OPTED_OUT),
        ([H.OPTED_OUT, H.STARTED], ACTIVE),
        ([H.STARTED, H.ASKED_TO_CONFIRM], ACTIVE),
        ([H.OPTED_OUT, H.FAILED_FOR_GOOD], OPTED_OUT),
        ([H.FAILED_FOR_GOOD], BOUNCED),
        ([H.FAILED_FOR_GOOD, H.DELIVERED], NEW),
        ([H.STARTED, H.FAILED_FOR_GOOD, H.RESPONDED], ACTIVE),
        # Asked while the number was dead, and the text came through after all.
        ([H.FAILED_FOR_GOOD, H.ASKED_TO_CONFIRM, H.DELIVERED], PENDING),
        ([H.FAILED_FOR_GOOD, H.OPTED_OUT], OPTED_OUT),
        ([H.STARTED, H.FAILED_FOR_GOOD, H.OPTED_OUT, H.DELIVERED], OPTED_OUT),
        ([H.FAILED, H.FAILED], NEW),
        ([H.FAILED, H.FAILED, H.FAILED], BOUNCED),
        ([H.FAILED, H.FAILED, H.DELIVERED, H.FAILED], NEW),
        ([H.FAILED, H.FAILED, H.RESPONDED, H.FAILED], NEW),
        ([H.FAILED, H.FAILED, H.TEXTED, H.FAILED], BOUNCED),
        ([H.ENTERED], ACTIVE),
        ([H.OPTED_OUT, H.ENTERED], OPTED_OUT),
    ],
)
def test_a_life(happened, status):
    assert status_after(*happened) == status


def test_a_question_without_answer_expires():
    asked = (1000, H.ASKED_TO_CONFIRM)

    assert status_after(asked, until=1000 + PENDING_FOR - 1) == PENDING
    assert status_after(asked, until=1000 + PENDING_FOR) == NEW
    assert status_after(asked, (1000 + PENDING_FOR - 1, H.CONFIRMED)) == ACTIVE
    assert status_after(asked, (1000 + PENDING_FOR, H.CONFIRMED)) == NEW


def test_asking_again_gives_thirty_days_more():
    asked_twice = [(0, H.ASKED_TO_CONFIRM), (20 * DAY, H.ASKED_TO_CONFIRM)]

    assert status_after(*asked_twice, (45 * DAY, H.CONFIRMED)) == ACTIVE
    assert status_after(*asked_twice, until=50 * DAY) == NEW


def test_a_question_expires_behind_a_dead_number_too():
    dead = [(0, H.ASKED_TO_CONFIRM), (DAY, H.FAILED_FOR_GOOD)]

    assert status_after(*dead, until=60 * DAY) == BOUNCED
    assert status_after(*dead, (60 * DAY, H.DELIVERED)) == NEW
    assert status_after(*dead, (20 * DAY, H.DELIVERED)) == PENDING


def test_at_one_instant_an_opt_out_wins_and_a_sign_of_life_beats_a_failure():
    for order in itertools.permutations([(5, H.STARTED), (5, H.OPTED_OUT), (5, H.CONFIRMED)]):
        assert fold(order, until=5).status == OPTED_OUT
    for order in itertools.permutations([(5, H.FAILED_FOR_GOOD), (5, H.DELIVERED)]):
        assert fold(order, until=5).status == NEW


def test_a_question_that_expires_at_the_instant_of_the_next_one_is_pending_again():
    assert status_after((0, H.ASKED_TO_CONFIRM), (PENDING_FOR, H.ASKED_TO_CONFIRM)) == PENDING


def test_the_opt_in_is_the_word_that_was_one():
    yes_to_nothing = fold([(1, H.CONFIRMED)], until=1)
    confirmed = fold([(1, H.ASKED_TO_CONFIRM), (2, H.CONFIRMED), (3, H.CONFIRMED)], until=3)
    started = fold([(1, H.ASKED_TO_CONFIRM), (2, H.CONFIRMED), (4, H.STARTED)], until=4)
    entered = fold([(1, H.ENTERED)], until=1)

    assert [life.opted_in_at for life in (yes_to_nothing, confirmed, started, entered)] == [None, 2, 4, None]
