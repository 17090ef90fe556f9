"""One part: who is asked, who is not and why, and when the part is handed back as it was."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from sms_engagement_runtime.channel.domain.broadcast.asking import PartAsker
from sms_engagement_runtime.channel.domain.broadcast.outcomes import PersonOutcome
from sms_engagement_runtime.channel.domain.broadcast.run import Assignment, Part, PartReport, Run
from sms_engagement_runtime.channel.domain.broadcast.stop_rules import StopRules
from sms_engagement_runtime.channel.domain.errors import CallRefusedError, TransientError
from sms_engagement_runtime.channel.domain.quiet_hours import DEFAULT
from tests.support.broadcast_fakes import FakeRunStore
from tests.support.fakes import START, FakeCampaignCounts, FakeClock, FakePause

EAST = "America/New_York"
NIGHT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
# Half a minute before nine in the evening, New York: until then the gate lets texts pass.
CLOSING = datetime(2026, 11, 22, 1, 59, 30, tzinfo=UTC)


class Answers:
    """Answers for each person, ``ACCEPTED`` by default, and remembers whom it was asked for."""

    def __init__(self, **answers):
        self.answers = answers
        self.calls = []
        self.lock = threading.Lock()

    def __call__(self, person):
        with self.lock:
            self.calls.append(person)
            answers = self.answers.get(person)
            answer = answers.pop(0) if answers else "ACCEPTED"
        if isinstance(answer, PersonOutcome):
            return answer
        if isinstance(answer, Exception):
            raise answer
        state, _, reason = answer.partition(":")
        return PersonOutcome(user_id=person, state=state, reason=reason or None, parts=1)


class PartFunction:
    """Everything around one part."""

    def __init__(self, *people, ask=None, group=EAST, is_dry=False):
        self.people = people
        self.ask = ask or Answers()
        self.run = Run(run_id="run-1", started_at=START, is_dry=is_dry)
        self.part = Part(key=self.run.part_key("000001-x"), group=group, people=len(people))
        self.store, self.clock, self.pause = FakeRunStore(), FakeClock(), FakePause()
        self.counts, self.stop_rules = FakeCampaignCounts(), StopRules(min_volume=10)
        self.store.write_people(self.part.key, list(people))
        self.missing, self.faults = set(), 0
        self.has_time = lambda: True
        self.errors, self.pauses, self.workers = [], [], 1

    def find(self, recipient_ids):
        if self.faults:
            self.faults -= 1
            raise TransientError("x")
        return {one: one for one in recipient_ids if one not in self.missing}

    def carry_out(self, token="t1"):
        asker = PartAsker(
            find=self.find,
            missing_reason="NO_CUSTOMER",
            ask=self.ask,
            store=self.store,
            hours_of=DEFAULT.hours_of_key,
            clock=self.clock,
            pause=self.pause,
            counts=self.counts,
            stop_rules=self.stop_rules,
            has_time=self.has_time,
            on_error=self.errors.append,
            sleep=self.pauses.append,
            workers=self.workers,
        )
        report_key = f"{self.run.report_prefix(1)}{self.part.name}.json"
        report = asker.carry_out(Assignment(run=self.run, part=self.part, report_key=report_key), token=token)
        (saved,) = self.store.read_json([report_key], prefix=self.run.prefix)
        assert PartReport.from_json(saved).to_json() == report.to_json()
        assert report.is_untouched or report.final.people + len(report.rest) == len(set(self.people))
        return report

    def results(self, report):
        if report.result_key is None:
            return {}
        (outcomes,) = self.store.read_outcomes([report.result_key])
        return {o.user_id: (str(o.state), o.reason) for o in outcomes}


def rest(report):
    return {o.user_id: (str(o.state), o.reason and str(o.reason)) for o in report.rest}


def test_each_person_comes_out_in_one_state():
    answers = {"b": ["SUPPRESSED:OPTED_OUT"], "c": ["UNCERTAIN:OUTCOME_UNKNOWN"], "d": ["IN_FLIGHT"]}
    function = PartFunction("a", "b", "c", "d", ask=Answers(**answers))

    report = function.carry_out()

    assert function.results(report) == {
        "a": ("ACCEPTED", None),
        "b": ("SUPPRESSED", "OPTED_OUT"),
        "c": ("UNCERTAIN", "OUTCOME_UNKNOWN"),
    }
    assert rest(report) == {"d": ("IN_FLIGHT", None)}
    assert report.final.outcomes == {"ACCEPTED": 1, "SUPPRESSED": 1, "UNCERTAIN": 1}
    assert report.ended_at == START


def test_a_part_is_marked_as_begun_before_the_first_of_it_is_asked():
    marked = []

    class Watching(Answers):
        def __call__(self, person):
            marked.append(function.run.begun_key(function.part) in function.store.objects)
            return super().__call__(person)

    function = PartFunction("a", "b", ask=Watching())

    function.carry_out()

    assert marked == [True, True]


def test_a_part_that_is_handed_back_is_not_marked_as_begun():
    function = PartFunction("a")
    function.pause.paused = True

    assert function.carry_out().is_untouched
    assert function.run.begun_key(function.part) not in function.store.objects


def test_a_part_that_cannot_be_marked_asks_nobody():
    function = PartFunction("a")

    def write_json(key, value):
        raise TransientError("x")

    function.store.write_json = write_json

    with pytest.raises(TransientError):
        function.carry_out()
    assert function.ask.calls == []


def test_who_left_since_the_snapshot_is_not_asked():
    function = PartFunction("a", "b")
    function.missing = {"b"}

    assert function.results(function.carry_out())["b"] == ("SUPPRESSED", "NO_CUSTOMER")
    assert function.ask.calls == ["a"]


def test_who_is_named_twice_is_asked_once():
    function = PartFunction("a", "a", "b")

    function.carry_out()

    assert function.ask.calls == ["a", "b"]


def test_a_service_that_hiccups_is_tried_again_after_the_others():
    function = PartFunction("a", "b", ask=Answers(a=[TransientError("x"), "ACCEPTED"]))

    assert function.carry_out().final.outcomes == {"ACCEPTED": 2}
    assert function.ask.calls == ["a", "b", "a"]


def test_a_service_that_stays_away_leaves_the_person():
    function = PartFunction("a", "b", ask=Answers(a=[TransientError("x")] * 5))

    assert rest(function.carry_out()) == {"a": ("REMAINING", "SERVICE_UNAVAILABLE")}
    assert function.ask.calls.count("a") == 3


def test_people_that_cannot_be_read_at_first_are_read_again_later_and_later():
    function = PartFunction("a")
    function.faults = 2

    assert function.carry_out().final.outcomes == {"ACCEPTED": 1}
    assert function.pauses == [1, 3]


def test_a_part_whose_people_cannot_be_read_asks_nobody_and_says_so():
    function = PartFunction("a", "b")
    function.faults = 3

    assert rest(function.carry_out()) == dict.fromkeys("ab", ("REMAINING", "SERVICE_UNAVAILABLE"))
    assert function.ask.calls == []


def test_who_leaves_while_the_part_is_sent_is_not_asked():
    everybody = [f"u{number}" for number in range(20)]
    function = PartFunction(*everybody)

    def ask(person, real=function.ask):
        function.missing = {"u8", "u19"}
        return real(person)

    function.ask = ask

    report = function.carry_out()

    # One worker's people are read eight at a time.
    assert {one for one, (state, _) in function.results(report).items() if state != "ACCEPTED"} == {
        "u8",
        "u19",
    }


@pytest.mark.parametrize(("seconds", "asked"), [(15, ["a", "b"]), (16, ["a"])])
def test_people_are_asked_as_they_were_a_quarter_of_a_minute_ago_at_the_earliest(seconds, asked):
    function = PartFunction("a", "b")

    def ask(person, real=function.ask):
        function.clock.advance(seconds=seconds)
        function.missing = {"b"}
        return real(person)

    calls, function.ask = function.ask.calls, ask

    function.carry_out()

    assert calls == asked


def test_workers_that_need_the_same_people_read_them_once():
    function = PartFunction(*"abcdef")
    function.workers = 3
    read = []

    def find(recipient_ids, real=function.find):
        read.append(list(recipient_ids))
        return real(recipient_ids)

    function.find = find

    assert function.carry_out().final.outcomes == {"ACCEPTED": 6}
    assert read == [list("abcdef")]


def test_once_people_cannot_be_read_nobody_behind_them_is_asked():
    people = [f"u{number}" for number in range(10)]
    function = PartFunction(*people)

    def ask(person, real=function.ask):
        function.faults = 3
        return real(person)

    calls, function.ask = function.ask.calls, ask

    report = function.carry_out()

    assert calls == people[:8]
    assert rest(report) == dict.fromkeys(people[8:], ("REMAINING", "SERVICE_UNAVAILABLE"))
    assert function.pauses == [1, 3]


def test_a_service_that_refuses_us_is_told_to_a_human():
    function = PartFunction("a", "b", ask=Answers(a=[CallRefusedError("dynamodb:GetItem: AccessDenied")] * 3))

    assert rest(function.carry_out()) == {"a": ("REMAINING", "SERVICE_UNAVAILABLE")}
    assert function.errors == [CallRefusedError] * 3


def test_an_error_that_nobody_foresaw_costs_only_its_person_the_turn():
    function = PartFunction("a", "b", "c", ask=Answers(b=[ZeroDivisionError("John, +12025550100")]))

    report = function.carry_out()

    assert rest(report) == {"b": ("REMAINING", "UNEXPECTED_ERROR")}
    assert report.final.outcomes == {"ACCEPTED": 2}
    assert function.errors == [ZeroDivisionError]


def test_when_time_is_over_the_rest_remains():
    function = PartFunction("a", "b", "c", "d")
    lives = iter([True, True])
    function.has_time = lambda: next(lives, False)

    report = function.carry_out()

    assert rest(report) == dict.fromkeys("cd", ("REMAINING", "OUT_OF_TIME"))
    assert function.ask.calls == ["a", "b"]
    assert report.stopped_by is None


def test_when_the_hours_of_its_people_end_the_rest_remains():
    function = PartFunction("a", "b", "c")
    function.clock.instant = CLOSING - timedelta(seconds=2)

    def ask(person, real=function.ask):
        function.clock.advance(seconds=1)
        return real(person)

    function.ask = ask

    assert rest(function.carry_out()) == {"c": ("REMAINING", "OUT_OF_TIME")}


@pytest.mark.parametrize("reason", ["SENDING_DISABLED", "PAUSED", "DAY_BUDGET", "CAMPAIGN_BUDGET"])
def test_when_nothing_can_be_sent_the_rest_is_not_tried(reason):
    until = START + timedelta(hours=7)
    stop = PersonOutcome(user_id="b", state="DEFERRED", reason=reason, until=until)
    function = PartFunction("a", "b", "c", "d", ask=Answers(b=[stop]))

    report = function.carry_out()

    assert rest(report) == {"b": ("DEFERRED", reason)} | dict.fromkeys("cd", ("REMAINING", reason))
    assert function.ask.calls == ["a", "b"]
    assert (report.stopped_by, report.until) == (reason, until)


@pytest.mark.parametrize("reason", ["THROTTLED", "CONTACT_CHANGED"])
def test_who_is_only_put_off_stops_nobody_and_is_tried_again_after_the_others(reason):
    function = PartFunction("a", "b", ask=Answers(a=[f"DEFERRED:{reason}", "ACCEPTED"]))

    assert function.carry_out().final.outcomes == {"ACCEPTED": 2}
    assert function.ask.calls == ["a", "b", "a"]


def test_who_waits_for_an_instant_brings_it_along():
    until = START + timedelta(hours=20)
    waiting = PersonOutcome(user_id="a", state="DEFERRED", reason="FREQUENCY_CAP", until=until)
    function = PartFunction("a", "b", ask=Answers(a=[waiting]))

    report = function.carry_out()

    assert [outcome.until for outcome in report.rest] == [until]
    assert report.stopped_by is None


def test_people_are_asked_several_at_a_time():
    meeting = threading.Barrier(3, timeout=10)

    def ask(person):
        meeting.wait()
        return PersonOutcome(user_id=person, state="ACCEPTED")

    function = PartFunction("a", "b", "c", ask=ask)
    function.workers = 3

    assert function.carry_out().final.people == 3


class TestHandedBack:
    """Parts of which nobody is asked, and nothing is written but the report."""

    def assert_untouched(self, function, stopped_by):
        report = function.carry_out()

        assert (report.is_untouched, report.stopped_by) == (True, stopped_by)
        assert function.ask.calls == []
        assert not [key for key in function.store.objects if "/results/" in key]

    def test_while_sending_is_paused(self):
        function = PartFunction("a")
        function.pause.paused = True

        self.assert_untouched(function, "PAUSED")

    def test_outside_the_hours_of_its_people(self):
        function = PartFunction("a")
        function.clock.instant = NIGHT

        self.assert_untouched(function, None)

    def test_once_too_many_opted_out(self):
        function = PartFunction("a")
        function.counts.add("run-1", delivered=10, opted_out=1)

        self.assert_untouched(function, "STOPPED_OPT_OUTS")

    def test_not_where_nobody_knows_the_hours(self):
        function = PartFunction("a", group="unknown", ask=Answers(a=["SUPPRESSED:TIME_ZONE_UNKNOWN"]))

        assert function.carry_out().final.reasons == {"TIME_ZONE_UNKNOWN": 1}

    def test_not_in_a_dry_run(self):
        function = PartFunction("a", "b", is_dry=True, ask=Answers(b=["DEFERRED:DAY_BUDGET"]))
        function.pause.paused = True
        function.clock.instant = NIGHT
        function.counts.add("run-1", failed=100)

        report = function.carry_out()

        # It says how things stand, and waits for nobody.
        assert report.final.outcomes == {"ACCEPTED": 1, "DEFERRED": 1}
        assert report.stopped_by is None


def test_results_of_an_attempt_do_not_touch_those_of_another():
    function = PartFunction("a", "b", ask=Answers(b=["IN_FLIGHT"]))
    first = function.carry_out(token="t1")

    second = function.carry_out(token="t2")

    assert function.results(first) == {"a": ("ACCEPTED", None)}
    assert function.results(second) == dict.fromkeys("ab", ("ACCEPTED", None))
