"""Whole runs of the engine over the real gate, with faults: no text twice, nobody lost, none at night."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.broadcast.stop_rules import StopRules
from sms_engagement_runtime.channel.domain.budget import SpendLimits
from sms_engagement_runtime.channel.domain.errors import (
    OutcomeUnknownError,
    SendingDisabledError,
    SendThrottledError,
    TransientError,
)
from tests.support.broadcast_machine import EAST, HAWAII, WEST, Customer, Machine, crowd
from tests.support.fakes import START

FINAL = {"ACCEPTED", "SUPPRESSED", "ALREADY_SENT", "UNCERTAIN", "FAILED"}


def phones(customers):
    return sorted(customer.phone for customer in customers.values())


def check(machine, summary, people, *, run_id="run"):
    """What holds for every run that is over, whatever happened in it."""
    states = machine.states(run_id)
    assert states.keys() == set(people)
    assert sum(summary["outcomes"].values()) == summary["customers"] == len(people)
    assert summary["outcomes"] == dict(sorted(Counter(state for state, _ in states.values()).items()))
    assert machine.progress(run_id)["remaining"] == summary["outcomes"].get("REMAINING", 0)
    left = {"REMAINING", "DEFERRED"} & summary["outcomes"].keys()
    assert summary["complete"] is (not left and {"PART_FAILED", "RUN_EXPIRED"}.isdisjoint(summary["reasons"]))
    not_texted = {
        people[one].phone for one, (state, _) in states.items() if state in ("REMAINING", "DEFERRED")
    }
    not_texted |= {people[one].phone for one, state in states.items() if state[1] == "RUN_EXPIRED"}
    assert not_texted.isdisjoint(machine.texted)
    check_texts(machine)


def check_texts(machine):
    assert max(Counter(machine.texted).values(), default=0) <= 1
    zones = {customer.phone: customer.zone for customer in crowd(500, EAST, WEST, HAWAII).values()}
    zones |= {customer.phone: customer.zone for customer in machine.customers.values()}
    for at, message in machine.carrier.taken:
        local = at.astimezone(ZoneInfo(zones[message.destination.e164]))
        assert 8 <= local.hour < 21


def test_everybody_is_texted_once():
    machine = Machine(crowd(20))

    summary = machine.run()

    check(machine, summary, machine.customers)
    assert summary["outcomes"] == {"ACCEPTED": 20}
    assert sorted(machine.texted) == phones(machine.customers)


@pytest.mark.parametrize("people", [0, 1])
def test_an_audience_of_none_and_of_one_is_a_run(people):
    machine = Machine(crowd(people))

    summary = machine.run()

    check(machine, summary, machine.customers)
    assert (summary["recipients"], summary["parts"], summary["complete"]) == (people, people, True)


@pytest.mark.parametrize("instant", range(1, 26))
def test_a_child_that_dies_in_the_middle_of_its_part_loses_nobody(instant):
    machine = Machine(crowd(9), crash_parts=iter([None, instant]))

    summary = machine.run()

    check(machine, summary, machine.customers)
    assert machine.died <= 1
    uncertain = summary["outcomes"].get("UNCERTAIN", 0)
    # A crash between claim and answer leaves one person of whom nobody knows; that one is not texted again.
    assert uncertain <= 1
    assert summary["outcomes"]["ACCEPTED"] == 9 - uncertain
    assert len(machine.texted) >= 9 - uncertain


def test_a_child_that_always_dies_leaves_its_people_and_costs_nobody_else_a_text():
    machine = Machine(crowd(6))
    broken = machine.customers["u005"].phone
    deaths = []

    real = machine._send_part

    def send_part(assignment):
        (people,) = machine.store.read_people([assignment.part.key])
        if "u005" in people:
            deaths.append(machine.clock.now())
            machine.store.write_json(assignment.run.begun_key(assignment.part), {})
            return None
        return real(assignment)

    machine._send_part = send_part

    summary = machine.run()

    check(machine, summary, machine.customers)
    # Nobody can tell from here whether those functions texted anybody before they died.
    assert summary["outcomes"] == {"ACCEPTED": 3, "UNCERTAIN": 3}
    assert summary["reasons"] == {"PART_FAILED": 3}
    assert not summary["complete"]
    assert broken not in machine.texted
    gaps = [later - earlier for earlier, later in pairwise(deaths)]
    assert [round(gap.total_seconds()) for gap in gaps] == [61, 122, 244, 488]


@pytest.mark.parametrize("instant", range(1, 60, 2))
def test_a_snapshot_or_a_plan_that_dies_is_repeated_and_changes_nothing(instant):
    machine = Machine(crowd(14), crash_steps=iter([instant, instant, None, instant]))

    summary = machine.run()

    check(machine, summary, machine.customers)
    assert summary["outcomes"] == {"ACCEPTED": 14}


def test_a_run_that_was_stopped_is_finished_by_the_next():
    machine = Machine(crowd(20))
    first = machine.start("first")
    while len(machine.texted) < 8:
        next(first)
    first.close()

    summary = machine.run("second")

    check(machine, summary, machine.customers, run_id="second")
    assert sorted(machine.texted) == phones(machine.customers)
    assert summary["outcomes"] == {"ACCEPTED": 20 - 9, "ALREADY_SENT": 9}


def test_two_runs_at_once_over_overlapping_people_text_everybody_once():
    machine = Machine(crowd(12))
    first = machine.start("first")
    next(first)
    machine.customers |= {f"new{n}": Customer(f"new{n}", f"+1202556{n:04}") for n in range(6)}

    one, other = machine.finish(first, machine.start("second"))

    check_texts(machine)
    assert sorted(machine.texted) == phones(machine.customers)
    assert sum(one["outcomes"].values()) == 12
    assert sum(other["outcomes"].values()) == 18
    assert one["outcomes"].keys() | other["outcomes"].keys() <= {"ACCEPTED", "ALREADY_SENT"}
    assert one["outcomes"]["ACCEPTED"] + other["outcomes"]["ACCEPTED"] == 18


def test_a_claim_of_another_run_is_waited_for():
    machine = Machine(crowd(3))
    machine.carrier.answers = [OutcomeUnknownError("timeout")]
    first = machine.start("first")
    while machine.carrier.calls < 1:
        next(first)

    summary = machine.run("second")

    check(machine, summary, machine.customers, run_id="second")
    assert summary["outcomes"] == {"ALREADY_SENT": 2, "UNCERTAIN": 1}
    assert machine.clock.now() >= START + timedelta(seconds=61)


def test_a_carrier_that_throttles_every_other_call_delays_and_loses_nobody():
    machine = Machine(crowd(12))
    machine.carrier.answers = [SendThrottledError("x") if n % 2 == 0 else None for n in range(24)]

    summary = machine.run()

    check(machine, summary, machine.customers)
    assert summary["outcomes"] == {"ACCEPTED": 12}


def test_a_carrier_that_throttles_every_call_for_minutes_is_asked_later_and_later():
    machine = Machine(crowd(2))
    machine.carrier.answers = [SendThrottledError("x")] * 100

    summary = machine.run()

    check(machine, summary, machine.customers)
    assert summary["outcomes"] == {"ACCEPTED": 2}
    assert timedelta(minutes=3) < machine.clock.now() - START < timedelta(minutes=30)


def test_who_opts_out_during_the_run_gets_nothing_after_it():
    machine = Machine(crowd(10))
    stopped_at = []

    def stop(texts):
        if texts == 4:
            machine.opt_out("u008")
            machine.opt_out("u009")
            stopped_at.append(len(machine.texted))

    machine.carrier.on_text = stop

    summary = machine.run()

    check(machine, summary, machine.customers)
    after = machine.texted[stopped_at[0] :]
    assert machine.customers["u008"].phone not in after
    assert machine.customers["u009"].phone not in after
    assert summary["outcomes"]["ACCEPTED"] == len(machine.texted)
    assert summary["reasons"]["OPTED_OUT"] == 10 - len(machine.texted)


def test_a_pause_in_the_middle_holds_the_rest_until_it_is_lifted():
    machine = Machine(crowd(30))

    def pause(texts):
        machine.pause.paused = texts == 7

    machine.carrier.on_text = pause
    execution = machine.start()
    waits = []
    for step in execution:
        if isinstance(step, datetime):
            waits.append(step - machine.clock.now())
            machine.clock.instant = step
            if len(waits) == 9:
                texts_during_pause = len(machine.texted)
                progress = machine.progress()
                machine.pause.paused = False
        if isinstance(step, dict):
            summary = step

    check(machine, summary, machine.customers)
    assert texts_during_pause == 7
    assert summary["outcomes"] == {"ACCEPTED": 30}
    assert (progress["remaining"], progress["reason"], progress["next"]) == (23, "PAUSED", "WAIT")
    assert [round(wait.total_seconds()) for wait in waits] == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_a_pause_before_the_first_text_claims_nothing():
    machine = Machine(crowd(4))
    machine.pause.paused = True
    execution = machine.start()
    for _ in range(4):
        next(execution)
    rows = dict(machine.ledger.rows)
    machine.pause.paused = False

    (summary,) = machine.finish(execution)

    check(machine, summary, machine.customers)
    assert rows == {}
    assert summary["outcomes"] == {"ACCEPTED": 4}


def test_a_day_whose_budget_is_spent_is_waited_out():
    machine = Machine(crowd(10, HAWAII, WEST), limits=SpendLimits(per_day=4 * 881))
    machine.clock.instant = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)

    summary = machine.run()

    check(machine, summary, machine.customers)
    assert summary["outcomes"] == {"ACCEPTED": 10}
    days = Counter(at.date().day for at, _ in machine.carrier.taken)
    assert days == {21: 4, 22: 4, 23: 2}


def test_a_run_whose_budget_is_spent_ends_and_leaves_the_rest_to_another():
    machine = Machine(crowd(10), limits=SpendLimits(per_campaign=4 * 881))

    summary = machine.run()

    check(machine, summary, machine.customers)
    assert summary["outcomes"] == {"ACCEPTED": 4, "REMAINING": 6}
    assert summary["reasons"] == {"CAMPAIGN_BUDGET": 6}
    assert summary["stoppedBy"] == "CAMPAIGN_BUDGET"
    assert machine.run("next")["outcomes"] == {"ACCEPTED": 4, "ALREADY_SENT": 4, "REMAINING": 2}


def test_customers_who_come_and_go_during_the_run():
    machine = Machine(crowd(10))
    everybody = dict(machine.customers)
    execution = machine.start()
    next(execution)
    machine.customers["zz"] = Customer("zz", "+12025559999")
    del machine.customers["u005"]

    (summary,) = machine.finish(execution)

    check(machine, summary, everybody)
    assert summary["outcomes"] == {"ACCEPTED": 9, "SUPPRESSED": 1}
    assert machine.states()["u005"] == ("SUPPRESSED", "NO_CUSTOMER")
    assert "+12025559999" not in machine.texted


def test_hours_that_end_in_the_middle_of_a_wave_put_the_rest_off_until_the_morning():
    machine = Machine(crowd(100), per_part=40, rate=0.5)
    # A minute before the last text of the evening, New York; the first part takes eighty seconds.
    machine.clock.instant = datetime(2026, 11, 22, 1, 58, 30, tzinfo=UTC)

    summary = machine.run()

    check(machine, summary, machine.customers)
    assert summary["outcomes"] == {"ACCEPTED": 100}
    evening = [at for at, _ in machine.carrier.taken if at < datetime(2026, 11, 22, 2, 0, tzinfo=UTC)]
    assert len(evening) == pytest.approx(30, abs=1)
    # The function stops by itself: only the one who waited for a slot just then comes to the gate too late.
    assert len(machine.ledger.deferred_until) <= 1
    morning = min(at for at, _ in machine.carrier.taken if at not in evening)
    assert morning - datetime(2026, 11, 22, 13, 0, tzinfo=UTC) < timedelta(seconds=10)


def test_each_zone_is_texted_in_its_own_hours_and_the_one_that_closes_first_goes_first():
    machine = Machine(crowd(30, EAST, WEST, HAWAII), per_part=10, rate=0.05)
    machine.clock.instant = datetime(2026, 11, 21, 16, 30, tzinfo=UTC)  # 11:30, 08:30 and 06:30

    summary = machine.run()

    check(machine, summary, machine.customers)
    zones = {customer.phone: customer.zone for customer in machine.customers.values()}
    order = [zones[phone] for phone in machine.texted]
    assert order == [EAST] * 10 + [WEST] * 10 + [HAWAII] * 10
    assert machine.carrier.taken[20][0] >= datetime(2026, 11, 21, 18, 0, tzinfo=UTC)


def test_people_whose_zone_nobody_knows_are_told_apart_by_the_gate_and_hold_up_nobody():
    machine = Machine(crowd(4))
    machine.customers["u001"] = Customer("u001", "+12025550001", "unknown")

    def ask(service, customer, run, real=machine._ask):
        if customer.zone == "unknown":
            service.places.zones = ()
            customer = Customer(customer.id, customer.phone, None)
        return real(service, customer, run)

    machine._ask = ask

    summary = machine.run()

    assert summary["outcomes"] == {"ACCEPTED": 3, "SUPPRESSED": 1}
    assert machine.states()["u001"] == ("SUPPRESSED", "TIME_ZONE_UNKNOWN")


def test_a_run_gives_up_after_its_time():
    machine = Machine(crowd(6), expires_after=timedelta(hours=3))
    machine.pause.paused = True

    summary = machine.run()

    check(machine, summary, machine.customers)
    assert summary["outcomes"] == {"SUPPRESSED": 6}
    assert summary["reasons"] == {"RUN_EXPIRED": 6}
    # They still have something due, and only another run asks them.
    assert summary["complete"] is False
    assert machine.clock.now() == START + timedelta(hours=3)


def test_people_who_could_only_be_texted_after_the_runs_time_are_not_waited_for():
    machine = Machine(crowd(6, EAST, HAWAII), expires_after=timedelta(hours=8))
    machine.clock.instant = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)  # 21:30 and 16:30

    summary = machine.run()

    check(machine, summary, machine.customers)
    assert summary["outcomes"] == {"ACCEPTED": 3, "SUPPRESSED": 3}
    assert machine.clock.now() < datetime(2026, 11, 22, 2, 40, tzinfo=UTC)


def test_too_many_opt_outs_stop_the_run():
    machine = Machine(crowd(100), per_part=5, stop_rules=StopRules(min_volume=20))

    def leave(texts):
        machine.counts.add("run", delivered=1, opted_out=texts % 10 == 0)

    machine.carrier.on_text = leave

    summary = machine.run()

    check(machine, summary, machine.customers)
    assert summary["stoppedBy"] == "STOPPED_OPT_OUTS"
    assert len(machine.texted) == 20
    assert summary["reasons"] == {"STOPPED_OPT_OUTS": 80}


def test_too_few_deliveries_stop_the_run():
    machine = Machine(crowd(100), per_part=5, stop_rules=StopRules(min_volume=20))
    machine.carrier.on_text = lambda texts: machine.counts.add(
        "run", delivered=texts % 10 != 0, failed=texts % 10 == 0
    )

    summary = machine.run()

    check(machine, summary, machine.customers)
    assert summary["stoppedBy"] == "STOPPED_FAILURES"
    assert len(machine.texted) == 20
    assert summary["outcomes"]["REMAINING"] == 80


def test_an_account_that_cannot_send_is_looked_at_again_until_it_can():
    machine = Machine(crowd(8), per_part=8)
    machine.carrier.answers = [None, None, *[SendingDisabledError("ACCOUNT_DISABLED")] * 3]

    summary = machine.run()

    check(machine, summary, machine.customers)
    assert summary["outcomes"] == {"ACCEPTED": 8}
    assert machine.clock.now() - START >= timedelta(seconds=5 + 10 + 20)


def test_an_error_that_nobody_foresaw_costs_only_its_person_the_text():
    machine = Machine(crowd(6))

    def ask(service, customer, run, real=machine._ask):
        if customer.id == "u003":
            raise ZeroDivisionError
        return real(service, customer, run)

    machine._ask = ask

    summary = machine.run()

    check(machine, summary, machine.customers)
    assert summary["reasons"] == {"UNEXPECTED_ERROR": 1}
    assert machine.states()["u003"] == ("REMAINING", "UNEXPECTED_ERROR")
    assert machine.errors == [ZeroDivisionError] * 5


def test_a_service_that_is_away_for_an_hour_is_waited_for():
    machine = Machine(crowd(6))

    def ask(service, customer, run, real=machine._ask):
        if machine.clock.now() < START + timedelta(hours=1):
            raise TransientError("x")
        return real(service, customer, run)

    machine._ask = ask

    summary = machine.run()

    check(machine, summary, machine.customers)
    assert summary["outcomes"] == {"ACCEPTED": 6}


def test_who_was_texted_before_every_function_of_the_part_died_is_not_said_to_be_left():
    # Each dies when it writes down what became of its people.
    machine = Machine(crowd(3), per_part=3)
    real = machine.store.write_outcomes

    def write_outcomes(key, outcomes):
        if machine.died < 5:
            raise TransientError("x")
        real(key, outcomes)

    machine.store.write_outcomes = write_outcomes

    summary = machine.run()

    assert len(machine.texted) == 3
    assert summary["outcomes"] == {"UNCERTAIN": 3}
    assert not summary["complete"]
    assert machine.run("another")["outcomes"] == {"ALREADY_SENT": 3}
    assert len(machine.texted) == 3


def stopped_by_opt_outs():
    machine = Machine(crowd(9), per_part=9, stop_rules=StopRules(min_volume=1))
    machine.carrier.on_text = lambda texts: machine.counts.add("run", delivered=5, opted_out=3)
    return machine


def stopped_by_its_time():
    return Machine(crowd(9), per_part=9, expires_after=timedelta(seconds=50))


def stopped_by_its_budget():
    return Machine(crowd(18), per_part=9, limits=SpendLimits(per_campaign=881 * 5))


@pytest.mark.parametrize("machine_of", [stopped_by_opt_outs, stopped_by_its_time, stopped_by_its_budget])
def test_a_run_that_ends_early_says_of_nobody_whom_a_dead_function_texted_that_they_were_not(machine_of):
    machine = machine_of()
    machine.crash_parts = iter([24])

    summary = machine.run()

    assert machine.died == 1
    assert machine.texted
    check(machine, summary, machine.customers)
    texted = {machine.states()[one.id] for one in machine.customers.values() if one.phone in machine.texted}
    assert texted <= {("UNCERTAIN", "PART_FAILED"), ("ACCEPTED", None)}
    assert ("UNCERTAIN", "PART_FAILED") in texted
    assert not summary["complete"]


def test_a_part_whose_functions_never_begin_is_left_and_nobody_of_it_counts_as_texted():
    machine = Machine(crowd(6))
    calls = []
    real = machine._send_part

    def send_part(assignment):
        (people,) = machine.store.read_people([assignment.part.key])
        if "u005" in people:
            # Lambda has no function free, or none that starts.
            calls.append(machine.clock.now())
            return None
        return real(assignment)

    machine._send_part = send_part

    summary = machine.run()

    check(machine, summary, machine.customers)
    assert summary["outcomes"] == {"ACCEPTED": 3, "REMAINING": 3}
    assert summary["reasons"] == {"SERVICE_UNAVAILABLE": 3}
    gaps = [round((later - earlier).total_seconds()) for earlier, later in pairwise(calls)]
    assert gaps == [61, 122, 244, 488, *[900] * 19]


def test_functions_that_do_not_begin_for_an_hour_cost_nobody_the_text():
    machine = Machine(crowd(6))
    real = machine._send_part

    def send_part(assignment):
        if machine.clock.now() - START > timedelta(hours=1):
            real(assignment)

    machine._send_part = send_part

    summary = machine.run()

    check(machine, summary, machine.customers)
    assert summary["outcomes"] == {"ACCEPTED": 6}


def test_a_dry_run_whose_functions_never_begin_ends_soon():
    machine = Machine(crowd(6))
    machine._send_part = lambda assignment: None

    summary = machine.run(given={"dryRun": True})

    assert summary["outcomes"] == {"REMAINING": 6}
    assert summary["reasons"] == {"SERVICE_UNAVAILABLE": 6}
    assert machine.clock.now() - START < timedelta(minutes=20)


@pytest.mark.parametrize(("given", "hours"), [({}, (4.5, 5.5)), ({"dryRun": True}, (0.2, 0.3))])
def test_a_service_that_never_answers_ends_the_run(given, hours):
    machine = Machine(crowd(6))

    def ask(service, customer, run):
        raise TransientError("x")

    machine._ask = ask

    summary = machine.run(given=given)

    check(machine, summary, machine.customers)
    assert summary["outcomes"] == {"REMAINING": 6}
    assert summary["reasons"] == {"SERVICE_UNAVAILABLE": 6}
    assert hours[0] < (machine.clock.now() - START) / timedelta(hours=1) < hours[1]


def test_an_outage_does_not_count_as_deaths_of_the_function():
    machine = Machine(crowd(3), per_part=3)
    real_ask, real_part = machine._ask, machine._send_part
    dead = []

    def ask(service, customer, run):
        if machine.clock.now() < START + timedelta(hours=1):
            raise TransientError("x")
        return real_ask(service, customer, run)

    def send_part(assignment):
        if assignment.part.outages > 5 and not dead:
            dead.append(assignment)
            machine.store.write_json(assignment.run.begun_key(assignment.part), {})
            return None
        return real_part(assignment)

    machine._ask, machine._send_part = ask, send_part

    summary = machine.run()

    assert len(dead) == 1
    assert summary["outcomes"] == {"ACCEPTED": 3}


def test_a_part_that_does_not_end_in_its_time_goes_on_in_another():
    machine = Machine(crowd(30), per_part=30, part_seconds=10)

    summary = machine.run()

    check(machine, summary, machine.customers)
    assert summary["outcomes"] == {"ACCEPTED": 30}
    assert summary["waves"] == 3


def test_a_dry_run_sends_nothing_and_says_the_same_as_the_run_after_it():
    machine = Machine(crowd(10, EAST, HAWAII))
    machine.opt_out("u004")
    machine.clock.instant = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)  # noon, and seven in the morning

    dry = machine.run("dry", {"dryRun": True})
    texts = len(machine.texted)
    rows = dict(machine.ledger.rows)
    run = machine.run()

    assert (texts, rows) == (0, {})
    assert dry["outcomes"] == {"SUPPRESSED": 1, "WOULD_SEND": 9}
    assert dry["reasons"] == {"OPTED_OUT": 1, "QUIET_HOURS": 5}
    assert machine.states("dry")["u001"] == ("WOULD_SEND", "QUIET_HOURS")
    assert (dry["parts"], dry["estimatedCostUsd"]) == (run["parts"], run["estimatedCostUsd"]) == (9, "0.08")
    assert run["outcomes"] == {"ACCEPTED": 9, "SUPPRESSED": 1}
    assert dry["waves"] == 1


def test_a_dry_run_says_that_sending_is_paused_and_does_not_wait():
    machine = Machine(crowd(3))
    machine.pause.paused = True

    summary = machine.run(given={"dryRun": True})

    assert summary["paused"] is True
    assert summary["outcomes"] == {"WOULD_SEND": 3}
    assert machine.clock.now() == START


def test_a_follow_up_asks_those_whom_the_run_texted_when_their_time_has_come():
    machine = Machine(crowd(10), follow_up_after=timedelta(days=3))
    machine.opt_out("u003")
    first = machine.run()
    ended_at = machine.clock.now()
    machine.opt_out("u004")
    before = len(machine.texted)

    summary = machine.run(first["followUp"], {"follows": "run"})

    assert first["followUp"] == "run-follow-up"
    assert summary["outcomes"] == {"ACCEPTED": 8, "SUPPRESSED": 1}
    assert summary["customers"] == 9
    assert "followUp" not in summary
    assert all(at >= START + timedelta(days=3) for at, _ in machine.carrier.taken[before:])
    assert machine.clock.now() < ended_at + timedelta(days=3, minutes=30)
    assert max(Counter(machine.texted).values()) == 2


def test_a_run_that_texted_nobody_is_not_followed_up():
    machine = Machine(crowd(1), follow_up_after=timedelta(days=3))
    machine.opt_out("u000")

    assert "followUp" not in machine.run()


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_dies_and_whenever_everybody_ends_in_one_state_and_is_texted_once_at_most(data):
    customers = crowd(data.draw(st.integers(0, 25), "people"), EAST, WEST, HAWAII)
    crashes = st.lists(st.none() | st.integers(1, 40), max_size=12)
    machine = Machine(
        customers,
        per_part=data.draw(st.integers(1, 8), "people a part"),
        rate=data.draw(st.sampled_from([0.01, 1, 100]), "rate"),
        crash_steps=iter(data.draw(crashes, "crashes of steps")),
        crash_parts=iter(data.draw(crashes, "crashes of parts")),
        part_seconds=data.draw(st.sampled_from([3, 235]), "seconds of a part"),
        expires_after=data.draw(st.sampled_from([timedelta(days=7), timedelta(minutes=3)]), "its time"),
        limits=data.draw(
            st.sampled_from([SpendLimits(), SpendLimits(per_day=881 * 7), SpendLimits(per_campaign=881 * 9)]),
            "budget",
        ),
    )
    machine.clock.instant = START + timedelta(minutes=data.draw(st.integers(0, 24 * 60), "start"))
    carrier = st.sampled_from(
        [None, SendThrottledError("x"), OutcomeUnknownError("x"), SendingDisabledError("x")]
    )
    machine.carrier.answers = data.draw(st.lists(carrier, max_size=15), "carrier")
    events = data.draw(
        st.dictionaries(st.integers(1, 20), st.sampled_from(["stop", "pause", "leave"]), max_size=4), "events"
    )
    left, resumed = [], []

    def happen(texts):
        victim = f"u{texts % 25:03}"
        match events.get(texts):
            case "stop" if victim in machine.customers:
                machine.opt_out(victim)
                left.append((len(machine.texted), machine.customers[victim].phone))
            case "leave":
                machine.customers.pop(victim, None)
            case "pause":
                machine.pause.paused = True

    machine.carrier.on_text = happen
    everybody = dict(machine.customers)
    execution = machine.start()
    summary = None
    for step in execution:
        if isinstance(step, datetime):
            machine.clock.instant = step
            resumed.append(step)
            if len(resumed) % 5 == 0:
                machine.pause.paused = False
        if isinstance(step, dict):
            summary = step

    check(machine, summary, everybody)
    for texts, phone in left:
        assert phone not in machine.texted[texts:]
    accepted = {everybody[one].phone for one, (state, _) in machine.states().items() if state == "ACCEPTED"}
    assert accepted <= set(machine.texted)
    remaining = {reason for state, reason in machine.states().values() if state == "REMAINING"}
    assert remaining <= {"CAMPAIGN_BUDGET"}
    assert machine.errors == []
