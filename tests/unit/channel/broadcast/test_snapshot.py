"""The snapshot: everybody in one part or skipped with a reason, whatever happens on the way."""

from collections import Counter
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.broadcast import parts, snapshot
from sms_engagement_runtime.channel.domain.broadcast.audience import Candidate, Skipped
from sms_engagement_runtime.channel.domain.broadcast.outcomes import PersonOutcome
from sms_engagement_runtime.channel.domain.broadcast.run import (
    Audience,
    BroadcastInputError,
    BroadcastSettings,
    Run,
)
from sms_engagement_runtime.channel.domain.broadcast.snapshot import Snapshot
from sms_engagement_runtime.channel.domain.errors import TransientError
from tests.support.broadcast_fakes import FakeRunStore, FakeShuffle, FakeSource
from tests.support.fakes import START, Crash, CrashPlan

RUN = Run(run_id="run-1", started_at=START)
EAST, WEST = "America/New_York", "America/Los_Angeles"
tokens = count()


@pytest.fixture(autouse=True, scope="module")
def small_fragments():
    """Rows in many fragments and spans, as an audience of millions has them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot, "FRAGMENT_BYTES", 100)
        yield


def person(recipient_id, phone=None, group=EAST):
    return Candidate(recipient_id=recipient_id, subscriber_id=f"v1:{phone or recipient_id}", group=group)


def settings_of(per_part=2, **changes):
    return BroadcastSettings(recipients_per_part=per_part, recipients_per_second=1, **changes)


class Snapshots:
    """Calls of one snapshot function, over objects that outlive them."""

    def __init__(self, *people, history=(), run=RUN, per_part=2, follow_up_after=None):
        self.source = FakeSource(list(people), list(history))
        self.store, self.shuffle = FakeRunStore(), FakeShuffle()
        self.run = run
        self.settings = settings_of(per_part, follow_up_after=follow_up_after)
        self.calls = 0

    def call(self, *, may_go_on=lambda: True, plan=None):
        self.calls += 1
        wrap = (lambda port: port) if plan is None else plan.wrap
        return Snapshot(
            run=self.run,
            source=wrap(self.source),
            store=wrap(self.store),
            # What a call had not written is gone with it.
            shuffle=self.shuffle.reopened(),
            settings=self.settings,
            token=f"t{next(tokens)}",
            may_go_on=may_go_on,
        ).take()

    def in_parts(self, audience):
        return {
            recipient_id: part.group
            for part in audience.parts
            for people in self.store.read_people([part.key])
            for recipient_id in people
        }

    def skipped(self, audience):
        outcomes = [o for found in self.store.read_outcomes(audience.result_keys) for o in found]
        assert all(outcome.state == "SUPPRESSED" for outcome in outcomes)
        assert len({outcome.user_id for outcome in outcomes}) == len(outcomes)
        return {outcome.user_id: outcome.reason for outcome in outcomes}


def test_everybody_is_in_a_part_or_skipped_with_the_reason():
    snapshots = Snapshots(
        person("a"), person("b"), person("c"), Skipped(recipient_id="mute", reason="NO_PHONE"), person("d")
    )

    audience = snapshots.call()

    assert snapshots.in_parts(audience) == dict.fromkeys("abcd", EAST)
    assert snapshots.skipped(audience) == {"mute": "NO_PHONE"}
    assert (audience.customers, audience.recipients) == (5, 4)
    assert [part.people for part in audience.parts] == [2, 2]
    assert audience.skipped.reasons == {"NO_PHONE": 1}


def test_who_is_on_two_pages_is_one_person():
    # As who becomes PENDING between the pages of NEW and those of PENDING.
    twice = [person("a"), person("b"), person("c", "shared"), person("d", "shared")]
    snapshots = Snapshots(*twice, person("e"), *twice)

    audience = snapshots.call()

    assert snapshots.in_parts(audience) == dict.fromkeys("abce", EAST)
    assert sum(part.people for part in audience.parts) == 4
    assert snapshots.skipped(audience) == {"d": "DUPLICATE_PHONE"}
    assert (audience.customers, audience.recipients) == (5, 4)


@pytest.mark.parametrize("order", ["abc", "cba", "bca"])
def test_the_lowest_id_of_a_phone_wins_whatever_the_order_of_the_pages(order):
    snapshots = Snapshots(*(person(one, "same") for one in order))

    audience = snapshots.call()

    assert snapshots.in_parts(audience).keys() == {"a"}
    assert snapshots.skipped(audience) == {"b": "DUPLICATE_PHONE", "c": "DUPLICATE_PHONE"}


def test_a_part_holds_people_of_one_group():
    snapshots = Snapshots(
        person("a", group=EAST), person("b", group=WEST), person("c", group=EAST), per_part=10
    )

    audience = snapshots.call()

    assert sorted((part.group, part.people) for part in audience.parts) == [(WEST, 1), (EAST, 2)]
    assert snapshots.in_parts(audience) == {"a": EAST, "b": WEST, "c": EAST}


def test_who_is_not_due_is_skipped_with_the_reason_that_the_history_gives():
    history = [
        ("a", {"objection": None}),
        ("b", {"objection": "COOLDOWN"}),
        ("nobody", {"objection": "COOLDOWN"}),
        ("a", {"objection": "ANSWERED"}),
        ("c", {"objection": None}),
    ]
    snapshots = Snapshots(person("a"), person("b"), person("c"), person("d"), history=history)

    audience = snapshots.call()

    assert snapshots.in_parts(audience).keys() == {"c", "d"}
    assert snapshots.skipped(audience) == {"a": "ANSWERED", "b": "COOLDOWN"}


@pytest.mark.parametrize("people", [[], [person("a")]])
def test_an_audience_of_none_and_of_one_is_an_audience(people):
    audience = Snapshots(*people).call()

    assert (audience.customers, audience.recipients) == (len(people), len(people))
    assert [part.people for part in audience.parts] == [1] * len(people)


def test_the_audience_is_complete_in_the_bucket():
    snapshots = Snapshots(person("a"), person("b", "a"), person("c", group=WEST))

    audience = snapshots.call()

    (saved,) = snapshots.store.read_json([RUN.audience_key], prefix=RUN.prefix)
    assert Audience.from_json(saved) == audience


def test_a_snapshot_that_is_complete_is_not_taken_again():
    snapshots = Snapshots(person("a"))
    audience = snapshots.call()
    snapshots.source.people.append(person("b"))

    assert snapshots.call() == audience


def test_a_call_without_time_does_one_step_and_the_next_goes_on():
    everybody = [person(f"u{n}", f"p{n // 2}", EAST if n % 3 else WEST) for n in range(9)]
    history = [("u0", {"objection": "COOLDOWN"}), ("u4", {"objection": None})]
    at_once = Snapshots(*everybody, history=history)
    in_steps = Snapshots(*everybody, history=history)
    expected = at_once.call()

    while (audience := in_steps.call(may_go_on=lambda: False)) is None:
        pass

    assert in_steps.calls > 8
    assert in_steps.in_parts(audience) == at_once.in_parts(expected)
    assert in_steps.skipped(audience) == at_once.skipped(expected)
    assert [part.people for part in audience.parts] == [part.people for part in expected.parts]


def test_a_snapshot_that_fails_half_way_goes_on_from_its_checkpoint():
    everybody = [person(f"u{n}") for n in range(40)]
    snapshots = Snapshots(*everybody, per_part=5)
    lives = iter([True] * 12)
    assert snapshots.call(may_go_on=lambda: next(lives, False)) is None
    read = []
    candidates = snapshots.source.candidates

    def watched(cursor):
        read.append(cursor)
        return candidates(cursor)

    snapshots.source.candidates = watched
    with pytest.raises(Crash):
        snapshots.call(plan=CrashPlan(crash_at=6))

    audience = snapshots.call()

    # The first call read 26 people; nobody reads them again.
    assert min(cursor["start"] for cursor in read) == 26
    assert snapshots.in_parts(audience).keys() == {one.recipient_id for one in everybody}


@given(
    people=st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 9), st.sampled_from([EAST, WEST]), st.integers(0, 3)),
        unique_by=lambda row: row[0],
        max_size=20,
    ),
    per_part=st.integers(1, 6),
    data=st.data(),
)
@settings(max_examples=150, deadline=None)
def test_calls_that_die_anywhere_lose_nobody_and_double_nobody(people, per_part, data):
    rows = [
        Skipped(recipient_id=f"u{n:02}", reason="NO_PHONE") if kind == 0 else person(f"u{n:02}", phone, group)
        for n, phone, group, kind in people
    ]
    history = [(f"u{n:02}", {"objection": "COOLDOWN" if kind == 1 else None}) for n, *_, kind in people]
    snapshots = Snapshots(*rows, history=history, per_part=per_part)
    audience = None
    while audience is None:
        lives = iter([True] * data.draw(st.integers(0, 9), "pages"))
        crash_at = data.draw(st.none() | st.integers(1, 60), "crash at") if snapshots.calls < 20 else None
        try:
            audience = snapshots.call(
                may_go_on=lambda lives=lives: next(lives, False), plan=CrashPlan(crash_at)
            )
        except Crash:
            continue

    asked, skipped = snapshots.in_parts(audience), snapshots.skipped(audience)
    assert sorted([*asked, *skipped]) == sorted(row.recipient_id for row in rows)
    assert sum(part.people for part in audience.parts) == len(asked) == audience.recipients
    assert audience.skipped.people == len(skipped)
    assert audience.skipped.reasons == dict(sorted(Counter(skipped.values()).items()))
    assert all(part.people <= per_part for part in audience.parts)
    due = {row.recipient_id for row in rows if isinstance(row, Candidate)}
    phones = Counter(row.subscriber_id for row in rows if row.recipient_id in asked)
    assert max(phones.values(), default=0) <= 1
    assert asked.keys() <= due


def test_a_source_that_does_not_answer_fails_the_call_and_not_the_run():
    snapshots = Snapshots(person("a"), person("b"), person("c"))
    real, faults = snapshots.source.histories, iter([TransientError("x")])

    def shy(cursor):
        if fault := next(faults, None):
            raise fault
        return real(cursor)

    snapshots.source.histories = shy
    with pytest.raises(TransientError):
        snapshots.call()

    assert snapshots.in_parts(snapshots.call()).keys() == {"a", "b", "c"}


def test_a_call_that_was_thought_dead_and_is_not_changes_nothing_for_the_others():
    snapshots = Snapshots(*(person(f"u{n}") for n in range(12)), per_part=3)
    late = []

    def overtaken():
        # Another call takes the whole snapshot while this one is in the middle of its own.
        if not late:
            late.append(None)
            late[0] = snapshots.call()
        return True

    first = snapshots.call(may_go_on=overtaken)

    assert len(snapshots.in_parts(first)) == len(snapshots.in_parts(late[0])) == 12


def test_rows_are_written_as_soon_as_they_fill_a_fragment():
    snapshots = Snapshots(*(person(f"u{n:03}") for n in range(60)))

    assert len(snapshots.in_parts(snapshots.call())) == 60

    sizes = [
        sum(len(row) for rows in buckets for row in rows) for buckets in snapshots.shuffle.fragments.values()
    ]
    # A page has two people and a bucket a quarter of all: what one of them adds after the limit.
    assert max(sizes) < 100 + 60 / 4 * 60
    assert len(sizes) > 10


def test_a_small_audience_is_read_back_at_once(monkeypatch):
    monkeypatch.setattr(snapshot, "FRAGMENT_BYTES", 4 * 1024 * 1024)
    snapshots = Snapshots(*(person(f"u{n:03}") for n in range(60)))
    reads = []
    read = FakeShuffle.read

    def counted(self, start, end, fragments):
        reads.append((start, end))
        return read(self, start, end, fragments)

    monkeypatch.setattr(FakeShuffle, "read", counted)

    assert len(snapshots.in_parts(snapshots.call())) == 60
    # Candidates, then people and their histories.
    assert reads == [(0, 4)] * 3


def test_people_who_wait_for_a_full_part_are_bounded(monkeypatch):
    monkeypatch.setattr(parts, "MAX_WAITING_PEOPLE", 10)
    snapshots = Snapshots(*(person(f"u{n:03}", group=f"zone-{n % 7}") for n in range(100)), per_part=50)

    audience = snapshots.call()

    assert len(snapshots.in_parts(audience)) == 100
    assert max(part.people for part in audience.parts) <= 10


def test_people_put_into_parts_are_checkpointed_with_those_who_wait(monkeypatch):
    monkeypatch.setattr(snapshot, "PEOPLE_PER_CHECKPOINT", 5)
    everybody = [person(f"u{n:03}", group=EAST if n % 2 else WEST) for n in range(41)]
    snapshots = Snapshots(*everybody, per_part=4)
    checkpoints = []
    write = snapshots.store.write_json

    def counted(key, value):
        checkpoints.append(key)
        write(key, value)

    snapshots.store.write_json = counted

    audience = snapshots.call()

    assert len(snapshots.in_parts(audience)) == 41
    # One a bucket, of which each has ten people.
    assert checkpoints.count(RUN.snapshot_key) >= 4 + 4


class TestFollowUps:
    """A run over those whom another one texted."""

    def followed(self, store, results, *, is_dry=False, follows=None):
        run = Run(run_id="first", started_at=START, is_dry=is_dry, follows=follows)
        rows = []
        for number, (group, ended_at, outcomes) in enumerate(results):
            key = run.result_key(f"{number}")
            store.write_outcomes(
                key, [PersonOutcome(user_id=one, state=state) for one, state in outcomes.items()]
            )
            rows.append(
                {"key": key, "group": group, "endedAt": None if ended_at is None else ended_at.isoformat()}
            )
        store.write_json(run.results_key, {"run": run.to_json(), "results": rows})

    def snapshots(self, **changes):
        run = Run(run_id="first-follow-up", started_at=START, follows="first", **changes)
        return Snapshots(run=run, follow_up_after=timedelta(days=3), per_part=2)

    def test_it_takes_whom_the_run_texted_and_waits_from_the_end_of_their_part(self):
        snapshots = self.snapshots()
        later = START + timedelta(hours=5)
        self.followed(
            snapshots.store,
            [
                (None, None, {"skipped": "SUPPRESSED"}),
                (EAST, START, {"a": "ACCEPTED", "b": "UNCERTAIN", "c": "ACCEPTED", "d": "ACCEPTED"}),
                (WEST, later, {"e": "ALREADY_SENT", "f": "ACCEPTED"}),
                (EAST, later, {"g": "ACCEPTED"}),
            ],
        )

        audience = snapshots.call()

        assert snapshots.in_parts(audience) == {"a": EAST, "c": EAST, "d": EAST, "f": WEST, "g": EAST}
        assert {(part.group, part.people, part.not_before) for part in audience.parts} == {
            (EAST, 2, START + timedelta(days=3)),
            (EAST, 1, START + timedelta(days=3)),
            (WEST, 1, later + timedelta(days=3)),
            (EAST, 1, later + timedelta(days=3)),
        }
        assert (audience.customers, audience.recipients) == (5, 5)

    def test_parts_that_ended_at_about_the_same_time_are_one(self):
        snapshots = self.snapshots()
        ends = [START + timedelta(minutes=n) for n in (0, 2, 4, 20)]
        self.followed(snapshots.store, [(EAST, end, {f"u{n}": "ACCEPTED"}) for n, end in enumerate(ends)])
        snapshots.settings = settings_of(10, follow_up_after=timedelta(days=3))

        audience = snapshots.call()

        assert [(part.people, part.not_before - START - timedelta(days=3)) for part in audience.parts] == [
            (3, timedelta(minutes=4)),
            (1, timedelta(minutes=20)),
        ]

    def test_a_dry_run_of_it_waits_for_nothing(self):
        snapshots = self.snapshots(is_dry=True)
        self.followed(snapshots.store, [(EAST, START, {"a": "ACCEPTED"})])

        assert [part.not_before for part in snapshots.call().parts] == [None]

    def test_it_goes_on_where_a_call_left_it(self):
        snapshots = self.snapshots()
        self.followed(snapshots.store, [(EAST, START, {f"u{n}": "ACCEPTED"}) for n in range(5)])

        while (audience := snapshots.call(may_go_on=lambda: False)) is None:
            pass

        assert snapshots.calls > 5
        assert len(snapshots.in_parts(audience)) == audience.recipients == 5

    def test_a_run_that_has_not_ended_cannot_be_followed(self):
        with pytest.raises(BroadcastInputError, match="no run of that name has ended"):
            self.snapshots().call()

    @pytest.mark.parametrize(
        ("changes", "words"),
        [({"is_dry": True}, "was a dry run"), ({"follows": "zeroth"}, "followed a run itself")],
    )
    def test_neither_a_dry_run_nor_a_follow_up_is_followed(self, changes, words):
        snapshots = self.snapshots()
        self.followed(snapshots.store, [], **changes)

        with pytest.raises(BroadcastInputError, match=words):
            snapshots.call()
