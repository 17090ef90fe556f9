"""Access and erasure, over every table and the archive in moto."""

import json
from unittest.mock import patch

import pytest
from botocore.client import BaseClient

from sms_engagement_runtime.channel.adapters.clock import SystemClock
from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.adapters.erased_people import ErasedPeople
from sms_engagement_runtime.channel.adapters.tombstones import proof_of
from sms_engagement_runtime.channel.domain.consent import Evidence, Source, resubscribe, sent_mark
from sms_engagement_runtime.commands import main as command
from tests.support.dynamodb_tables import CONTACTS, MESSAGES
from tests.support.fakes import Crash
from tests.support.pipeline_drive import KEY, person
from tests.support.whole_person import HER, HIM, secrets_of, whole_people

ID = person(HER)
WRITES = {
    "DeleteItem",
    "DeleteObjects",
    "PutItem",
    "PutObject",
    "TransactWriteItems",
    "UpdateItem",
}


@pytest.fixture
def world(tmp_path):
    with (
        whole_people(tmp_path) as world,
        patch.object(SystemClock, "now", lambda _: world.pipeline.clock.now()),
    ):
        yield world


def run(world, capsys, name, *options):
    capsys.readouterr()
    status = command.main([name, HER, "--outputs", str(world.outputs), *options])
    streams = capsys.readouterr()
    return status, json.loads(streams.out) if streams.out.startswith("{") else streams.out, streams.err


def erase(world, capsys, *options):
    return run(world, capsys, "erase", "--yes", "--settle-seconds", "0", *options)


def left_of_her(world):
    """Where something of her is, but for what is to stay: tombstone, proof, and her place on the list."""
    found = world.with_any(*secrets_of(HER), ID)
    return {
        place: text
        for place, text in found.items()
        if not (
            place.startswith(f"{CONTACTS}/")
            and not any(secret in text for secret in secrets_of(HER))
            and ('"record": {"S": "contact"}' in text or '"S": "consent#' in text or '"S": "erased"' in text)
        )
    }


def test_a_dry_run_says_what_would_go_and_changes_nothing(world, capsys):
    before = world.everything()

    status, report, _ = erase(world, capsys, "--dry-run")

    assert status == 0
    assert world.everything() == before
    assert report["rows"] == {
        "contacts": 4,
        "messages": 2,
        "conversations": 1,
        "review_requests": 1,
        "reviews": 1,
        "customers": 1,
        "enrolments": 1,
        "responses": 1,
        "subscribers": 1,
        "register": 4,
    }
    assert report["archive"]["lines"] == 4
    assert report["archive"]["notices"] == 1
    assert report["review_archive"] == 2
    assert {each["where"] for each in report["residue"]} >= {"Kinesis stream", "the tombstone"}
    assert HER not in json.dumps(report)


def test_after_an_erasure_nothing_of_her_is_anywhere_and_all_of_him_is(world, capsys):
    his = world.with_any(*secrets_of(HIM), person(HIM))

    status, report, errors = erase(world, capsys)

    assert status == 0, errors
    assert left_of_her(world) == {}
    lost = set(his.values()) - set(world.with_any(*secrets_of(HIM), person(HIM)).values())
    # Objects that were hers, too, are written anew without her; results of queries go whole.
    assert all(HER in text or ID in text or "query-results/" in text for text in lost)
    assert set(report["left"].values()) == {0}
    assert report["consent_records_hashed"] == 2
    assert HER not in json.dumps(report)


def test_his_events_are_in_the_archive_as_they_were(world, capsys):
    def his_lines():
        return sorted(
            line
            for place, text in world.everything().items()
            if "/events/" in place
            for line in text[text.index("{") :].splitlines()
            if HIM in line
        )

    before = his_lines()

    erase(world, capsys)

    assert set(his_lines()) == set(before)
    assert before


def test_what_stays_proves_consent_to_who_has_the_words_and_closes_the_gate(world, capsys):
    erase(world, capsys)

    contact = DynamoContacts(world.dynamodb, table=CONTACTS).get(ID)
    assert contact.is_erased
    assert contact.is_opted_out
    assert contact.phone_number is None
    assert ErasedPeople(world.dynamodb, table=CONTACTS)() == {ID}
    proofs = [
        item
        for item in world.dynamodb.scan(TableName=CONTACTS)["Items"]
        if item["subscriberId"]["S"] == ID and item["record"]["S"].startswith("consent#")
    ]
    assert {item["wordsHash"]["S"] for item in proofs} == {proof_of(KEY.encode(), "words of Wilhelmina")}
    assert {item["state"]["S"] for item in proofs} == {"PENDING", "ACTIVE"}
    assert all("words" not in item for item in proofs)


def test_erased_twice_is_erased_once(world, capsys):
    _, first, _ = erase(world, capsys)
    before = world.everything()

    status, again, _ = erase(world, capsys)

    assert status == 0
    assert world.everything() == before
    assert again["erasedAt"] == first["erasedAt"]
    assert set(again["left"].values()) == {0}


def test_a_crash_between_any_two_steps_leaves_what_running_it_again_finishes(world, capsys):
    real = BaseClient._make_api_call
    crashed_at = 0
    while True:
        writes = 0
        crashed_at += 1

        def call(self, name, arguments):
            nonlocal writes
            if name in WRITES:
                writes += 1
                if writes == 2:
                    raise Crash
            return real(self, name, arguments)

        try:
            # Each run does one write and no more.
            with patch.object(BaseClient, "_make_api_call", call):
                status, report, _ = erase(world, capsys)
        except Crash:
            contact = DynamoContacts(world.dynamodb, table=CONTACTS).get(ID)
            assert contact.is_erased
            assert crashed_at < 100
            continue
        break

    assert crashed_at > 20
    assert status == 0
    assert left_of_her(world) == {}
    assert set(report["left"].values()) == {0}


def test_what_s3_would_not_delete_is_said_and_the_next_run_deletes_it(world, capsys):
    real = BaseClient._make_api_call

    def keep_all(self, name, arguments):
        if name == "DeleteObjects":
            # As S3 answers where a lock or a right stands against it: with status 200.
            errors = [{**each, "Code": "AccessDenied"} for each in arguments["Delete"]["Objects"]]
            return {"Errors": errors}
        return real(self, name, arguments)

    with patch.object(BaseClient, "_make_api_call", keep_all):
        status, report, errors = erase(world, capsys)

    assert status == 1
    assert report["failed"] == "s3:DeleteObjects: AccessDenied"
    assert "running it again does the rest" in errors
    assert erase(world, capsys)[0] == 0
    assert left_of_her(world) == {}


def test_what_comes_late_or_is_replayed_does_not_bring_her_back(world, capsys):
    erase(world, capsys)
    system = world.pipeline
    for module in (*system.consumers.values(),):
        if hasattr(module, "_erased"):
            module._erased._max_age_seconds = 0
    system.ingest_module._service.erased._max_age_seconds = 0

    system.consumed.clear()
    system.consume("archive", "response_handler")
    system.ingest(
        [
            {
                "originationNumber": HER,
                "destinationNumber": "+12025550100",
                "messageKeyword": "KEYWORD_1",
                "messageBody": "words of Wilhelmina, again",
                "inboundMessageId": f"message-{HER[-4:]}-late",
            }
        ]
    )
    system.consume("archive", "response_handler")

    assert left_of_her(world) == {}


def test_an_export_has_everything_and_is_for_its_owner_alone(world, capsys, tmp_path):
    file = tmp_path / "wilhelmina.json"

    status, report, _ = run(world, capsys, "export", "--to", str(file))

    assert status == 0
    assert file.stat().st_mode & 0o777 == 0o600
    document = json.loads(file.read_text())
    assert document["phoneNumber"] == HER
    assert {kind: len(rows) for kind, rows in document["tables"].items()} == report["rows"]
    assert all(document["tables"].values())
    assert len(document["archive"]["events"]) == 4
    assert {line["subscriber_id"] for line in document["archive"]["events"]} == {ID}
    assert [row["userId"] for row in document["reviewArchive"]] == ["user-0143"] * 2
    assert "Ferdinand" not in file.read_text()
    assert HIM not in file.read_text()
    assert HER not in json.dumps(report)


def test_an_export_over_an_older_file_is_for_its_owner_alone_and_leads_nowhere_else(world, capsys, tmp_path):
    elsewhere = tmp_path / "open-to-all.json"
    elsewhere.write_text("older")
    elsewhere.chmod(0o644)
    file = tmp_path / "wilhelmina.json"
    file.symlink_to(elsewhere)

    status, _, _ = run(world, capsys, "export", "--to", str(file))

    assert status == 0
    assert elsewhere.read_text() == "older"
    assert not file.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in tmp_path.glob("*wilhelmina*")) == ["wilhelmina.json"]


def test_an_export_that_cannot_be_written_leaves_nothing_behind(world, capsys, tmp_path):
    folder = tmp_path / "out"
    (folder / "taken").mkdir(parents=True)

    status, _, errors = run(world, capsys, "export", "--to", str(folder / "taken"))

    assert (status, "could not be written" in errors) == (1, True)
    assert [each.name for each in folder.iterdir()] == ["taken"]


@pytest.mark.parametrize("command", ["export", "erase"])
def test_who_had_the_number_before_and_has_another_now_is_told_of_and_erased_for_nobody_else(
    world, capsys, tmp_path, command
):
    key = {"userId": {"S": "user-0143"}}
    customer = world.dynamodb.get_item(TableName="customers", Key=key)["Item"]
    world.dynamodb.put_item(
        TableName="customers", Item=customer | {"phoneNumber": {"S": "+1 (202) 555-0177"}}
    )
    file = tmp_path / "person.json"
    before = {
        place: text
        for place, text in world.everything().items()
        if place.startswith(("customers/", "reviews/", "review-archive/"))
    }

    if command == "export":
        status, _, _ = run(world, capsys, "export", "--to", str(file))
        document = json.loads(file.read_text())
        assert not document["tables"]["customers"] + document["tables"]["reviews"] + document["reviewArchive"]
    else:
        status, report, _ = erase(world, capsys)
        assert report["customers"] == []
        assert report["customers_with_another_number"] == ["user-0143"]
        assert before.items() <= world.everything().items()

    assert status == 0
    # Whoever has made sure says so.
    _, report, _ = erase(world, capsys, "--user-id", "user-0143")
    assert report["customers"] == ["user-0143"]
    assert not world.with_any("Wilhelmina")


def test_a_timeline_tells_of_all_systems_and_hides_numbers_and_words(world, capsys):
    status, text, _ = run(world, capsys, "timeline")

    assert status == 0
    for what in ("text", "consent", "question", "reply", "subscriber", "appointment", "review", "journey"):
        assert f" {what} " in text
    for secret in (HER, "Wilhelmina"):
        assert secret not in text
    assert text.strip().splitlines()[-1].startswith("The last text (")
    _, unmasked, _ = run(world, capsys, "timeline", "--unmask", "--json")
    assert unmasked["phoneNumber"] == HER
    assert "words of Wilhelmina" in json.dumps(unmasked)


def test_whoever_is_readmitted_is_opted_out_until_they_write_start(world, capsys):
    erase(world, capsys)

    status, report, _ = run(world, capsys, "readmit")

    contact = DynamoContacts(world.dynamodb, table=CONTACTS).get(ID)
    assert (status, report["lifted"]) == (0, True)
    assert contact.is_opted_out
    assert not contact.is_erased
    assert ErasedPeople(world.dynamodb, table=CONTACTS)() == frozenset()
    assert run(world, capsys, "readmit")[1]["lifted"] is False


def test_what_she_was_sent_before_is_not_sent_again_when_she_comes_back(world, capsys):
    texts = {row["messageKey"]["S"] for row in world.dynamodb.scan(TableName=MESSAGES)["Items"]}
    erase(world, capsys)
    hers = texts - {row["messageKey"]["S"] for row in world.dynamodb.scan(TableName=MESSAGES)["Items"]}
    run(world, capsys, "readmit")
    contacts = DynamoContacts(world.dynamodb, table=CONTACTS)
    evidence = Evidence(
        source=Source.INBOUND_MESSAGE, words="START", message_id="in-9", at=world.pipeline.clock.now()
    )
    change = resubscribe(contacts.get(ID), evidence)

    back = contacts.save(change.contact, expected_version=contacts.get(ID).version, records=change.records)

    assert not back.is_opted_out
    marks = {sent_mark(key) for key in hers}
    assert len(marks) == 2
    assert contacts.get(ID).sent_before_erasure == back.sent_before_erasure == marks
    # Erased again, with nothing in the ledger: the marks are all that knows of these texts.
    erase(world, capsys)
    assert contacts.get(ID).sent_before_erasure == marks


def test_a_text_that_was_never_sent_may_be_sent_when_she_comes_back(world, capsys):
    sent, suppressed = (
        row for row in world.dynamodb.scan(TableName=MESSAGES)["Items"] if row["subscriberId"]["S"] == ID
    )
    world.dynamodb.put_item(TableName=MESSAGES, Item=suppressed | {"state": {"S": "SUPPRESSED"}})

    erase(world, capsys)

    marks = DynamoContacts(world.dynamodb, table=CONTACTS).get(ID).sent_before_erasure
    assert marks == {sent_mark(sent["messageKey"]["S"])}


def test_without_a_word_that_it_is_meant_nothing_is_erased(world, capsys):
    before = world.everything()

    status, _, errors = run(world, capsys, "erase")

    assert status == 1
    assert "--yes" in errors
    assert world.everything() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["timeline", HER], "give --outputs FILE, or --contacts-table"),
        (["erase", HER, "--outputs", "/nowhere.json"], "no JSON with the outputs"),
    ],
)
def test_what_is_missing_is_said_with_what_to_give(arguments, said, capsys):
    assert command.main(arguments) == 1
    assert said in capsys.readouterr().err


def test_what_is_no_number_is_refused(world, capsys):
    assert command.main(["timeline", "tomorrow", "--outputs", str(world.outputs)]) == 1
    assert "that is no phone number (INVALID_PHONE)" in capsys.readouterr().err
