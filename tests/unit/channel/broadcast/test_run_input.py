"""What a run may be started with, and what its objects are called."""

from datetime import UTC, datetime, timedelta

import pytest

from sms_engagement_runtime.channel.domain.broadcast.run import (
    BroadcastInputError,
    BroadcastSettings,
    Run,
    read_run,
)


def run_of(given):
    return read_run({"runId": "run-1", "startedAt": "2026-11-21T17:00:00.000Z", "input": given})


def test_a_run_needs_nothing():
    assert run_of({}) == Run(run_id="run-1", started_at=datetime(2026, 11, 21, 17, 0, tzinfo=UTC))


def test_a_run_may_say_why_and_whom_it_follows_and_that_it_is_dry():
    run = run_of({"reason": "holiday", "dryRun": True, "follows": "run-0"})

    assert (run.reason, run.is_dry, run.follows) == ("holiday", True, "run-0")
    assert Run.from_json(run.to_json()) == run


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (5, "must be a JSON object, got int"),
        ([], "must be a JSON object, got list"),
        (None, "must be a JSON object, got NoneType"),
        ("text", "must be a JSON object, got str"),
        ({"dryRun": "yes"}, "dryRun must be true or false"),
        ({"dryRun": 1}, "dryRun must be true or false"),
        ({"dryRun": None}, "dryRun must be true or false"),
        ({"dryrun": True}, "got dryrun"),
        ({"reason": 5}, "reason must be text"),
        ({"reason": None}, "reason must be text"),
        ({"follows": ""}, "follows must be the id of a run"),
        ({"follows": True}, "follows must be the id of a run"),
    ],
)
def test_a_mistyped_dry_run_is_no_real_run(given, sentence):
    with pytest.raises(BroadcastInputError, match=sentence):
        run_of(given)


def test_what_a_capability_has_to_know_is_carried_along_untouched():
    about = {"step": 2, "texts": {"en": "Hi {{name}}"}, "dryRun": "not ours"}

    run = run_of({"about": about})

    assert run.about == about
    assert Run.from_json(run.to_json()) == run
    assert "about" not in run_of({}).to_json()


@pytest.mark.parametrize("about", ["text", 7, [], True])
def test_what_a_capability_has_to_know_is_an_object(about):
    with pytest.raises(BroadcastInputError, match="about must be a JSON object"):
        run_of({"about": about})


def test_a_reason_is_kept_in_short():
    assert run_of({"reason": "x" * 5000}).reason == "x" * 200
    assert run_of({"reason": ""}).reason is None


@pytest.mark.parametrize("length", [1, 70, 80])
def test_a_follow_up_has_a_name_that_an_execution_can_have(length):
    name = Run(run_id="r" * length, started_at=datetime.now(UTC)).follow_up_id

    assert name.endswith("-follow-up")
    assert len(name) <= 80


def test_long_names_that_begin_alike_have_follow_ups_of_their_own():
    names = [
        Run(run_id="r" * 60 + ending, started_at=datetime.now(UTC)).follow_up_id
        for ending in ("", "r" * 10, "r" * 11, "r" * 20, "r" * 19 + "s")
    ]

    assert len(set(names)) == len(names)
    assert names[1] == "r" * 70 + "-follow-up"


def test_a_follow_up_expires_as_long_after_its_people_are_due_as_a_run_after_its_start():
    started_at = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
    settings = BroadcastSettings(
        recipients_per_part=1, recipients_per_second=1, follow_up_after=timedelta(days=3)
    )

    run, follow_up = (Run(run_id="r", started_at=started_at, follows=f) for f in (None, "r0"))

    assert settings.expires_at(run) - started_at == timedelta(days=7)
    assert settings.expires_at(follow_up) - started_at == timedelta(days=10)
