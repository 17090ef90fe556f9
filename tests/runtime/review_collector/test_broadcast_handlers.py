"""The broadcast from snapshot to summary; the carrier at a socket, the rest in moto."""

import contextlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.domain.consent import ConsentState, Contact, Scope
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_engagement_runtime.review_collector.adapters.dynamodb_requests import DynamoReviewRequests
from sms_engagement_runtime.review_collector.domain.link_keys import parse_keys
from sms_engagement_runtime.review_collector.domain.requests import reference_to_id, request_id
from sms_engagement_runtime.review_collector.domain.tokens import Verified, verify
from tests.support.carrier import PHONE_NUMBER_ARN, carrier_server
from tests.support.dynamodb_tables import CONTACTS, MESSAGES
from tests.support.handlers import Context, fresh_handler
from tests.support.logs import captured_logs
from tests.support.review_tables import CUSTOMERS, REVIEW_REQUESTS, aws_client, review_tables

HANDLERS = "sms_engagement_runtime.review_collector.handlers"
KEY_TEXT = "the text of the subscriber key secret"
LINK_SECRET = json.dumps({"active": 1, "k1": "a link key of the tests"})
BUCKET = "broadcast"
WEEK = timedelta(days=7)

PEOPLE = {
    "u1": ("+12065550101", "John Doe", "active"),
    "u2": ("+1 (206) 555-0102", "Łukasz Nowak", "active"),
    "u3": ("206-555-0103", "李小龍", "active"),
    "u3b": ("+12065550103", "Bruce", "active"),
    "u4": ("+12065550104", "<script>alert(1)</script>", "active"),
    "gone": ("+12065550105", "Gone Girl", "inactive"),
    "mute": (None, "No Phone", "active"),
    "short": ("+1206", "Short", "active"),
    "words": ("call me", "Words", "active"),
    "home": ("+441212345678", "Land Line", "active"),
    "bare": (None, None, None),
}


@pytest.fixture(scope="module")
def server():
    with carrier_server() as server:
        yield server


@pytest.fixture
def carrier(server):
    server.restart()
    server.client.create_configuration_set(ConfigurationSetName="channel")
    return server


@pytest.fixture
def dynamodb(carrier):
    with review_tables() as client:
        secrets = aws_client("secretsmanager")
        secrets.create_secret(Name="subscriber-key", SecretString=KEY_TEXT)
        secrets.create_secret(Name="link-keys", SecretString=LINK_SECRET)
        aws_client("s3").create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture(scope="module")
def environment(server):
    return {
        "AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2": server.url,
        "CONTACTS_TABLE": CONTACTS,
        "MESSAGES_TABLE": MESSAGES,
        "CUSTOMERS_TABLE": CUSTOMERS,
        "REVIEW_REQUESTS_TABLE": REVIEW_REQUESTS,
        "BROADCAST_BUCKET": BUCKET,
        "SUBSCRIBER_KEY_SECRET_ARN": "subscriber-key",
        "LINK_SECRET_ARN": "link-keys",
        "LINK_BASE_URL": "https://r.example.com/",
        "LINK_LIFETIME_SECONDS": "604800",
        "REVIEW_TEXTS": json.dumps({"en": "Hi {{name}}! Please review your recent purchase: {{link}}"}),
        "RECIPIENTS_PER_PART": "2",
        "SENDER": "eum",
        "ORIGINATION_IDENTITY": PHONE_NUMBER_ARN,
        "CONFIGURATION_SET": "channel",
        "ALLOWED_COUNTRIES": "US",
        "DEFAULT_COUNTRY": "US",
        "MAX_PARTS": "1",
        "PARTS_PER_SECOND": "1000",
    }


class Broadcast:
    """The state machine's three steps, called as it calls them."""

    def __init__(self, modules):
        self.audience, self.part, self.end = (modules[n] for n in ("audience", "send_part", "summary"))
        self.runs = 0

    def snapshot(self, given=None, run_id=None):
        self.runs += 1
        return self.audience.handler(
            {
                "runId": run_id or f"run-{self.runs}",
                "startedAt": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "input": {} if given is None else given,
            },
            Context(),
        )

    def send(self, taken):
        content = aws_client("s3").get_object(Bucket=taken["bucket"], Key=taken["manifestKey"])["Body"].read()
        return [self.part.handler(item, Context()) for item in json.loads(content)]

    def run(self, given=None):
        taken = self.snapshot(given)
        self.send(taken)
        return self.end.handler({**taken, "map": {"ResultWriterDetails": {}}}, Context())


@pytest.fixture(scope="module")
def modules(environment):
    names = ("audience", "send_part", "summary")
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(fresh_handler(f"{HANDLERS}.{name}", environment)) for name in names}


@pytest.fixture
def broadcast(dynamodb, modules):
    forget_pause(modules["send_part"])
    return Broadcast(modules)


def forget_pause(module):
    # The flag of the test before is remembered for a second.
    module._asker.send_service.pause._read_at = float("-inf")


@pytest.fixture
def people(dynamodb):
    for user_id, (phone, name, status) in PEOPLE.items():
        put(dynamodb, user_id, phone, name, status)


def put(dynamodb, user_id, phone, name="John Doe", status="active"):
    values = {"userId": user_id, "phoneNumber": phone, "name": name, "status": status}
    dynamodb.put_item(TableName=CUSTOMERS, Item={k: {"S": v} for k, v in values.items() if v is not None})


def opt_out(dynamodb, phone):
    contacts = DynamoContacts(dynamodb, table=CONTACTS)
    contact = Contact(
        subscriber_id=subscriber_id(PhoneNumber(phone), KEY_TEXT.encode()),
        consents=dict.fromkeys(Scope, ConsentState.OPTED_OUT),
    )
    contacts.save(contact, expected_version=0, records=[])


def outcomes(run_id="run-1"):
    s3 = aws_client("s3")
    rows = {}
    for entry in s3.list_objects_v2(Bucket=BUCKET, Prefix=f"runs/{run_id}/results/").get("Contents", []):
        for line in s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read().splitlines():
            row = json.loads(line)
            assert row["userId"] not in rows
            rows[row["userId"]] = (row["state"], row["reason"])
    return rows


def test_everybody_who_can_be_asked_gets_one_text_and_everybody_else_a_reason(broadcast, people, carrier):
    summary = broadcast.run({"reason": "the holidays"})

    assert outcomes() == {
        "u1": ("ACCEPTED", None),
        "u2": ("ACCEPTED", None),
        "u3": ("ACCEPTED", None),
        "u3b": ("SUPPRESSED", "DUPLICATE_PHONE"),
        "u4": ("ACCEPTED", None),
        "gone": ("SUPPRESSED", "INACTIVE"),
        "mute": ("SUPPRESSED", "NO_PHONE"),
        "short": ("SUPPRESSED", "INVALID_PHONE"),
        "words": ("SUPPRESSED", "INVALID_PHONE"),
        "home": ("SUPPRESSED", "LANDLINE"),
        "bare": ("SUPPRESSED", "INACTIVE"),
    }
    greetings = {n: carrier.texts(f"+1206555010{n}")[0].partition("!")[0] for n in (1, 2, 3, 4)}
    assert greetings == {1: "Hi John", 2: "Hi Lukasz", 3: "Hi", 4: "Hi"}
    assert [len(carrier.texts(f"+1206555010{n}")) for n in range(1, 6)] == [1, 1, 1, 1, 0]
    assert summary == {
        "runId": "run-1",
        "dryRun": False,
        "recipients": 4,
        "customers": 11,
        "outcomes": {"ACCEPTED": 4, "SUPPRESSED": 7},
        "reasons": {
            "DUPLICATE_PHONE": 1, "INACTIVE": 2, "INVALID_PHONE": 2, "LANDLINE": 1, "NO_PHONE": 1,
        },
        "parts": 4,
        "estimatedCostUsd": "0.04",
        "complete": True,
        "reason": "the holidays",
    }  # fmt: skip


def test_every_text_is_one_part_and_its_link_names_a_row_of_its_own(broadcast, people, carrier, dynamodb):
    broadcast.run()

    requests = DynamoReviewRequests(dynamodb, table=REVIEW_REQUESTS)
    keys = parse_keys(LINK_SECRET).by_id
    for user_id, phone in (("u1", "+12065550101"), ("u3", "+12065550103")):
        (message,) = carrier_messages(carrier, phone)
        assert message["parts"] == 1
        assert "https://r.example.com/r/" in message["body"]
        link = verify(
            message["body"].rpartition("/r/")[2], keys=keys, now=datetime.now(UTC), max_lifetime=WEEK
        )
        assert isinstance(link, Verified)
        assert link.reference == request_id(user_id, "registration", KEY_TEXT.encode())
        request = requests.get(reference_to_id(link.reference))
        assert (request.user_id, request.occasion) == (user_id, "registration")
        assert request.asked_at is not None


def carrier_messages(carrier, phone):
    import httpx

    return httpx.get(f"{carrier.url}/control/messages", params={"phone": phone}).json()


def test_a_second_run_asks_nobody_again(broadcast, people, carrier):
    broadcast.run()

    summary = broadcast.run()

    assert summary["outcomes"] == {"ALREADY_SENT": 4, "SUPPRESSED": 7}
    assert summary["reasons"]["ALREADY_ASKED"] == 4
    assert summary["parts"] == 0
    assert len(carrier.texts("+12065550101")) == 1


def test_a_part_that_is_sent_again_sends_nothing_and_tells_the_same(broadcast, people, carrier):
    taken = broadcast.snapshot()
    first = broadcast.send(taken)

    again = broadcast.send(taken)

    assert again == first
    assert len(carrier.texts("+12065550101")) == 1
    assert outcomes()["u1"] == ("ACCEPTED", None)


def test_a_snapshot_that_is_taken_again_gives_the_same_parts(broadcast, people):
    def parts():
        s3 = aws_client("s3")
        return {
            entry["Key"]: s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()
            for entry in s3.list_objects_v2(Bucket=BUCKET, Prefix="runs/again/parts/")["Contents"]
        }

    taken = broadcast.snapshot(run_id="again")
    before = parts()
    assert broadcast.snapshot(run_id="again") | {"startedAt": ""} == taken | {"startedAt": ""}

    assert parts() == before
    assert len(before) == 2


def test_a_new_customer_is_asked_by_the_next_run(broadcast, people, carrier, dynamodb):
    broadcast.run()
    put(dynamodb, "u9", "+12065550109")

    assert broadcast.run()["outcomes"]["ACCEPTED"] == 1
    assert len(carrier.texts("+12065550109")) == 1


def test_who_opted_out_or_left_after_the_snapshot_is_left_alone(broadcast, people, carrier, dynamodb):
    taken = broadcast.snapshot()
    opt_out(dynamodb, "+12065550101")
    put(dynamodb, "u2", "+12065550102", status="inactive")
    dynamodb.delete_item(TableName=CUSTOMERS, Key={"userId": {"S": "u3"}})

    broadcast.send(taken)

    found = outcomes()
    assert found["u1"] == ("SUPPRESSED", "OPTED_OUT")
    assert found["u2"] == ("SUPPRESSED", "INACTIVE")
    assert found["u3"] == ("SUPPRESSED", "NO_CUSTOMER")
    assert [len(carrier.texts(f"+1206555010{n}")) for n in (1, 2, 3)] == [0, 0, 0]


def test_a_dry_run_tells_who_and_what_it_costs_and_changes_nothing(broadcast, people, carrier, dynamodb):
    opt_out(dynamodb, "+12065550101")

    summary = broadcast.run({"dryRun": True})

    assert summary["dryRun"] is True
    assert summary["outcomes"] == {"SUPPRESSED": 8, "WOULD_SEND": 3}
    assert summary["reasons"]["OPTED_OUT"] == 1
    assert (summary["parts"], summary["estimatedCostUsd"]) == (3, "0.03")
    assert dynamodb.scan(TableName=REVIEW_REQUESTS)["Items"] == []
    assert dynamodb.scan(TableName=MESSAGES)["Items"] == []
    assert all(carrier.texts(f"+1206555010{n}") == [] for n in range(10))


def test_a_call_without_an_answer_is_reported_and_not_repeated(broadcast, carrier, dynamodb):
    put(dynamodb, "u1", "+12065550101")
    carrier.control("POST", "fault", after_accept_crash=1)

    first, second = broadcast.run(), broadcast.run()

    assert (first["outcomes"], first["reasons"]) == ({"UNCERTAIN": 1}, {"OUTCOME_UNKNOWN": 1})
    assert second["outcomes"].keys() <= {"UNCERTAIN", "IN_FLIGHT", "ALREADY_SENT"}
    assert len(carrier.texts("+12065550101")) == 1


def test_a_person_who_cannot_be_asked_costs_nobody_else_a_text_and_is_not_named_in_the_log(
    broadcast, people, carrier, monkeypatch, caplog
):
    asker = type(broadcast.part._asker)
    ask = asker.ask

    def fail_for_one(self, customer, *arguments, **options):
        if customer.user_id == "u1":
            raise ZeroDivisionError(customer.name)
        return ask(self, customer, *arguments, **options)

    monkeypatch.setattr(asker, "ask", fail_for_one)

    summary = broadcast.run()

    assert outcomes()["u1"] == ("REMAINING", "UNEXPECTED_ERROR")
    assert summary["outcomes"] == {"ACCEPTED": 3, "REMAINING": 1, "SUPPRESSED": 7}
    assert summary["complete"] is False
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert record.error == "ZeroDivisionError"
    assert PEOPLE["u1"][1] not in str(vars(record))


def test_a_part_that_failed_leaves_its_people_for_the_next_run(broadcast, people, carrier):
    taken = broadcast.snapshot()

    summary = broadcast.end.handler(taken, Context())

    assert summary["complete"] is False
    assert summary["outcomes"] == {"REMAINING": 4, "SUPPRESSED": 7}
    assert summary["reasons"]["PART_FAILED"] == 4
    assert broadcast.run()["outcomes"]["ACCEPTED"] == 4


def test_out_of_time_means_not_tried(broadcast, people, carrier):
    taken = broadcast.snapshot()
    (item, *_) = json.loads(
        aws_client("s3").get_object(Bucket=BUCKET, Key=taken["manifestKey"])["Body"].read()
    )
    over = Context()
    over.get_remaining_time_in_millis = lambda: 1000

    assert broadcast.part.handler(item, over)["reasons"] == {"OUT_OF_TIME": 2}
    assert sum(len(carrier.texts(f"+1206555010{n}")) for n in range(10)) == 0


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (5, "must be a JSON object, got int"),
        ([], "must be a JSON object, got list"),
        ("text", "must be a JSON object, got str"),
        ({"dryRun": "yes"}, "dryRun must be true or false"),
        ({"dryRun": 1}, "dryRun must be true or false"),
        ({"dryRun": None}, "dryRun must be true or false"),
        ({"dryrun": True}, "got dryrun"),
        ({"reason": 5}, "reason must be text"),
    ],
)
def test_a_mistyped_rehearsal_is_no_real_run(broadcast, people, given, sentence):
    with pytest.raises(broadcast.audience.BroadcastInputError, match=sentence):
        broadcast.snapshot(given)


def test_a_reason_is_kept_in_short(broadcast, people):
    assert broadcast.snapshot({"reason": "x" * 5000, "dryRun": False})["reason"] == "x" * 200
    assert broadcast.snapshot({"reason": ""})["reason"] is None


def test_nobody_at_all_is_a_run_too(broadcast):
    assert broadcast.run() | {"runId": ""} == {
        "runId": "",
        "dryRun": False,
        "recipients": 0,
        "customers": 0,
        "outcomes": {},
        "reasons": {},
        "parts": 0,
        "estimatedCostUsd": "0.00",
        "complete": True,
        "reason": None,
    }


def test_no_object_and_no_log_line_holds_a_phone_a_name_or_a_link(broadcast, people, carrier, capsys):
    with captured_logs() as log:
        broadcast.run()

    s3 = aws_client("s3")
    stored = b"".join(
        s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()
        for entry in s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    ).decode()
    out, err = capsys.readouterr()
    token = carrier.texts("+12065550101")[0].rpartition("/r/")[2]
    for written in (stored, log.getvalue(), out, err):
        for private in ("2065550101", "206-555-0103", "555-0102", "John", "Nowak", "/r/", token):
            assert private not in written
