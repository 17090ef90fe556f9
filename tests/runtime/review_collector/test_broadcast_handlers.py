"""The broadcast from snapshot to summary by its four handlers; the carrier at a socket, the rest in moto."""

import contextlib
import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

import httpx
import pytest

from sms_engagement_runtime.channel.adapters.campaign_counts import DynamoCampaignCounts
from sms_engagement_runtime.channel.adapters.clock import SystemClock
from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.domain.broadcast.run import BroadcastInputError
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

REVIEWS, CHANNEL = (f"sms_engagement_runtime.{name}.handlers" for name in ("review_collector", "channel"))
HANDLERS = {
    "audience": f"{REVIEWS}.audience",
    "send_part": f"{REVIEWS}.send_part",
    "plan": f"{CHANNEL}.plan_broadcast",
    "summary": f"{CHANNEL}.summarise_broadcast",
}
KEY_TEXT = "the text of the subscriber key secret"
LINK_SECRET = json.dumps({"active": 1, "k1": "a link key of the tests"})
BUCKET = "broadcast"
WEEK = timedelta(days=7)
# Nine in the morning in Seattle, where the phones are, and some days later for each test: the pacer lives as
# long as its module, and expects that time goes on.
MORNINGS = (datetime(2026, 11, 21, 17, 0, tzinfo=UTC) + timedelta(days=4 * n) for n in count())

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
NOT_ASKED = {
    "u3b": ("SUPPRESSED", "DUPLICATE_PHONE"),
    "gone": ("SUPPRESSED", "INACTIVE"),
    "mute": ("SUPPRESSED", "NO_PHONE"),
    "short": ("SUPPRESSED", "INVALID_PHONE"),
    "words": ("SUPPRESSED", "INVALID_PHONE"),
    "home": ("SUPPRESSED", "LANDLINE"),
    "bare": ("SUPPRESSED", "INACTIVE"),
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
def clock_file(tmp_path_factory):
    return tmp_path_factory.mktemp("clock") / "offset"


@pytest.fixture(scope="module")
def modules(server, clock_file):
    environment = {
        "AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2": server.url,
        "CONTACTS_TABLE": CONTACTS,
        "MESSAGES_TABLE": MESSAGES,
        "CUSTOMERS_TABLE": CUSTOMERS,
        "REVIEW_REQUESTS_TABLE": REVIEW_REQUESTS,
        "BROADCAST_BUCKET": BUCKET,
        "SUBSCRIBER_KEY_SECRET_ARN": "subscriber-key",
        "LINK_SECRET_ARN": "link-keys",
        "LINK_BASE_URL": "https://r.example.com/",
        "RECIPIENTS_PER_PART": "2",
        "RECIPIENTS_PER_SECOND": "1000",
        "RUN_EXPIRY_SECONDS": "604800",
        "FOLLOW_UP_SECONDS": "259200",
        "SENDER": "eum",
        "ORIGINATION_IDENTITY": PHONE_NUMBER_ARN,
        "CONFIGURATION_SET": "channel",
        "DEFAULT_COUNTRY": "US",
        "PARTS_PER_SECOND": "1000",
        "STOP_RULES": json.dumps({"minVolume": 4}),
        "CLOCK": "virtual",
        "CLOCK_OFFSET_FILE": str(clock_file),
    }
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(fresh_handler(module, environment)) for name, module in HANDLERS.items()
        }


@dataclass
class Call(Context):
    """One call of a function that has all its time."""

    remaining: float = 900_000

    def get_remaining_time_in_millis(self):
        return self.remaining


class Broadcast:
    """The state machine's steps, called as it calls them; waits move the clock."""

    def __init__(self, modules, clock_file):
        self.modules, self.clock_file = modules, clock_file
        self.calls, self.runs = count(), count(1)
        self.morning = next(MORNINGS)
        self.night = self.morning + timedelta(hours=14)
        self.move(self.morning)

    def move(self, instant):
        self.clock_file.write_text(str((instant - datetime.now(UTC)).total_seconds()))

    def now(self):
        return self.modules["plan"]._clock.now()

    def call(self, name, event, **context):
        # The flag of a moment ago is remembered for a second.
        if name == "send_part":
            self.modules[name]._service.pause._read_at = float("-inf")
        answer = self.modules[name].handler(event, Call(aws_request_id=f"call-{next(self.calls)}", **context))
        # As it goes through Step Functions.
        return json.loads(json.dumps(answer))

    def snapshot(self, given=None, run_id=None, **context):
        event = {
            "runId": run_id or f"run-{next(self.runs)}",
            "startedAt": self.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "input": {} if given is None else given,
        }
        taken = self.call("audience", event, **context)
        while taken["more"]:
            taken = self.call("audience", event, **context)
        return taken

    def parts(self, plan):
        body = aws_client("s3").get_object(Bucket=plan["bucket"], Key=plan["manifestKey"])["Body"].read()
        return json.loads(body)

    def send(self, plan):
        return [self.call("send_part", part) for part in self.parts(plan)]

    def finish(self, plan):
        plan = self.call("plan", plan)
        while plan["next"] != "DONE":
            if plan["next"] == "WAIT":
                self.move(datetime.fromisoformat(plan["until"]))
            else:
                self.send(plan)
            plan = self.call("plan", plan)
        return self.call("summary", plan)

    def run(self, given=None, run_id=None):
        return self.finish(self.snapshot(given, run_id))


@pytest.fixture
def broadcast(dynamodb, modules, clock_file):
    return Broadcast(modules, clock_file)


@pytest.fixture
def people(dynamodb):
    for user_id, (phone, name, status) in PEOPLE.items():
        put(dynamodb, user_id, phone, name, status)


def put(dynamodb, user_id, phone, name="John Doe", status="active", **more):
    values = {"userId": user_id, "phoneNumber": phone, "name": name, "status": status, **more}
    dynamodb.put_item(TableName=CUSTOMERS, Item={k: {"S": v} for k, v in values.items() if v is not None})


def pause(dynamodb, *, paused):
    dynamodb.put_item(
        TableName=CONTACTS,
        Item={"subscriberId": {"S": "control"}, "record": {"S": "sending"}, "paused": {"BOOL": paused}},
    )


def opt_out(dynamodb, phone):
    contacts = DynamoContacts(dynamodb, table=CONTACTS)
    contact = Contact(
        subscriber_id=subscriber_id(PhoneNumber(phone), KEY_TEXT.encode()),
        consents=dict.fromkeys(Scope, ConsentState.OPTED_OUT),
    )
    contacts.save(contact, expected_version=0, records=[])


def objects(prefix):
    s3 = aws_client("s3")
    return {
        entry["Key"]: s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()
        for entry in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    }


def outcomes(run_id="run-1"):
    """State and reason of everybody in the results that count."""
    listed = json.loads(objects(f"runs/{run_id}/results.json")[f"runs/{run_id}/results.json"])
    results = objects(f"runs/{run_id}/results/")
    rows = [json.loads(line) for result in listed["results"] for line in results[result["key"]].splitlines()]
    found = {row["userId"]: (row["state"], row["reason"]) for row in rows}
    assert len(found) == len(rows)
    return found


def test_everybody_who_can_be_asked_gets_one_text_and_everybody_else_a_reason(broadcast, people, carrier):
    summary = broadcast.run({"reason": "the holidays"})

    assert outcomes() == dict.fromkeys(("u1", "u2", "u3", "u4"), ("ACCEPTED", None)) | NOT_ASKED
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
        "follows": None,
        "paused": False,
        "stoppedBy": None,
        "waves": 1,
        "followUp": "run-1-follow-up",
    }  # fmt: skip


def test_every_text_is_one_part_and_its_link_names_a_row_of_its_own(broadcast, people, carrier, dynamodb):
    broadcast.run()

    requests = DynamoReviewRequests(dynamodb, table=REVIEW_REQUESTS)
    keys = parse_keys(LINK_SECRET).by_id
    for user_id, phone in (("u1", "+12065550101"), ("u3", "+12065550103")):
        (message,) = httpx.get(f"{carrier.url}/control/messages", params={"phone": phone}).json()
        assert message["parts"] == 1
        token = message["body"].partition("https://r.example.com/r/")[2].split()[0]
        link = verify(token, keys=keys, now=broadcast.now(), max_lifetime=WEEK)
        assert isinstance(link, Verified)
        assert link.reference == request_id(user_id, "registration", KEY_TEXT.encode())
        request = requests.get(reference_to_id(link.reference))
        assert (request.user_id, request.occasion) == (user_id, "registration")
        assert request.asked_at is not None


def test_a_second_run_asks_nobody_again(broadcast, people, carrier):
    broadcast.run()

    summary = broadcast.run()

    assert summary["outcomes"] == {"ALREADY_SENT": 4, "SUPPRESSED": 7}
    assert summary["reasons"]["ALREADY_ASKED"] == 4
    assert summary["parts"] == 0
    assert "followUp" not in summary
    assert len(carrier.texts("+12065550101")) == 1


def test_a_part_that_is_sent_again_sends_nothing_and_tells_the_same(broadcast, people, carrier):
    plan = broadcast.call("plan", broadcast.snapshot())
    first = broadcast.send(plan)

    again = broadcast.send(plan)
    summary = broadcast.finish(plan)

    assert again == first
    assert summary["outcomes"] == {"ACCEPTED": 4, "SUPPRESSED": 7}
    assert len(carrier.texts("+12065550101")) == 1
    # Both attempts left their results; those of one of them count.
    assert outcomes()["u1"] == ("ACCEPTED", None)


def test_a_snapshot_in_many_calls_is_the_same_snapshot(broadcast, people):
    def people_of(run_id):
        return sorted(
            sorted(json.loads(line)["userId"] for line in body.splitlines())
            for body in objects(f"runs/{run_id}/parts/").values()
        )

    broadcast.snapshot(run_id="at-once")
    broadcast.snapshot(run_id="in-steps", remaining=1000)

    assert people_of("in-steps") == people_of("at-once")
    assert len(people_of("at-once")) == 2
    assert len(objects("runs/in-steps/snapshot.json")) == 1


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

    broadcast.finish(taken)

    found = outcomes()
    assert found["u1"] == ("SUPPRESSED", "OPTED_OUT")
    assert found["u2"] == ("SUPPRESSED", "INACTIVE")
    assert found["u3"] == ("SUPPRESSED", "NO_CUSTOMER")
    assert [len(carrier.texts(f"+1206555010{n}")) for n in (1, 2, 3)] == [0, 0, 0]


def test_a_dry_run_tells_who_and_what_it_costs_and_changes_nothing(broadcast, people, carrier, dynamodb):
    opt_out(dynamodb, "+12065550101")
    pause(dynamodb, paused=True)
    broadcast.move(broadcast.night)
    contacts = dynamodb.scan(TableName=CONTACTS)["Items"]

    summary = broadcast.run({"dryRun": True})

    assert (summary["dryRun"], summary["paused"]) == (True, True)
    assert summary["outcomes"] == {"SUPPRESSED": 8, "WOULD_SEND": 3}
    assert (summary["reasons"]["OPTED_OUT"], summary["reasons"]["QUIET_HOURS"]) == (1, 3)
    assert (summary["parts"], summary["estimatedCostUsd"]) == (3, "0.03")
    assert dynamodb.scan(TableName=REVIEW_REQUESTS)["Items"] == []
    assert dynamodb.scan(TableName=MESSAGES)["Items"] == []
    assert dynamodb.scan(TableName=CONTACTS)["Items"] == contacts
    assert all(carrier.texts(f"+1206555010{n}") == [] for n in range(10))
    assert broadcast.now() - broadcast.night < timedelta(minutes=1)


def test_at_night_the_run_waits_for_the_morning_of_each_zone(broadcast, people, carrier, dynamodb):
    put(dynamodb, "east", "+12125550106", timeZone="America/New_York")
    broadcast.move(broadcast.night)
    plan = broadcast.call("plan", broadcast.snapshot())
    waits = []
    while plan["next"] != "DONE":
        if plan["next"] == "WAIT":
            waits.append(plan["until"])
            broadcast.move(datetime.fromisoformat(plan["until"]))
        else:
            broadcast.send(plan)
        plan = broadcast.call("plan", plan)

    # Eight o'clock in New York, and eight o'clock in Seattle.
    waited = [datetime.fromisoformat(until) - broadcast.night for until in waits]
    assert waited == [timedelta(hours=6), timedelta(hours=9)]
    assert broadcast.call("summary", plan)["outcomes"]["ACCEPTED"] == 5


def test_while_sending_is_paused_nothing_is_claimed_and_the_rest_goes_out_after_it(
    broadcast, people, carrier, dynamodb
):
    pause(dynamodb, paused=True)
    plan = broadcast.call("plan", broadcast.snapshot())

    assert plan["next"] == "WAIT"
    assert timedelta(0) < datetime.fromisoformat(plan["until"]) - broadcast.now() < timedelta(seconds=7)
    pause(dynamodb, paused=False)
    assert broadcast.finish(plan)["outcomes"]["ACCEPTED"] == 4
    assert dynamodb.scan(TableName=MESSAGES)["Count"] == 4


def test_a_run_stops_itself_when_texts_do_not_arrive(broadcast, people, carrier, dynamodb):
    taken = broadcast.snapshot()
    counts = DynamoCampaignCounts(dynamodb, table=CONTACTS, clock=SystemClock())
    counts.add("run-1", delivered=2, failed=2)

    summary = broadcast.finish(taken)

    assert summary["stoppedBy"] == "STOPPED_FAILURES"
    assert summary["outcomes"] == {"REMAINING": 4, "SUPPRESSED": 7}
    assert summary["complete"] is False
    assert carrier.texts("+12065550101") == []


def test_a_call_without_an_answer_is_reported_and_not_repeated(broadcast, carrier, dynamodb):
    put(dynamodb, "u1", "+12065550101")
    carrier.control("POST", "fault", after_accept_crash=1)

    first, second = broadcast.run(), broadcast.run()

    assert (first["outcomes"], first["reasons"]) == ({"UNCERTAIN": 1}, {"OUTCOME_UNKNOWN": 1})
    assert "ACCEPTED" not in second["outcomes"]
    assert len(carrier.texts("+12065550101")) == 1


def test_a_person_who_cannot_be_asked_costs_nobody_else_a_text_and_is_not_named_in_the_log(
    broadcast, people, carrier, monkeypatch, caplog
):
    asker = type(broadcast.modules["send_part"]._asker)
    ask_due = asker.ask_due

    def fail_for_one(self, customer, **options):
        if customer.user_id == "u1":
            raise ZeroDivisionError(customer.name)
        return ask_due(self, customer, **options)

    monkeypatch.setattr(asker, "ask_due", fail_for_one)

    summary = broadcast.run()

    assert outcomes()["u1"] == ("REMAINING", "UNEXPECTED_ERROR")
    assert summary["outcomes"] == {"ACCEPTED": 3, "REMAINING": 1, "SUPPRESSED": 7}
    assert summary["complete"] is False
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert {record.error for record in errors} == {"ZeroDivisionError"}
    assert PEOPLE["u1"][1] not in "".join(str(vars(record)) for record in errors)


def test_parts_whose_function_dies_are_sent_again(broadcast, people, carrier):
    plan = broadcast.call("plan", broadcast.snapshot())
    began_at = broadcast.now()

    summary = broadcast.finish(plan)

    assert summary["outcomes"] == {"ACCEPTED": 4, "SUPPRESSED": 7}
    assert summary["waves"] == 2
    assert broadcast.now() - began_at >= timedelta(seconds=60)


def test_out_of_time_means_not_tried(broadcast, people, carrier):
    plan = broadcast.call("plan", broadcast.snapshot())

    for part in broadcast.parts(plan):
        answer = broadcast.call("send_part", part, remaining=1000)
        assert (answer["outcomes"], answer["rest"]) == ({}, part["part"]["people"])

    assert sum(len(carrier.texts(f"+1206555010{n}")) for n in range(10)) == 0
    assert broadcast.finish(plan)["outcomes"]["ACCEPTED"] == 4


def test_a_follow_up_reminds_those_who_were_asked_three_days_later(broadcast, people, carrier, dynamodb):
    first = broadcast.run()
    ended_at = broadcast.now()
    opt_out_after = subscriber_id(PhoneNumber("+12065550102"), KEY_TEXT.encode())
    contacts = DynamoContacts(dynamodb, table=CONTACTS)
    contact = contacts.get(opt_out_after)
    contacts.save(
        Contact(subscriber_id=opt_out_after, consents=dict.fromkeys(Scope, ConsentState.OPTED_OUT)),
        expected_version=contact.version,
        records=[],
    )

    summary = broadcast.run({"follows": "run-1"}, run_id=first["followUp"])

    assert summary["outcomes"] == {"ACCEPTED": 3, "SUPPRESSED": 1}
    assert summary["customers"] == 4
    assert timedelta(days=3) <= broadcast.now() - ended_at < timedelta(days=3, hours=1)
    bodies = carrier.texts("+12065550101")
    assert [body.partition("https")[0] for body in bodies] == [
        "Hi John! Please review your recent purchase: ",
        "Hi John! A reminder to review your recent purchase: ",
    ]
    assert len(carrier.texts("+12065550102")) == 1


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (5, "must be a JSON object, got int"),
        ({"dryrun": True}, "got dryrun"),
        ({"follows": "nobody-knows"}, "no run of that name has ended"),
    ],
)
def test_a_mistyped_dry_run_is_no_real_run(broadcast, people, given, sentence):
    with pytest.raises(BroadcastInputError, match=sentence):
        broadcast.snapshot(given)


def test_nobody_at_all_is_a_run_too(broadcast):
    summary = broadcast.run()

    assert (summary["recipients"], summary["customers"], summary["outcomes"]) == (0, 0, {})
    assert (summary["estimatedCostUsd"], summary["complete"]) == ("0.00", True)


def test_no_object_and_no_log_line_holds_a_phone_a_name_or_a_link(broadcast, people, carrier, capsys):
    with captured_logs() as log:
        broadcast.run()
        broadcast.run()

    stored = b"".join(objects("").values()).decode()
    out, err = capsys.readouterr()
    token = carrier.texts("+12065550101")[0].partition("/r/")[2].split()[0]
    for written in (stored, log.getvalue(), out, err):
        for private in ("2065550101", "206-555-0103", "555-0102", "John", "Nowak", "/r/", token):
            assert private not in written


def test_what_the_budget_reserved_ahead_is_returned_after_each_part(broadcast, people, monkeypatch):
    settled = Counter()
    budget = type(broadcast.modules["send_part"]._service.budget)
    monkeypatch.setattr(budget, "settle", lambda self: settled.update(["part"]))

    broadcast.run()

    assert settled == {"part": 2}
