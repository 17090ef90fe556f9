"""Contacts and the opt-out list of the service are kept in step, whatever happens between two calls."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sms_engagement_runtime.channel.adapters.contact_rows import SeenInMemory
from sms_engagement_runtime.channel.domain import reconcile
from sms_engagement_runtime.channel.domain.consent import (
    ALL_SCOPES,
    ConsentState,
    Contact,
    Evidence,
    Scope,
    Source,
    erase,
    opt_out,
    replace_contact,
    resubscribe,
)
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.opting_out import OptOutRecorder
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.reconcile import (
    UNSETTLED_FOR,
    Phase,
    ReconcileService,
    Run,
    fingerprint,
    new_run,
)
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from tests.support.fakes import (
    START,
    SUBSCRIBER_KEY,
    Crash,
    FakeAttention,
    FakeBus,
    FakeClock,
    FakeContacts,
)
from tests.support.opted_out_numbers import FakeContactRows, FakeOptedOutNumbers

LONG_AGO = START - timedelta(days=10)


def number(n):
    return PhoneNumber(f"+1206555{100 + n:04d}")


def person(n):
    return subscriber_id(number(n), SUBSCRIBER_KEY)


class System:
    """The channel's data, the service's list, and what compares them."""

    def __init__(self):
        self.contacts = FakeContacts()
        self.listed = FakeOptedOutNumbers()
        self.rows = FakeContactRows(self.contacts)
        self.bus = FakeBus()
        self.attention = FakeAttention()
        self.clock = FakeClock()
        self.seen = SeenInMemory()
        self.service = ReconcileService(
            opted_out_numbers=self.listed,
            rows=self.rows,
            contacts=self.contacts,
            recorder=OptOutRecorder(
                contacts=self.contacts, prompts=self.contacts, bus=self.bus, clock=self.clock
            ),
            seen=self.seen,
            attention=self.attention,
            clock=self.clock,
            subscriber_id_of=lambda each: subscriber_id(each, SUBSCRIBER_KEY),
        )

    def says(self, n, word, *, at=LONG_AGO, by=Source.INBOUND_MESSAGE):
        """Somebody's contact row changes, as the router changes it."""
        change = {"STOP": opt_out, "START": resubscribe}[word]
        contact = self.contacts.get(person(n))
        evidence = Evidence(source=by, words=word, message_id=f"{word}-{n}-{at.isoformat()}", at=at)
        changed = replace_contact(change(contact, evidence), phone_number=number(n))
        self.contacts.save(changed.contact, expected_version=contact.version, records=changed.records)

    def is_active(self, n):
        """Somebody whom nothing keeps from being texted."""
        active = dict.fromkeys(ALL_SCOPES, ConsentState.ACTIVE)
        self.contacts.put(Contact(subscriber_id=person(n), consents=active, phone_number=number(n)))

    def starts(self, n, *, at=None):
        """Somebody writes START, all of it: off the list, then active."""
        self.listed.entries.pop(number(n), None)
        self.listed.locked.add(number(n))
        self.says(n, "START", at=at or self.clock.now())

    def state(self, n):
        return set(self.contacts.get(person(n)).consents.values())

    def begin(self, **options):
        return new_run(self.clock.now(), **options)

    def compare(self, run=None, *, has_time=lambda: True, **options):
        """Do a whole run, a step at a time."""
        run = run or self.begin(**options)
        for _ in range(200):
            run = Run.from_json(run.to_json())
            if run.phase is Phase.DONE:
                return run
            run = self.service.step(run, has_time=has_time)
        raise AssertionError("it does not end")

    @property
    def told(self):
        return [detail["subscriberId"] for kind, detail in self.bus.events if kind == "OptedOut"]


@pytest.fixture
def system():
    return System()


OUT = {ConsentState.OPTED_OUT}
IN = {ConsentState.ACTIVE}


class TestOnTheListAndNotOptedOutWithUs:
    @pytest.mark.parametrize("is_known", [True, False])
    def test_is_opted_out_with_a_proof_and_the_bus_is_told(self, system, is_known):
        if is_known:
            system.is_active(1)
        system.listed.add(number(1), since=LONG_AGO)

        run = system.compare()

        assert system.state(1) == OUT
        assert system.contacts.get(person(1)).phone_number == number(1)
        assert system.told == [person(1)]
        assert run.counts["optedOut"] == 1
        assert run.drift == 1
        assert {record.scope for record in system.contacts.records} == set(Scope)
        (proof, *_) = system.contacts.records
        assert (proof.source, proof.at, proof.state) == (Source.CARRIER, LONG_AGO, ConsentState.OPTED_OUT)
        assert "by the person" in proof.words

    def test_what_the_account_put_there_says_so(self, system):
        system.listed.add(number(1), by_person=False)

        system.compare()

        assert {record.source for record in system.contacts.records} == {Source.OPT_OUT_LIST}
        assert "put there by the account" in system.contacts.records[0].words

    def test_nothing_is_written_or_told_where_both_agree(self, system):
        system.says(1, "STOP")
        system.listed.add(number(1))
        records = len(system.contacts.records)

        run = system.compare()

        assert run.drift == 0
        assert len(system.contacts.records) == records
        assert system.told == []
        assert "put" not in system.listed.calls

    def test_a_second_run_finds_no_drift(self, system):
        system.listed.add(number(1))
        system.compare()
        system.clock.advance(days=1)

        run = system.compare()

        assert run.drift == 0
        assert system.told == [person(1)]

    def test_who_was_opted_out_of_one_scope_is_out_of_all(self, system):
        consents = {Scope.MARKETING: ConsentState.OPTED_OUT, Scope.REVIEWS: ConsentState.ACTIVE}
        system.contacts.put(Contact(subscriber_id=person(1), consents=consents))
        system.listed.add(number(1))

        system.compare()

        assert system.state(1) == OUT

    def test_an_erased_person_stays_a_tombstone(self, system):
        tombstone = system.contacts.put(erase(Contact(subscriber_id=person(1)), LONG_AGO))
        system.listed.add(number(1))

        run = system.compare()

        assert system.contacts.get(person(1)) == tombstone
        assert run.counts["erased"] == 1
        assert run.drift == 0
        assert system.told == []

    def test_entries_that_are_no_phone_number_are_counted(self, system):
        system.listed.unreadable = 3
        system.listed.add(number(1))

        assert system.compare().counts["unreadable"] == 3


class TestSomebodyComesBackMeanwhile:
    def test_a_page_from_before_their_start_opts_nobody_out(self, system):
        """The number leaves the list, and the contact becomes active, after the page was read."""
        system.says(1, "STOP")
        system.listed.add(number(1), since=LONG_AGO)
        system.rows.before = once(lambda: system.starts(1))

        run = system.compare()

        assert system.state(1) == IN
        assert run.counts["overtaken"] == 1
        assert system.told == []

    def test_a_start_between_reading_and_writing_the_contact_wins(self, system):
        system.is_active(1)
        system.listed.add(number(1), since=LONG_AGO)

        def stop_and_start():
            system.says(1, "STOP", at=START - timedelta(minutes=2))
            system.starts(1)

        system.contacts.before_save = stop_and_start

        system.compare()

        assert system.state(1) == IN
        assert system.told == []

    def test_who_came_back_and_is_on_the_list_all_the_same_is_opted_out(self, system):
        """AWS refuses every text to them: ACTIVE would be untrue."""
        system.says(1, "STOP", at=LONG_AGO)
        system.says(1, "START", at=LONG_AGO + timedelta(days=1))
        system.listed.add(number(1), since=LONG_AGO + timedelta(days=2))

        system.compare()

        assert system.state(1) == OUT
        assert system.told == [person(1)]

    def test_the_proof_of_an_older_entry_comes_after_the_start(self, system):
        system.says(1, "STOP", at=LONG_AGO)
        system.says(1, "START", at=LONG_AGO + timedelta(days=1))
        system.listed.add(number(1), since=LONG_AGO)

        system.compare()

        assert {record.at for record in system.contacts.records[-3:]} == {START}

    def test_a_start_before_the_number_is_put_keeps_it_off_the_list(self, system):
        system.says(1, "STOP")
        original = system.contacts.get
        reads = []

        def get(each):
            if not reads:
                reads.append(each)
                system.starts(1)
            return original(each)

        system.contacts.get = get

        run = system.compare()

        assert number(1) not in system.listed.entries
        assert run.counts["overtaken"] == 1

    def test_a_start_while_the_number_is_put_takes_it_off_again(self, system):
        system.says(1, "STOP")
        system.listed.before = on("put", lambda: system.says(1, "START", at=START))

        run = system.compare()

        assert system.state(1) == IN
        assert number(1) not in system.listed.entries
        assert run.counts["takenOff"] == 1
        assert run.drift == 0

    def test_who_left_again_since_the_scan_stays_on_the_list(self, system):
        run = system.begin()
        system.is_active(1)
        scanned = system.contacts.get(person(1))
        # A step before this one has put them there; they came back, and wrote STOP again.
        system.contacts.mark_handled(reconcile._put_mark(run, scanned), LONG_AGO)
        system.says(1, "STOP")
        system.listed.add(number(1), by_person=False)

        counted = system.service._compare_contact(run, scanned, [])

        assert number(1) in system.listed.entries
        assert counted.counts == {}

    def test_who_cannot_be_taken_off_again_stays_out_and_a_human_is_told(self, system):
        system.says(1, "STOP")
        system.listed.before = on("put", lambda: system.starts(1))

        system.compare()

        assert number(1) in system.listed.entries
        assert system.state(1) == OUT
        assert [subject for subject, _ in system.attention.notices] == ["START refused by AWS"]

    def test_a_number_that_somebody_else_put_on_the_list_is_not_taken_off(self, system):
        system.says(1, "STOP")
        system.starts(1)
        system.listed.locked.clear()
        seen = []
        system.rows.before = lambda call: (
            None
            if call != "scan" or seen
            else (seen.append(1), system.listed.add(number(1), by_person=False))
        )

        system.compare()

        assert number(1) in system.listed.entries


class TestOptedOutWithUsAndNotOnTheList:
    def test_is_put_on_it(self, system):
        system.says(1, "STOP")
        system.is_active(2)

        run = system.compare()

        assert set(system.listed.entries) == {number(1)}
        assert run.counts["putOnList"] == 1
        assert list(run.examples) == [{"subscriberId": person(1), "change": "putOnList"}]

    def test_not_while_its_confirmation_may_have_to_go_out(self, system):
        system.says(1, "STOP", at=START - UNSETTLED_FOR + timedelta(minutes=1))

        run = system.compare()

        assert not system.listed.entries
        assert run.counts["unsettled"] == 1
        system.clock.advance(minutes=2)
        assert system.compare().counts["putOnList"] == 1

    def test_one_whose_number_is_not_known_is_counted(self, system):
        system.says(1, "STOP")
        system.contacts.put(replace(system.contacts.get(person(1)), phone_number=None))

        assert system.compare().counts["noNumber"] == 1

    def test_one_who_left_a_scope_and_not_another_stays_off(self, system):
        consents = {Scope.MARKETING: ConsentState.OPTED_OUT, Scope.REVIEWS: ConsentState.ACTIVE}
        row = Contact(
            subscriber_id=person(1), consents=consents, phone_number=number(1), opted_out_by="import"
        )
        system.contacts.put(row)

        run = system.compare()

        assert not system.listed.entries
        assert run.drift == 0

    def test_an_erased_person_has_no_number_to_put(self, system):
        system.contacts.put(erase(Contact(subscriber_id=person(1)), LONG_AGO))

        run = system.compare()

        assert run.counts["erased"] == 1
        assert "put" not in system.listed.calls


class TestADryRun:
    def test_tells_what_would_be_done_and_does_nothing(self, system):
        system.listed.add(number(1))
        system.says(2, "STOP")
        before = dict(system.contacts.rows)

        run = system.compare(is_dry_run=True)

        assert run.counts["optedOut"] == 1
        assert run.counts["putOnList"] == 1
        assert system.contacts.rows == before
        assert set(system.listed.entries) == {number(1)}
        assert system.told == []
        assert not system.contacts.handled


class TestStepsAndFaults:
    def crowd(self, system, count=9):
        for n in range(count):
            if n % 3 == 0:
                system.is_active(n)
                system.listed.add(number(n))
            elif n % 3 == 1:
                system.says(n, "STOP")
            else:
                system.says(n, "STOP")
                system.listed.add(number(n))

    def assert_in_step(self, system, count=9):
        for n in range(count):
            assert system.state(n) == OUT
        assert set(system.listed.entries) == {number(n) for n in range(count)}
        # At least once: a crash between telling and remembering it tells again.
        assert set(system.told) == {person(n) for n in range(0, count, 3)}

    def test_many_short_steps_do_what_one_long_one_does(self, system):
        self.crowd(system)

        run = system.compare(has_time=lambda: False)

        self.assert_in_step(system)
        assert (run.counts["optedOut"], run.counts["putOnList"]) == (3, 3)
        assert run.counts["listed"] == 6

    def test_a_fault_after_some_pages_keeps_what_is_done(self, system):
        self.crowd(system)
        system.listed.before = nth("page", 2, TransientError("throttled"))

        run = system.service.step(system.begin(), has_time=lambda: True)

        assert run.phase is Phase.LIST
        assert run.cursor == "2"
        self.finish_and_check(system, run)

    def test_a_fault_at_the_start_of_a_step_is_raised(self, system):
        self.crowd(system)
        system.listed.before = nth("page", 1, TransientError("throttled"))

        with pytest.raises(TransientError):
            system.service.step(system.begin(), has_time=lambda: True)

    def finish_and_check(self, system, run):
        system.compare(run)
        self.assert_in_step(system)

    @pytest.mark.parametrize("fault", [TransientError("gone"), Crash()])
    def test_a_run_that_ends_between_any_two_calls_is_done_right_by_its_repetition(self, fault):
        points = 0
        while True:
            system = System()
            self.crowd(system)
            crash = fail_after(system, points, fault)
            run = system.begin()
            while run.phase is not Phase.DONE:
                try:
                    run = system.service.step(run, has_time=lambda: True)
                except (TransientError, Crash):
                    # Step Functions calls again with the same input.
                    continue
            was_last, crash.happened = not crash.happened, True
            self.assert_in_step(system)
            if was_last:
                break
            points += 1
        assert points > 20

    def test_the_next_day_tells_what_a_run_that_was_given_up_did_not(self, system):
        system.listed.add(number(1))
        publish, system.bus.publish = system.bus.publish, raising(Crash())
        with pytest.raises(Crash):
            system.compare()
        system.bus.publish = publish
        system.clock.advance(days=1)

        system.compare()

        assert system.told == [person(1)]
        system.clock.advance(days=1)
        system.compare()
        assert system.told == [person(1)]

    def test_the_list_changes_under_the_reader(self, system):
        """Entries that move to another page are seen twice, or the day after, and nobody is wronged."""
        self.crowd(system)
        later = number(50)

        def shift():
            first = next(iter(system.listed.entries))
            entry = system.listed.entries.pop(first)
            system.listed.add(later)
            system.listed.entries[first] = entry

        system.listed.before = nth_action("page", 2, shift)

        system.compare()

        everybody = {*(number(n) for n in range(9)), later}
        assert set(system.listed.entries) == everybody
        system.listed.before = lambda _: None
        system.clock.advance(days=1)
        system.compare()
        assert set(system.listed.entries) == everybody
        for each in (*range(9), 50):
            assert system.state(each) == OUT


def test_fingerprints_have_eight_bytes():
    assert 0 <= fingerprint(person(1)) < 2**64
    assert fingerprint(person(1)) != fingerprint(person(2))


def once(action):
    done = []

    def call(_):
        if not done:
            done.append(True)
            action()

    return call


def on(name, action):
    done = []

    def call(called):
        if called == name and not done:
            done.append(True)
            action()

    return call


def nth_action(name, which, action):
    calls = []

    def call(called):
        if called == name:
            calls.append(called)
            if len(calls) == which:
                action()

    return call


def raising(error):
    def raise_(*_arguments, **_named):
        raise error

    return raise_


def nth(name, which, error):
    return nth_action(name, which, raising(error))


class fail_after:  # noqa: N801 - reads as what it does
    """Have the call after so many of them fail, before it does anything; calls of all ports count."""

    def __init__(self, system, calls, error):
        self.happened = False
        self._left = calls
        self._error = error
        for port, names in (
            (system.contacts, ("get", "save", "was_handled", "mark_handled", "open_prompts")),
            (system.listed, ("page", "find", "put", "delete")),
            (system.rows, ("find", "page")),
            (system.bus, ("publish",)),
            (system.seen, ("keep", "load")),
        ):
            for name in names:
                setattr(port, name, self._guarded(getattr(port, name)))

    def _guarded(self, call):
        def guarded(*arguments, **named):
            if not self.happened:
                if not self._left:
                    self.happened = True
                    raise self._error
                self._left -= 1
            return call(*arguments, **named)

        return guarded
