"""The comparison with the opt-out list as it is deployed: its function, DynamoDB and the service."""

import json
from array import array
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest

from sms_engagement_runtime.channel.adapters import opted_out_numbers
from sms_engagement_runtime.channel.adapters.contact_rows import DynamoContactRows, DynamoSeenNumbers
from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.adapters.opted_out_numbers import EndUserMessagingOptedOutNumbers, Pace
from sms_engagement_runtime.channel.domain.consent import (
    ConsentRecord,
    ConsentState,
    Contact,
    Evidence,
    Scope,
    Source,
    opt_out,
    replace_contact,
    resubscribe,
)
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from tests.support.carrier import carrier_server
from tests.support.dynamodb_tables import CONTACTS, channel_tables
from tests.support.fakes import FakeClock
from tests.support.handlers import Context, fresh_handler

KEY = "the text of the subscriber key secret"
LONG_AGO = datetime.now(UTC) - timedelta(days=10)
MACHINE = Path(__file__).parents[3] / "constructs/sms_engagement/channel/reconcile.asl.json"


def number(n):
    return PhoneNumber(f"+1206555{100 + n:04d}")


def person(n):
    return subscriber_id(number(n), KEY.encode())


@pytest.fixture(scope="module")
def server():
    with carrier_server() as server:
        yield server


@pytest.fixture
def carrier(server, monkeypatch):
    server.restart().client.create_opt_out_list(OptOutListName="channel")
    monkeypatch.setattr(opted_out_numbers, "_READ_EVERY_SECONDS", 0)
    monkeypatch.setattr(opted_out_numbers, "_WRITE_EVERY_SECONDS", 0)
    return server


@pytest.fixture
def dynamodb():
    with channel_tables() as client:
        yield client


@pytest.fixture
def contacts(dynamodb):
    return DynamoContacts(dynamodb, table=CONTACTS)


@pytest.fixture
def listed(carrier):
    return EndUserMessagingOptedOutNumbers(
        carrier.client, list_name="channel", reading=Pace(0), writing=Pace(0)
    )


def says(contacts, n, change, at=LONG_AGO):
    contact = contacts.get(person(n))
    evidence = Evidence(source=Source.INBOUND_MESSAGE, words="…", message_id=f"in-{n}-{at}", at=at)
    changed = replace_contact(change(contact, evidence), phone_number=number(n))
    contacts.save(changed.contact, expected_version=contact.version, records=changed.records)


class TestTheFunction:
    @pytest.fixture
    def compare(self, carrier, dynamodb):
        boto3.client("secretsmanager").create_secret(Name="subscriber-key", SecretString=KEY)
        boto3.client("events").create_event_bus(Name="channel")
        environment = {
            "CONTACTS_TABLE": CONTACTS,
            "SUBSCRIBER_KEY_SECRET_ARN": "subscriber-key",
            "BUS_NAME": "channel",
            "ATTENTION_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:attention",
            "OPT_OUT_LIST": "channel",
            "AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2": carrier.url,
        }
        with fresh_handler("sms_engagement_runtime.channel.handlers.reconcile", environment) as module:

            def compare(given, milliseconds_left=600_000):
                """As the state machine does: each step gets what the one before it returned."""
                context = Context()
                context.get_remaining_time_in_millis = lambda: milliseconds_left
                steps, output = 0, given
                while output.get("phase") != "DONE":
                    output = json.loads(json.dumps(module.handler(output, context)))
                    steps += 1
                return output, steps

            yield compare

    @pytest.mark.parametrize("milliseconds_left", [600_000, 1_000])
    def test_both_sides_are_put_in_step_in_one_step_or_many(
        self, compare, contacts, carrier, capsys, milliseconds_left
    ):
        for n in range(5):
            carrier.client.put_opted_out_number(OptOutListName="channel", OptedOutNumber=number(n).e164)
        for n in range(3, 8):
            says(contacts, n, opt_out)

        output, steps = compare({"reason": "schedule"}, milliseconds_left)

        assert all(contacts.get(person(n)).has_left for n in range(8))
        assert carrier.opted_out("channel") == {number(n).e164 for n in range(8)}
        assert (output["counts"]["optedOut"], output["counts"]["putOnList"]) == (3, 3)
        assert steps >= 2
        assert '"OptOutListDrift"' in capsys.readouterr().out

    def test_a_dry_run_by_input_changes_nothing(self, compare, contacts, carrier):
        carrier.client.put_opted_out_number(OptOutListName="channel", OptedOutNumber=number(1).e164)
        says(contacts, 2, opt_out)

        output, _ = compare({"dryRun": True})

        assert output["dryRun"] is True
        assert (output["counts"]["optedOut"], output["counts"]["putOnList"]) == (1, 1)
        assert contacts.get(person(1)).version == 0
        assert carrier.opted_out("channel") == {number(1).e164}

    def test_output_and_logs_hold_no_number(self, compare, contacts, carrier, capsys):
        carrier.client.put_opted_out_number(OptOutListName="channel", OptedOutNumber=number(1).e164)

        output, _ = compare({})

        assert number(1).e164.lstrip("+") not in json.dumps(output) + capsys.readouterr().out


def test_every_error_that_the_function_may_raise_is_tried_again():
    """What passes is waited for; the rest is the alarm's."""
    machine = json.loads(MACHINE.read_text())
    retried = {name for retry in machine["States"]["Compare some"]["Retry"] for name in retry["ErrorEquals"]}

    assert {"ServiceCallError", "ServiceRefusedError", "ContactChangedError", "Sandbox.Timedout"} <= retried


class TestTheList:
    def test_it_is_read_in_pages_of_a_hundred(self, listed, carrier):
        for n in range(100):
            for area in ("206", "425", "360"):
                carrier.client.put_opted_out_number(
                    OptOutListName="channel", OptedOutNumber=f"+1{area}555{100 + n:04d}"
                )
        cursor, sizes, found = None, [], set()
        while True:
            page = listed.page(cursor)
            sizes.append(len(page.numbers))
            found |= {entry.number for entry in page.numbers}
            cursor = page.following
            if cursor is None:
                break

        assert sizes == [100, 100, 100]
        assert len(found) == 300
        assert page.unreadable == 0

    def test_one_number_is_looked_up(self, listed, carrier):
        carrier.client.put_opted_out_number(OptOutListName="channel", OptedOutNumber=number(1).e164)

        entry = listed.find(number(1))

        assert (entry.number, entry.by_person) == (number(1), False)
        assert entry.since.tzinfo is not None
        assert listed.find(number(2)) is None

    def test_a_list_that_is_gone_is_a_fault_and_no_answer(self, listed, carrier):
        carrier.client.delete_opt_out_list(OptOutListName="channel")

        with pytest.raises(TransientError):
            listed.find(number(1))
        with pytest.raises(TransientError):
            listed.page(None)

    def test_calls_keep_their_distance(self):
        now, slept = [100.0], []

        def sleep(seconds):
            slept.append(round(seconds, 3))
            now[0] += seconds

        pace = Pace(1.05, sleep=sleep, clock=lambda: now[0])
        for _ in range(3):
            pace.wait()
        now[0] += 10
        pace.wait()

        assert slept == [1.05, 1.05]


class TestTheRows:
    def test_contacts_are_found_and_unknown_ones_left_out(self, dynamodb, contacts):
        says(contacts, 1, opt_out)
        rows = DynamoContactRows(dynamodb, table=CONTACTS, sleep=lambda _: None)

        found = rows.find([person(n) for n in range(250)])

        assert found == {person(1): contacts.get(person(1))}

    def test_a_scan_finds_who_is_out_and_who_came_back_lately_from_any_place_on(self, dynamodb, contacts):
        for n in range(8):
            says(contacts, n, opt_out)
        says(contacts, 6, resubscribe, LONG_AGO + timedelta(days=1))
        says(contacts, 7, resubscribe, datetime.now(UTC))
        contacts.save(Contact(subscriber_id=person(9)), expected_version=0, records=[])
        rows = DynamoContactRows(dynamodb, table=CONTACTS)
        since = datetime.now(UTC) - timedelta(days=1)

        page = rows.page(None, came_back_since=since)
        behind_third = page.contacts[2][1]
        rest = rows.page(behind_third, came_back_since=since)

        assert page.following is None
        assert {contact.subscriber_id for contact, _ in page.contacts} == {person(n) for n in (*range(6), 7)}
        assert [contact for contact, _ in rest.contacts] == [contact for contact, _ in page.contacts[3:]]

    def test_portions_are_kept_as_they_are_and_replaced_by_the_same_portion(self, dynamodb):
        seen = DynamoSeenNumbers(dynamodb, table=CONTACTS, clock=FakeClock())
        numbers = array("Q", [0, 1, 2**32, 2**64 - 1])

        seen.keep("run", 0, array("Q", [7]))
        seen.keep("run", 0, numbers)
        seen.keep("run", 1, array("Q"))

        assert list(seen.load("run", 2)) == [numbers, array("Q")]
        with pytest.raises(TransientError):
            seen.load("run", 3)


class TestAProof:
    RECORD = ConsentRecord(
        subscriber_id=person(1),
        scope=Scope.MARKETING,
        state=ConsentState.ACTIVE,
        source="import:web form",
        words="Yes please",
        message_id="import#1",
        at=LONG_AGO,
    )

    def proofs(self, dynamodb):
        items = dynamodb.scan(TableName=CONTACTS)["Items"]
        return [item["words"]["S"] for item in items if item["record"]["S"].startswith("consent#")]

    def test_is_never_written_over_and_the_row_is_saved_all_the_same(self, dynamodb, contacts):
        contact = contacts.save(Contact(subscriber_id=person(1)), expected_version=0, records=[self.RECORD])
        forged = ConsentRecord(
            **{name: getattr(self.RECORD, name) for name in self.RECORD.__slots__}
            | {"words": "something else"}
        )
        other = ConsentRecord(
            **{name: getattr(self.RECORD, name) for name in self.RECORD.__slots__}
            | {"message_id": "import#2"}
        )

        saved = contacts.save(contact, expected_version=1, records=[forged, other])

        assert self.proofs(dynamodb) == ["Yes please", "Yes please"]
        assert saved.version == 2


class TestOptOutReports:
    def test_an_event_of_the_bus_reaches_the_contact_and_no_log_shows_the_number(
        self, dynamodb, contacts, capsys
    ):
        boto3.client("events").create_event_bus(Name="channel")
        module = "sms_engagement_runtime.channel.handlers.opt_out_reports"
        detail = {
            "eventId": "m-1/OPTOUT/",
            "eventType": "_SMS.OPTOUT",
            "recordStatus": None,
            "subscriberId": person(1),
            "phoneNumber": number(1).e164,
            "body": None,
            "at": 1_700_000_000_000,
            "schemaVersion": 1,
        }
        with fresh_handler(module, {"CONTACTS_TABLE": CONTACTS, "BUS_NAME": "channel"}) as handlers:
            event = {"id": "e-1", "detail-type": "OptOutReported", "detail": detail}
            answers = [handlers.handler(event, Context()) for _ in range(2)]
            malformed = handlers.handler({"id": "e-2", "detail-type": "OptOutReported"}, Context())

        assert [answer["recorded"] for answer in answers] == ["OPTED_OUT", "ALREADY_OPTED_OUT"]
        assert malformed == {"recorded": None}
        assert contacts.get(person(1)).has_left
        assert number(1).e164.lstrip("+") not in capsys.readouterr().out
