"""Turns of a run: the same answer twice, exact figures at any moment, and never too many of them."""

from datetime import timedelta

import pytest

from sms_engagement_runtime.channel.domain.broadcast import planning
from sms_engagement_runtime.channel.domain.broadcast.outcomes import PersonOutcome, Tally, tally
from sms_engagement_runtime.channel.domain.broadcast.planning import Next, Planner, TurnError
from sms_engagement_runtime.channel.domain.broadcast.run import (
    Assignment,
    Audience,
    BroadcastSettings,
    Part,
    PartReport,
    Run,
)
from sms_engagement_runtime.channel.domain.broadcast.stop_rules import StopRules
from sms_engagement_runtime.channel.domain.quiet_hours import DEFAULT
from tests.support.broadcast_fakes import FakeRunStore
from tests.support.fakes import START, FakeCampaignCounts, FakeClock, FakePause

RUN = Run(run_id="run-1", started_at=START)
EAST = "America/New_York"
SETTINGS = BroadcastSettings(recipients_per_part=3, recipients_per_second=1)


class Plans:
    """Turns of one run over an audience of parts of three."""

    def __init__(self, parts, *, run=RUN, settings=SETTINGS):
        self.store, self.pause, self.clock = FakeRunStore(), FakePause(), FakeClock()
        self.run, self.settings = run, settings
        self.turn = 0
        written = []
        for number in range(parts):
            part = Part(key=run.part_key(f"{number:06}-s"), group=EAST, people=3)
            self.store.write_people(part.key, [f"u{number}-{n}" for n in range(3)])
            written.append(part)
        audience = Audience(
            customers=3 * parts + 1,
            recipients=3 * parts,
            skipped=Tally(people=1, outcomes={"SUPPRESSED": 1}, reasons={"NO_PHONE": 1}),
            parts=written,
            result_keys=["runs/run-1/results/skipped.jsonl"],
        )
        self.store.write_json(run.audience_key, audience.to_json())

    def take(self, after=None):
        planner = Planner(
            store=self.store,
            hours_of=DEFAULT.hours_of_key,
            pause=self.pause,
            counts=FakeCampaignCounts(),
            stop_rules=StopRules(),
            settings=self.settings,
        )
        turn = planner.take_turn(
            self.run,
            after=self.turn if after is None else after,
            now=self.clock.now(),
            token=f"t{len(self.store.objects)}",
        )
        self.turn = turn.number
        return turn

    def wave(self, turn):
        (manifest,) = self.store.read_json([turn.manifest_key], prefix=self.run.prefix)
        return [Assignment.from_json(item) for item in manifest]

    def report(self, assignment, *outcomes, **changes):
        final = [outcome for outcome in outcomes if outcome.is_final]
        report = PartReport(
            ended_at=self.clock.now(),
            final=tally(final),
            result_key=self.run.result_key(assignment.part.name),
            rest=[outcome for outcome in outcomes if not outcome.is_final],
            **changes,
        )
        self.store.write_outcomes(report.result_key, final)
        self.store.write_json(assignment.report_key, report.to_json())

    def progress(self):
        (progress,) = self.store.read_json([self.run.progress_key], prefix=self.run.prefix)
        return progress

    def people(self, part):
        (people,) = self.store.read_people([part.key])
        return people


def accepted(person):
    return PersonOutcome(user_id=person, state="ACCEPTED", parts=1)


def all_accepted(plans, assignment):
    plans.report(assignment, *(accepted(one) for one in plans.people(assignment.part)))


def test_a_turn_that_is_asked_for_again_gives_the_same_answer_and_changes_nothing():
    plans = Plans(40)
    first = plans.take()
    objects = dict(plans.store.objects)

    again = plans.take(after=0)

    assert again == first
    assert plans.store.objects == objects
    for assignment in plans.wave(first):
        all_accepted(plans, assignment)
    second = plans.take()
    assert plans.take(after=1) == second
    assert len(plans.wave(second)) == 20


@pytest.mark.parametrize("after", [1, 5])
def test_a_turn_out_of_order_is_refused(after):
    with pytest.raises(TurnError):
        Plans(1).take(after=after)


def test_the_remainder_is_exact_at_every_turn():
    plans = Plans(60)
    seen = []
    turn = plans.take()
    while turn.next is Next.SEND:
        progress = plans.progress()
        seen.append((progress["remaining"], progress["sending"]))
        for assignment in plans.wave(turn):
            all_accepted(plans, assignment)
        turn = plans.take()

    # A wave of a minute, one of two, and what is left, at one person a second.
    assert seen == [(180, 60), (120, 120)]
    assert turn.next is Next.DONE
    assert plans.progress()["remaining"] == 0
    assert plans.progress()["outcomes"] == {"ACCEPTED": 180, "SUPPRESSED": 1}


def test_the_remainder_is_exact_in_the_middle_of_a_wave_too():
    plans = Plans(3)
    first, second, _ = plans.wave(plans.take())
    all_accepted(plans, first)
    a, b, c = plans.people(second.part)
    plans.report(second, accepted(a), *(PersonOutcome(user_id=one, state="IN_FLIGHT") for one in (b, c)))
    objects = dict(plans.store.objects)

    figures = planning.look_at(RUN, store=plans.store, now=START)

    assert (figures["customers"], figures["remaining"], figures["sending"]) == (10, 5, 3)
    assert figures["outcomes"] == {"ACCEPTED": 4, "SUPPRESSED": 1}
    assert plans.store.objects == objects


def test_a_run_that_nobody_knows_has_no_figures():
    assert planning.look_at(RUN, store=FakeRunStore(), now=START) is None


def test_a_part_without_a_report_goes_again_after_its_claims_have_settled():
    plans = Plans(2)
    lost, kept = plans.wave(plans.take())
    all_accepted(plans, kept)

    turn = plans.take()

    assert (turn.next, turn.until) == (Next.WAIT, START + timedelta(seconds=61))
    plans.clock.instant = turn.until
    (again,) = plans.wave(plans.take())
    assert again.part.key == lost.part.key
    assert again.report_key != lost.report_key


def lost(plans, assignment, *, begun):
    if begun:
        plans.store.write_json(RUN.begun_key(assignment.part), {})


def returned(plans, assignment, **outcome):
    plans.report(
        assignment, *(PersonOutcome(user_id=one, **outcome) for one in plans.people(assignment.part))
    )


def to_the_end(plans):
    """Let the run's time pass; return what its people ended in."""
    plans.clock.instant = START + timedelta(days=7)
    assert plans.take().next is Next.DONE
    progress = plans.progress()
    return {state: number for state, number in progress["outcomes"].items() if state != "SUPPRESSED"}, {
        reason: number for reason, number in progress["reasons"].items() if reason != "NO_PHONE"
    }


def test_only_a_part_that_was_begun_may_have_texted():
    plans = Plans(2)
    begun, unbegun = plans.wave(plans.take())
    lost(plans, begun, begun=True)

    plans.clock.instant = plans.take().until
    wave = [assignment.part for assignment in plans.wave(plans.take())]

    assert [(part.key, part.may_have_texted) for part in wave] == [
        (begun.part.key, True),
        (unbegun.part.key, False),
    ]
    assert [(part.failures, part.outages) for part in wave] == [(1, 0), (0, 1)]


@pytest.mark.parametrize(
    "unsure",
    [
        {"state": "IN_FLIGHT"},
        {"state": "REMAINING", "reason": "SERVICE_UNAVAILABLE"},
        {"state": "REMAINING", "reason": "UNEXPECTED_ERROR"},
        None,
    ],
)
def test_who_may_have_been_texted_stays_so_until_the_ledger_was_asked(unsure):
    plans = Plans(2)
    first, other = plans.wave(plans.take())
    if unsure is None:
        lost(plans, first, begun=True)
    else:
        returned(plans, first, **unsure)
    returned(plans, other, state="REMAINING", reason="OUT_OF_TIME")
    turn = plans.take()
    if turn.next is Next.SEND:
        (assignment,) = plans.wave(turn)
        returned(plans, assignment, state="REMAINING", reason="OUT_OF_TIME")
    plans.clock.instant = START + timedelta(minutes=2)
    for assignment in plans.wave(plans.take()):
        returned(plans, assignment, state="REMAINING", reason="OUT_OF_TIME")

    ended = to_the_end(plans)

    assert ended == ({"UNCERTAIN": 3}, {"PART_FAILED": 3, "RUN_EXPIRED": 3})


def test_an_attempt_that_began_after_it_was_given_up_is_found_when_the_run_ends():
    plans = Plans(1)
    (assignment,) = plans.wave(plans.take())
    plans.take()
    # Step Functions lost the call; Lambda carries it out all the same, and dies.
    lost(plans, assignment, begun=True)

    assert to_the_end(plans) == ({"UNCERTAIN": 3}, {"PART_FAILED": 3})


def test_marks_are_looked_for_only_where_reports_are_missing():
    plans = Plans(2)
    read = []
    real = plans.store.read_json

    def read_json(keys, *, prefix):
        read.append(prefix)
        return real(keys, prefix=prefix)

    plans.store.read_json = read_json
    one, other = plans.wave(plans.take())
    all_accepted(plans, one)
    returned(plans, other, state="REMAINING", reason="OUT_OF_TIME")
    (again,) = plans.wave(plans.take())
    assert RUN.begun_prefix not in read

    plans.take()

    assert again.part.people == 3
    assert read.count(RUN.begun_prefix) == 1


def test_of_two_calls_at_once_each_has_a_manifest_of_its_own():
    plans = Plans(1)
    before = dict(plans.store.objects)
    answered = plans.take()
    written = dict(plans.store.objects)
    # The other call has read the plan before this one wrote it, and finds other parts due.
    plans.store.objects = before | {"padding": "1"}
    other = plans.take(after=0)

    assert other.manifest_key != answered.manifest_key
    assert answered.manifest_key in written


def test_a_part_written_by_an_earlier_version_is_read():
    part = Part(key="runs/r/parts/1.jsonl", group=EAST, people=3)

    assert "mayHaveTexted" not in part.to_json()
    assert Part.from_json(part.to_json()) == part
    unsure = Part(key=part.key, group=EAST, people=3, may_have_texted=True)
    assert Part.from_json(unsure.to_json()) == unsure


def test_a_report_that_comes_late_does_not_count():
    plans = Plans(1)
    (lost,) = plans.wave(plans.take())
    plans.clock.instant = plans.take().until
    (again,) = plans.wave(plans.take())
    all_accepted(plans, lost)
    all_accepted(plans, again)

    assert plans.take().next is Next.DONE
    assert plans.progress()["outcomes"] == {"ACCEPTED": 3, "SUPPRESSED": 1}


def test_people_who_wait_for_the_same_quarter_of_an_hour_share_a_part():
    plans = Plans(2)
    for number, assignment in enumerate(plans.wave(plans.take())):
        a, b, c = plans.people(assignment.part)
        waits = {a: 60 + number, b: 3600 + number}
        plans.report(
            assignment,
            accepted(c),
            *(
                PersonOutcome(
                    user_id=one,
                    state="DEFERRED",
                    reason="FREQUENCY_CAP",
                    until=START + timedelta(seconds=seconds),
                )
                for one, seconds in waits.items()
            ),
        )

    turn = plans.take()

    # The part begins with the last of its people.
    assert turn.until == START + timedelta(seconds=61)
    plans.clock.instant = turn.until
    (soon,) = plans.wave(plans.take())
    assert sorted(plans.people(soon.part)) == ["u0-0", "u1-0"]
    all_accepted(plans, soon)
    assert plans.take().until == START + timedelta(seconds=3601)


def test_a_part_that_is_handed_back_is_the_same_part():
    plans = Plans(1)
    (assignment,) = plans.wave(plans.take())
    plans.store.write_json(assignment.report_key, PartReport(ended_at=START, is_untouched=True).to_json())

    (again,) = plans.wave(plans.take())

    assert again.part == assignment.part


def test_a_wait_ends_with_the_run():
    plans = Plans(1)
    plans.pause.paused = True
    plans.clock.instant = START + timedelta(days=7) - timedelta(seconds=3)

    assert plans.take().until == START + timedelta(days=7)


def test_a_run_that_is_paused_for_weeks_stays_within_the_history_of_an_execution():
    plans = Plans(
        1,
        settings=BroadcastSettings(
            recipients_per_part=3, recipients_per_second=1, expires_after=timedelta(days=30)
        ),
    )
    plans.pause.paused = True

    turn = plans.take()
    while turn.next is Next.WAIT:
        plans.clock.instant = turn.until
        turn = plans.take()

    assert turn.next is Next.DONE
    assert plans.clock.instant == START + timedelta(days=30)
    assert turn.number <= planning._MAX_TURNS + 1
    assert plans.progress()["reasons"] == {"NO_PHONE": 1, "RUN_EXPIRED": 3}


def test_results_that_count_are_listed_once_the_run_is_over():
    plans = Plans(1)
    (assignment,) = plans.wave(plans.take())
    all_accepted(plans, assignment)
    plans.take()

    (listed,) = plans.store.read_json([RUN.results_key], prefix=RUN.prefix)

    assert listed["run"] == RUN.to_json()
    assert listed["results"] == [
        {"key": "runs/run-1/results/skipped.jsonl", "group": None, "endedAt": None},
        {"key": RUN.result_key(assignment.part.name), "group": EAST, "endedAt": START.isoformat()},
    ]


def test_state_input_of_a_thousand_parts_stays_small():
    plans = Plans(1000, settings=BroadcastSettings(recipients_per_part=3, recipients_per_second=1000))

    turn = plans.take()

    assert len(plans.wave(turn)) == 1000
    # What Step Functions carries from state to state is bounded; the parts are in the bucket.
    assert len(repr(turn)) < 300
