"""What a customer may be asked about, when, and the one reminder."""

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.review_collector.domain.occasions import (
    REMINDER_WINDOW,
    UNSETTLED,
    Ask,
    Nothing,
    OccasionPolicy,
    Remind,
    Settle,
    choose,
    reminder_useful_until,
    useful_until,
)
from sms_engagement_runtime.review_collector.domain.requests import REGISTRATION, ReviewRequest

NOW = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
POLICY = OccasionPolicy()
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def ago(days):
    return NOW - days * DAY


def row(occasion="order-1", *, recorded=0, **days):
    """A request; every other argument says how many days ago."""
    instants = {f"{name}_at": ago(value) for name, value in days.items() if name != "run_id"}
    return ReviewRequest(
        request_id=f"id of {occasion}",
        user_id="u1",
        occasion=occasion,
        recorded_at=ago(recorded),
        run_id=days.get("run_id"),
        **instants,
    )


class TestAsking:
    def test_a_customer_without_any_occasion_is_asked_about_the_registration(self):
        assert choose([], NOW, POLICY) == Ask(REGISTRATION)

    def test_a_registration_that_the_gate_refused_is_tried_again_however_late(self):
        refused = row(REGISTRATION, recorded=400)

        assert choose([refused], NOW, POLICY) == Ask(REGISTRATION, refused)

    @pytest.mark.parametrize(
        "known",
        [
            row("appointment-9"),
            row("appointment-9", recorded=400),
            row("appointment-9", occurred=-2),
            row("appointment-9", recorded=400, asked=400),
            row("appointment-9", recorded=400, answered=400),
        ],
        ids=["recorded", "long ago", "yet to come", "asked", "answered"],
    )
    def test_of_whom_any_occasion_is_known_the_registration_is_never_asked_about(self, known):
        for day in range(0, 800, 5):
            choice = choose([known], NOW + day * DAY, POLICY)

            assert not isinstance(choice, Ask) or choice.occasion == "appointment-9"

    def test_the_registration_is_asked_about_once(self):
        assert choose([row(REGISTRATION, recorded=400, asked=400)], NOW, POLICY) == Nothing("NO_OCCASION")

    @pytest.mark.parametrize("purchase", [row(recorded=200), row(recorded=200, asked=200), row(recorded=-5)])
    def test_whose_purchase_is_on_record_has_registered_long_ago(self, purchase):
        refused = row(REGISTRATION, recorded=10)

        assert isinstance(choose([refused, purchase], NOW, POLICY), Nothing)

    def test_the_newest_occasion_wins_by_when_it_happened(self):
        early = row("a", recorded=1, occurred=9)
        late = row("b", recorded=5, occurred=6)
        unknown = row("c", recorded=7)

        assert choose([early, late, unknown], NOW, POLICY) == Ask("b", late)

    def test_what_was_asked_or_answered_is_not_asked_again(self):
        others = [row("a", recorded=200, asked=200), row("b", recorded=2, answered=1)]

        assert choose(others, NOW, POLICY) == Nothing("NO_OCCASION")
        assert choose([*others, row("c", recorded=3)], NOW, POLICY) == Ask("c", row("c", recorded=3))

    @pytest.mark.parametrize(
        ("days", "is_due"), [(0, True), (29, True), (30 - 1 / 86400, True), (30, False), (31, False)]
    )
    def test_an_occasion_expires(self, days, is_due):
        occasion = row(recorded=0, occurred=days)

        expected = Ask("order-1", occasion) if is_due else Nothing("OCCASION_EXPIRED")
        assert choose([occasion], NOW, POLICY) == expected

    def test_an_occasion_that_is_still_to_come_is_none_yet(self):
        announced = row(recorded=3, occurred=-2)

        assert choose([announced], NOW, POLICY) == Nothing("NO_OCCASION")
        assert choose([announced], NOW + 2 * DAY, POLICY) == Ask("order-1", announced)

    @pytest.mark.parametrize(
        ("days", "is_due"), [(1, False), (89, False), (90 - 1 / 86400, False), (90, True), (91, True)]
    )
    def test_between_two_requests_lies_the_cooldown(self, days, is_due):
        fresh = row("b", recorded=1)
        rows = [row("a", recorded=days, asked=days), fresh]

        expected = Ask("b", fresh) if is_due else Nothing("COOLDOWN")
        assert choose(rows, NOW, replace(POLICY, reminder_delay=None)) == expected

    def test_the_latest_of_many_requests_counts_for_the_cooldown(self):
        fresh = row("c", recorded=1)

        assert choose([row("a", asked=300), row("b", recorded=40, asked=40), fresh], NOW, POLICY) == Nothing(
            "COOLDOWN"
        )


class TestReminding:
    @pytest.mark.parametrize(
        ("days", "is_due"),
        [
            (0, False),
            (3 - 1 / 86400, False),
            (3, True),
            (5, True),
            (10 - 1 / 86400, True),
            (10, False),
            (60, False),
        ],
    )
    def test_a_request_is_reminded_of_for_a_week_from_the_third_day_on(self, days, is_due):
        request = row(recorded=days, asked=days)

        assert (choose([request], NOW, POLICY) == Remind(request)) is is_due

    @pytest.mark.parametrize("ended", [{"answered": 1}, {"reminded": 1}])
    def test_who_answered_or_was_reminded_is_left_alone(self, ended):
        assert isinstance(choose([row(asked=4, **ended)], NOW, POLICY), Nothing)

    def test_reminders_can_be_switched_off(self):
        off = replace(POLICY, reminder_delay=None)

        assert choose([row(asked=4, answered=3)], NOW, off) == Nothing("NO_OCCASION")
        assert choose([row(asked=4)], NOW, off, follow_up=True) == Nothing("NO_REMINDERS")
        assert reminder_useful_until(row(asked=4), off) is None

    def test_only_the_last_request_is_reminded_of(self):
        assert choose([row("a", asked=5), row("b", asked=4, answered=3)], NOW, POLICY) == Nothing(
            "NO_OCCASION"
        )

    def test_a_new_occasion_after_a_short_cooldown_goes_before_the_reminder(self):
        fresh = row("b", recorded=1)
        short = replace(POLICY, cooldown=2 * DAY)

        assert choose([row("a", asked=4), fresh], NOW, short) == Ask("b", fresh)
        assert choose([row("a", asked=4)], NOW, short) == Remind(row("a", asked=4))

    def test_the_last_hour_of_a_reminder_is_that_of_its_text(self):
        request = row(asked=4)

        assert reminder_useful_until(request, POLICY) == ago(4) + 3 * DAY + REMINDER_WINDOW
        assert reminder_useful_until(row(), POLICY) is None


class TestFollowUp:
    @pytest.mark.parametrize(
        ("rows", "reason"),
        [
            ([], "NO_REQUEST"),
            ([row(recorded=1)], "NO_REQUEST"),
            ([row(asked=4, answered=1)], "ANSWERED"),
            ([row(asked=4, reminded=1)], "ALREADY_REMINDED"),
            ([row(asked=30)], "REMINDER_EXPIRED"),
        ],
    )
    def test_nobody_is_asked_anew(self, rows, reason):
        assert choose(rows, NOW, POLICY, follow_up=True) == Nothing(reason)

    def test_whose_time_is_not_over_waits_until_it_is(self):
        request = row(asked=1, run_id="run-1")

        assert choose([request], NOW, POLICY, follow_up=True) == Nothing("REMINDER_NOT_DUE", NOW + 2 * DAY)
        assert choose([request], NOW + 2 * DAY, POLICY, follow_up=True) == Remind(request)


class TestSettling:
    def test_what_a_broadcast_wrote_lately_is_checked(self):
        request = row(asked=1, run_id="run-1")

        assert choose([request], NOW, POLICY) == Settle(request)
        assert choose([request], ago(1) + UNSETTLED - SECOND, POLICY) == Settle(request)
        assert choose([request], ago(1) + UNSETTLED, POLICY) == Nothing("NO_OCCASION")

    def test_what_was_asked_by_itself_needs_no_check(self):
        # Its event is delivered again until it is done.
        assert choose([row(asked=1)], NOW, POLICY) == Nothing("NO_OCCASION")

    @pytest.mark.parametrize("days", [0, 1, 1.7, 2.5, 4, 8, 12, 40, 60 - 1 / 86400])
    @pytest.mark.parametrize("delay", [timedelta(days=3), None])
    @pytest.mark.parametrize("follow_up", [False, True])
    def test_a_run_settles_what_it_wrote_itself_whenever_it_comes_back(self, days, delay, follow_up):
        policy = replace(POLICY, reminder_delay=delay)
        request = row(recorded=days, asked=days, run_id="run-1")

        assert choose([request], NOW, policy, run_id="run-1", follow_up=follow_up) == Settle(request)

    def test_a_run_of_the_same_name_may_come_when_no_run_lasts_that_long(self):
        request = row(recorded=60, asked=60, run_id="run-1")

        assert choose([request], NOW, POLICY, run_id="run-1") == Nothing("NO_OCCASION")

    def test_a_run_settles_its_own_request_before_it_thinks_of_anything_new(self):
        mine = row("a", recorded=4, asked=3, run_id="run-1")
        since = row("b", recorded=2, asked=2)
        fresh = row("c", recorded=1)
        policy = replace(POLICY, cooldown=DAY)

        assert choose([mine, since, fresh], NOW, policy, run_id="run-1") == Settle(mine)
        assert choose([mine, since, fresh], NOW, policy, run_id="run-2") == Ask("c", fresh)

    @pytest.mark.parametrize("run_id", ["run-1", None])
    @pytest.mark.parametrize(
        ("days", "is_checked"),
        [(1.5, True), (2.5, True), (8, True), (30 - 1 / 86400, True), (30, False), (60, False)],
    )
    def test_without_reminders_a_request_is_checked_until_it_is_over(self, run_id, days, is_checked):
        off = replace(POLICY, reminder_delay=None)
        request = row(recorded=days, asked=days, run_id=run_id)

        expected = Settle(request) if is_checked else Nothing("NO_OCCASION")
        assert choose([request], NOW, off) == expected

    def test_a_registration_is_checked_for_ten_days_at_least(self):
        policy = replace(POLICY, reminder_delay=None, lifetime=DAY)

        def at(days):
            return row(REGISTRATION, recorded=50, asked=days, run_id="run-1")

        assert choose([at(10 - 1 / 86400)], NOW, policy) == Settle(at(10 - 1 / 86400))
        assert choose([at(10)], NOW, policy) == Nothing("NO_OCCASION")

    def test_what_a_reminder_will_tell_in_time_is_left_to_it(self):
        early, late = (row(recorded=r, asked=2, run_id="run-1") for r in (2, 29.5))

        assert choose([early], NOW, POLICY) == Nothing("NO_OCCASION")
        # When its reminder is due, this one is over.
        assert choose([late], NOW, POLICY) == Settle(late)

    def test_what_no_reminder_came_to_is_checked_after_its_time(self):
        request = row(recorded=10, asked=10, run_id="run-1")

        assert choose([request], NOW - SECOND, POLICY) == Remind(request)
        assert choose([request], NOW, POLICY) == Settle(request)

    @pytest.mark.parametrize("proof", [{"answered": 1}, {"reminded": 1}])
    def test_what_proves_the_text_makes_checking_it_needless(self, proof):
        off = replace(POLICY, reminder_delay=None)

        assert choose([row(recorded=5, asked=5, run_id="run-1", **proof)], NOW, off) == Nothing("NO_OCCASION")


def test_only_the_registration_is_of_use_for_ever():
    assert useful_until(row(REGISTRATION, recorded=5), POLICY) is None
    assert useful_until(row(recorded=5), POLICY) == ago(5) + 30 * DAY
    assert useful_until(row(recorded=5, occurred=8), POLICY) == ago(8) + 30 * DAY


@pytest.mark.parametrize(
    "policy", [POLICY, OccasionPolicy(cooldown=DAY, reminder_delay=None, lifetime=2 * DAY)]
)
def test_a_policy_comes_back_from_its_settings(policy):
    assert OccasionPolicy.from_settings(json.loads(policy.to_settings())) == policy


def test_settings_that_say_nothing_mean_the_defaults():
    assert OccasionPolicy.from_settings({}) == POLICY


days = st.integers(min_value=-10, max_value=200)
requests = st.lists(
    st.builds(
        lambda n, recorded, optional, by_run: row(
            f"order-{n}" if n else REGISTRATION,
            recorded=recorded,
            run_id="run" if by_run else None,
            **{name: value for name, value in optional.items() if value is not None},
        ),
        st.integers(min_value=0, max_value=4),
        days,
        st.fixed_dictionaries(
            {name: st.none() | days for name in ("occurred", "asked", "reminded", "answered")}
        ),
        st.booleans(),
    ),
    max_size=5,
    unique_by=lambda request: request.occasion,
)


@given(requests, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows, dice: random.Random):
    shuffled = list(rows)
    dice.shuffle(shuffled)

    assert choose(shuffled, NOW, POLICY) == choose(rows, NOW, POLICY)


@given(requests)
def test_what_is_asked_is_open_alive_and_apart_from_the_last_request(rows):
    match choose(rows, NOW, POLICY):
        case Ask(occasion, request):
            by_occasion = {r.occasion: r for r in rows}
            assert by_occasion.get(occasion) == request
            assert request is None or (request.asked_at is None and request.answered_at is None)
            assert all(NOW - r.asked_at >= POLICY.cooldown for r in rows if r.asked_at is not None)
            if occasion == REGISTRATION:
                assert set(by_occasion) <= {REGISTRATION}
            else:
                assert useful_until(request, POLICY) > NOW


@given(requests, st.booleans())
def test_who_is_reminded_was_asked_last_about_it_and_has_not_answered(rows, follow_up):
    match choose(rows, NOW, POLICY, follow_up=follow_up):
        case Remind(request):
            assert request.asked_at == max(r.asked_at for r in rows if r.asked_at is not None)
            assert request.answered_at is request.reminded_at is None
            assert POLICY.reminder_delay <= NOW - request.asked_at < POLICY.reminder_delay + REMINDER_WINDOW


@given(requests)
def test_a_follow_up_only_reminds_and_says_when_it_is_too_early(rows):
    choice = choose(rows, NOW, POLICY, follow_up=True)

    assert isinstance(choice, Remind | Nothing)
    if isinstance(choice, Nothing) and choice.until is not None:
        assert choice.until > NOW
        assert isinstance(choose(rows, choice.until, POLICY, follow_up=True), Remind)
        assert choose(rows, choice.until - SECOND, POLICY, follow_up=True) == choice


@given(requests, st.booleans(), st.booleans())
def test_a_run_that_has_asked_settles_that_and_no_other_run_is_changed_by_its_name(rows, remind, follow_up):
    policy = POLICY if remind else replace(POLICY, reminder_delay=None)
    mine = [r for r in rows if r.run_id == "run" and r.asked_at and NOW - r.asked_at < 60 * DAY]

    choice = choose(rows, NOW, policy, run_id="run", follow_up=follow_up)

    if mine:
        assert isinstance(choice, Settle)
        assert choice.request in mine
        assert choice.request.asked_at == max(r.asked_at for r in mine)
    else:
        assert choice == choose(rows, NOW, policy, follow_up=follow_up)


@given(requests, st.booleans())
def test_nobody_is_left_alone_whose_request_may_be_unsent_and_of_use(rows, remind):
    """What neither reminder nor answer proves is asked, checked or reminded of before it is over."""
    policy = POLICY if remind else replace(POLICY, reminder_delay=None)
    rows = [replace(r, recorded_at=min(r.recorded_at, r.asked_at or r.recorded_at)) for r in rows]
    match choose(rows, NOW, policy):
        case Nothing():
            asked = [r for r in rows if r.asked_at is not None]
            last = max(asked, key=lambda r: (r.asked_at, r.request_id), default=None)
            if last is None or last.answered_at or last.reminded_at:
                return
            ends_at = useful_until(last, policy) or last.asked_at + policy.lifetime
            is_new = last.asked_at + UNSETTLED > NOW
            reminds_in_time = remind and last.asked_at + policy.reminder_delay < ends_at
            is_left_to_the_reminder = reminds_in_time and last.asked_at + policy.reminder_delay > NOW
            assert ends_at <= NOW or is_new or is_left_to_the_reminder


@given(requests)
def test_a_broadcast_never_waits_for_one_person(rows):
    choice = choose(rows, NOW, POLICY)

    assert not isinstance(choice, Nothing) or choice.until is None


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 40)), max_size=12),
    st.sets(st.integers(0, 400)),
    st.integers(1, 14),
)
def test_over_a_year_of_daily_broadcasts_nobody_is_texted_more_often_than_allowed(orders, answers, delay):
    """Purchases on some days, told some days late; on some days the customer answers the last request."""
    policy = replace(POLICY, reminder_delay=timedelta(days=delay))
    told = sorted((day + late, day, n) for n, (day, late) in enumerate(orders))
    rows: dict[str, ReviewRequest] = {}
    asked, reminded = [], []
    for day in range(450):
        now = NOW + day * DAY
        for _, happened, n in (entry for entry in told if entry[0] == day):
            rows[f"order-{n}"] = ReviewRequest(
                request_id=f"{n}",
                user_id="u1",
                occasion=f"order-{n}",
                recorded_at=now,
                occurred_at=NOW + happened * DAY,
            )
        match choose(rows.values(), now, policy):
            case Ask(occasion, request):
                request = request or ReviewRequest(
                    request_id="registration", user_id="u1", occasion=occasion, recorded_at=now
                )
                rows[occasion] = replace(request, asked_at=now)
                asked.append((now, occasion))
            case Remind(request):
                rows[request.occasion] = replace(request, reminded_at=now)
                reminded.append((now, request))
        if day in answers and asked:
            last = rows[asked[-1][1]]
            rows[last.occasion] = replace(last, answered_at=last.answered_at or now)

    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(asked)]
    assert all(gap >= policy.cooldown for gap in gaps)
    assert len({occasion for _, occasion in asked}) == len(asked)
    assert len({request.occasion for _, request in reminded}) == len(reminded)
    assert all(at - request.asked_at >= policy.reminder_delay for at, request in reminded)
    unanswered = [r for r in rows.values() if r.asked_at and r.answered_at is None]
    due = [r for r in unanswered if r.asked_at + policy.reminder_delay < NOW + 450 * DAY]
    assert all(r.reminded_at == r.asked_at + policy.reminder_delay for r in due)
