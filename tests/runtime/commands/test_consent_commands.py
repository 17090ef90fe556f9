"""Contacts from a file, and the comparison with the opt-out list, as somebody runs them."""

import codecs
import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from sms_engagement_runtime.channel.adapters import opted_out_numbers
from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.adapters.dynamodb_item import from_item
from sms_engagement_runtime.channel.domain.consent import (
    ConsentState,
    Evidence,
    Scope,
    Source,
    ask_to_confirm,
    erase,
    opt_out,
    replace_contact,
    resubscribe,
)
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_engagement_runtime.commands import main as command
from tests.support.carrier import carrier_server
from tests.support.dynamodb_tables import CONTACTS, channel_tables, create_table

KEY = "the text of the subscriber key secret"
NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=400)
HEADER = "phone,scope,source,date,wording"
ROW = "{phone},marketing,web form,2025-03-01,Yes please"


def number(n):
    return f"+1206555{100 + n:04d}"


def person(n):
    return subscriber_id(PhoneNumber(number(n)), KEY.encode())


@pytest.fixture(scope="module")
def server():
    with carrier_server() as server:
        yield server


@pytest.fixture
def carrier(server, monkeypatch):
    server.restart().client.create_opt_out_list(OptOutListName="channel")
    monkeypatch.setenv("AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2", server.url)
    monkeypatch.setattr(opted_out_numbers, "_READ_EVERY_SECONDS", 0)
    monkeypatch.setattr(opted_out_numbers, "_WRITE_EVERY_SECONDS", 0)
    return server


@pytest.fixture
def dynamodb(carrier):
    with channel_tables() as client:
        boto3.client("secretsmanager").create_secret(Name="subscriber-key", SecretString=KEY)
        boto3.client("events").create_event_bus(Name="channel")
        boto3.client("sns").create_topic(Name="attention")
        yield client


@pytest.fixture
def contacts(dynamodb):
    return DynamoContacts(dynamodb, table=CONTACTS)


@pytest.fixture
def run(dynamodb, capsys):
    def run(name, *options):
        status = command.main(
            [
                name,
                *(str(option) for option in options),
                *("--contacts-table", CONTACTS, "--subscriber-key-secret", "subscriber-key"),
                *("--opt-out-list", "channel", "--bus", "channel"),
            ]
        )
        streams = capsys.readouterr()
        return status, json.loads(streams.out) if streams.out else None, streams.err

    return run


@pytest.fixture
def imported(run, tmp_path):
    def imported(content, *options):
        file = tmp_path / "contacts.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return run("import-contacts", file, *options)

    return imported


def says(contacts, n, change, at=LONG_AGO):
    contact = contacts.get(person(n))
    evidence = Evidence(source=Source.INBOUND_MESSAGE, words="…", message_id=f"in-{n}-{at}", at=at)
    changed = replace_contact(change(contact, evidence), phone_number=PhoneNumber(number(n)))
    contacts.save(changed.contact, expected_version=contact.version, records=changed.records)


def proofs(dynamodb):
    rows = [from_item(item) for item in dynamodb.scan(TableName=CONTACTS)["Items"]]
    return [row for row in rows if row["record"].startswith("consent#")]


def csv_of(*rows, header=HEADER):
    return "\n".join((header, *rows)) + "\n"


class TestImport:
    def test_consent_is_recorded_with_its_whole_proof(self, imported, contacts, dynamodb):
        status, report, _ = imported(csv_of(ROW.format(phone="(206) 555-0101")))

        assert status == 0
        assert report["outcomes"] == {"GRANTED": 1}
        contact = contacts.get(person(1))
        assert contact.consents == {Scope.MARKETING: ConsentState.ACTIVE}
        assert contact.phone_number == PhoneNumber(number(1))
        (proof,) = proofs(dynamodb)
        assert proof.pop("messageId").startswith("import#")
        assert proof.pop("record").startswith("consent#2025-03-01T00:00:00.000+00:00#import#")
        assert proof == {
            "subscriberId": person(1),
            "scope": "marketing",
            "state": "ACTIVE",
            "source": "import:web form",
            "words": "Yes please",
            "at": 1_740_787_200_000,
            "schemaVersion": 1,
        }

    def test_the_same_file_again_changes_nothing(self, imported, contacts, dynamodb):
        file = csv_of(*(ROW.format(phone=number(n)) for n in range(5)))
        imported(file)
        before = [contacts.get(person(n)) for n in range(5)]

        status, report, _ = imported(file)

        assert status == 0
        assert report["outcomes"] == {"UNCHANGED": 5}
        assert [contacts.get(person(n)) for n in range(5)] == before
        assert len(proofs(dynamodb)) == 5

    def test_a_line_that_is_there_twice_counts_once(self, imported, dynamodb):
        _, report, _ = imported(csv_of(ROW.format(phone=number(1)), ROW.format(phone="206 555 0101")))

        assert report["outcomes"] == {"GRANTED": 1, "DUPLICATE": 1}
        assert len(proofs(dynamodb)) == 1

    def test_a_dry_run_changes_nothing_and_tells_the_same(self, imported, dynamodb):
        file = csv_of(
            ROW.format(phone=number(1)), f"{number(2)},,crm,2025-01-01,", ROW.format(phone="nonsense")
        )
        status, report, errors = imported(file, "--dry-run")

        assert status == 1
        assert report["outcomes"] == {"GRANTED": 1}
        assert report["bad"] == {"NO_WORDING": 1, "INVALID_PHONE": 1}
        assert "would be changed" in errors
        assert dynamodb.scan(TableName=CONTACTS)["Count"] == 0
        assert imported(file)[1]["outcomes"] == report["outcomes"]

    @pytest.mark.parametrize("at", [LONG_AGO - timedelta(days=2000), LONG_AGO, NOW])
    def test_consent_never_overrides_an_opt_out_whenever_it_was(self, imported, contacts, at):
        says(contacts, 1, opt_out, at)
        before = contacts.get(person(1))

        _, report, _ = imported(csv_of(f"{number(1)},marketing,web form,{NOW:%Y-%m-%d},Yes"))

        assert report["outcomes"] == {"KEPT_OPT_OUT": 1}
        assert contacts.get(person(1)) == before

    def test_nobody_becomes_active_whom_aws_refuses(self, imported, contacts, carrier):
        for n in range(250):
            carrier.client.put_opted_out_number(OptOutListName="channel", OptedOutNumber=number(n % 100))

        _, report, _ = imported(csv_of(*(ROW.format(phone=number(n)) for n in (7, 99))))

        assert report["outcomes"] == {"ON_OPT_OUT_LIST": 2}
        assert contacts.get(person(7)).version == 0

    def test_an_unanswered_question_and_an_erased_person_stay_as_they_are(self, imported, contacts):
        says(contacts, 1, ask_to_confirm)
        contacts.save(erase(contacts.get(person(2)), NOW), expected_version=0, records=[])

        _, report, _ = imported(csv_of(ROW.format(phone=number(1)), ROW.format(phone=number(2))))

        assert report["outcomes"] == {"PENDING_CONFIRMATION": 1, "ERASED": 1}
        assert contacts.get(person(1)).is_pending
        assert contacts.get(person(2)).is_erased

    def test_an_opt_out_of_the_file_is_of_everything_and_does_not_undo_a_later_start(
        self, imported, contacts
    ):
        says(contacts, 2, opt_out)
        says(contacts, 2, resubscribe, NOW - timedelta(days=1))
        header = "phone,state,source,date"

        _, report, _ = imported(
            csv_of(*(f"{number(n)},opted-out,old system,2024-05-01" for n in (1, 2)), header=header)
        )

        assert report["outcomes"] == {"OPTED_OUT": 1, "OVERTAKEN": 1}
        assert set(contacts.get(person(1)).consents.values()) == {ConsentState.OPTED_OUT}
        assert set(contacts.get(person(2)).consents.values()) == {ConsentState.ACTIVE}

    @pytest.mark.parametrize(
        ("cells", "reason"),
        [
            (",marketing,web,2025-03-01,Yes", "NO_PHONE"),
            ("12,marketing,web,2025-03-01,Yes", "INVALID_PHONE"),
            ("+1 800 555 0199,marketing,web,2025-03-01,Yes", "INVALID_PHONE"),
            ("{phone},marketing,web,,Yes", "NO_DATE"),
            ("{phone},marketing,web,03/01/2025,Yes", "BAD_DATE"),
            ("{phone},marketing,web,1970-01-01,Yes", "BAD_DATE"),
            ("{phone},marketing,web,2999-01-01,Yes", "FUTURE_DATE"),
            ("{phone},marketing,,2025-03-01,Yes", "NO_SOURCE"),
            ("{phone},marketing,web,2025-03-01,", "NO_WORDING"),
            ("{phone},newsletter,web,2025-03-01,Yes", "UNKNOWN_SCOPE"),
            ("{phone},,web,2025-03-01,Yes", "NO_SCOPE"),
            ("{phone},marketing,web,2025-03-01,Yes,more", "COLUMNS"),
            ("{phone},marketing,web,2025-03-01," + "x" * 3000, "TOO_LONG"),
            ("{phone},marketing,web,2025-03-01," + "x" * 300_000, "TOO_LONG"),
            ('{phone},marketing,web,2025-03-01,"' + "x\n" * 100_000, "TOO_LONG"),
        ],
    )
    def test_a_bad_line_is_told_by_number_and_reason_and_the_others_are_imported(
        self, imported, contacts, cells, reason
    ):
        status, report, errors = imported(
            csv_of(ROW.format(phone=number(1)), cells.format(phone=number(2))),
        )

        assert status == 1
        assert contacts.get(person(1)).version == 1
        assert contacts.get(person(2)).version == 0
        assert report["bad_lines"][0] == {"line": 3, "reason": reason}
        assert number(2) not in json.dumps(report) + errors

    @pytest.mark.parametrize(
        "content",
        [
            csv_of(ROW.format(phone=number(1))).replace(",", ";"),
            csv_of(ROW.format(phone=number(1))).replace(",", "\t"),
            csv_of(ROW.format(phone=number(1))).replace("\n", "\r\n"),
            "sep=;\r\n" + csv_of(ROW.format(phone=number(1))).replace(",", ";"),
            codecs.BOM_UTF8 + csv_of(ROW.format(phone=number(1))).encode(),
            csv_of(ROW.format(phone=number(1))).encode("utf-16"),
            csv_of("\n", ROW.format(phone=number(1)), ",,,,"),
            csv_of(
                ROW.format(phone=number(1)), header="Phone Number,SCOPES,Consent-Source,consent_date,Words"
            ),
            csv_of(f'{number(1)},"marketing","web form",2025-03-01,"Yes,\n""please"""'),
            csv_of(ROW.format(phone=number(1))).rstrip("\n"),
        ],
    )
    def test_dialects_and_encodings_that_people_have(self, imported, contacts, content):
        status, report, _ = imported(content)

        assert (status, report["outcomes"]) == (0, {"GRANTED": 1})
        assert contacts.get(person(1)).consents == {Scope.MARKETING: ConsentState.ACTIVE}

    def test_a_line_in_another_encoding_is_told(self, imported, contacts):
        content = csv_of(ROW.format(phone=number(1))).encode() + f"{number(2)},marketing,caf".encode()
        content += b"\xe9,2025-03-01,Oui\n"

        _, report, _ = imported(content)
        assert report["bad_lines"] == [{"line": 3, "reason": "WRONG_ENCODING"}]

        _, report, _ = imported(content, "--encoding", "cp1252")
        assert report["outcomes"] == {"UNCHANGED": 1, "GRANTED": 1}

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            ("", "no header"),
            ("phone,name\n", "lacks source, date"),
            ("phone,mobile,source,date\n", "twice"),
        ],
    )
    def test_a_file_without_what_is_needed_is_refused_whole(self, imported, content, sentence):
        status, report, errors = imported(content)

        assert (status, report) == (1, None)
        assert sentence in errors

    def test_an_unknown_encoding_country_or_file_is_refused(self, imported, run, tmp_path):
        assert imported(csv_of(), "--encoding", "klingon")[0] == 1
        assert imported(csv_of(), "--default-country", "XX")[0] == 1
        assert run("import-contacts", tmp_path / "none.csv")[0] == 1

    def test_customers_are_added_where_they_are_not_there(self, imported, dynamodb, contacts):
        create_table(dynamodb, "customers", "userId")
        dynamodb.put_item(TableName="customers", Item={"userId": {"S": "u-2"}, "name": {"S": "Kept"}})
        says(contacts, 3, opt_out)
        header = f"{HEADER},name,locale,time zone,user id"
        rows = [ROW.format(phone=number(n)) + f",Person {n},fr-CA,America/Montreal,u-{n}" for n in (1, 2, 3)]

        _, report, _ = imported(csv_of(*rows, header=header), "--customers-table", "customers")

        assert report["customers"] == {"added": 1, "there": 1}
        rows = {row["userId"]: row for row in map(from_item, dynamodb.scan(TableName="customers")["Items"])}
        assert set(rows) == {"u-1", "u-2"}
        assert rows["u-2"]["name"] == "Kept"
        assert rows["u-1"] == {
            "userId": "u-1",
            "phoneNumber": number(1),
            "name": "Person 1",
            "locale": "fr-CA",
            "timeZone": "America/Montreal",
            "status": "active",
            "createdAt": 1_740_787_200,
            "source": "import:web form",
        }

    def test_scopes_come_from_the_line_else_from_the_command(self, imported, contacts):
        rows = (f"{number(1)},reviews|appointments,web,2025-03-01,Yes", f"{number(2)},,web,2025-03-01,Yes")

        imported(csv_of(*rows), "--scope", "marketing")

        assert set(contacts.get(person(1)).consents) == {Scope.REVIEWS, Scope.APPOINTMENTS}
        assert set(contacts.get(person(2)).consents) == {Scope.MARKETING}

    def test_an_import_that_was_cut_off_goes_on(self, imported, contacts):
        file = csv_of(*(ROW.format(phone=number(n)) for n in range(4)))

        _, report, _ = imported(file, "--from-line", "4")

        assert [contacts.get(person(n)).version for n in range(4)] == [0, 0, 1, 1]
        assert report["next_line"] == 6

    def test_the_report_is_written_where_it_is_wanted(self, imported, tmp_path):
        file = tmp_path / "report.json"

        _, report, _ = imported(csv_of(ROW.format(phone=number(1))), "--report", file)

        assert json.loads(file.read_text()) == report


class TestReconcile:
    @pytest.fixture
    def reconcile(self, run):
        topic = "arn:aws:sns:us-east-1:123456789012:attention"
        return lambda *options: run("reconcile", "--attention-topic", topic, *options)

    def arrange(self, contacts, carrier):
        carrier.client.put_opted_out_number(OptOutListName="channel", OptedOutNumber=number(1))
        says(contacts, 2, opt_out)

    def test_both_sides_are_put_in_step(self, reconcile, contacts, carrier):
        self.arrange(contacts, carrier)

        status, report, errors = reconcile()

        assert status == 0
        assert (report["counts"]["optedOut"], report["counts"]["putOnList"]) == (1, 1)
        assert contacts.get(person(1)).is_opted_out
        assert carrier.opted_out("channel") == {number(1), number(2)}
        assert "1 put on the list" in errors
        assert reconcile()[1]["counts"].keys() == {"listed", "contacts"}

    def test_a_dry_run_changes_nothing(self, reconcile, contacts, carrier):
        self.arrange(contacts, carrier)

        status, report, errors = reconcile("--dry-run")

        assert status == 0
        assert (report["dryRun"], report["phase"]) == (True, "DONE")
        assert (report["counts"]["optedOut"], report["counts"]["putOnList"]) == (1, 1)
        assert not contacts.get(person(1)).is_opted_out
        assert carrier.opted_out("channel") == {number(1)}
        assert number(2) not in json.dumps(report) + errors

    def test_a_list_that_is_not_there_is_told_without_a_traceback(self, reconcile, carrier, server):
        server.client.delete_opt_out_list(OptOutListName="channel")

        status, _, errors = reconcile()

        assert status == 1
        assert "sms-voice:DescribeOptedOutNumbers: ResourceNotFoundException" in errors
