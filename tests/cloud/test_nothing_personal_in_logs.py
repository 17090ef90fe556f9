"""No log, trace or state holds a live token, a phone number, an e-mail address, a name or anybody's words.

Everything that is written is read: all log groups, the histories of all executions, and what the processes of
the embedded cloud print themselves.
"""

import json
import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from sms_engagement_runtime.appointment_follow_up.domain.bookings import Provider
from sms_engagement_runtime.channel.adapters.pause import CONTROL_KEY
from sms_local.testing import Cloud
from tests.support.appointment_drive import (
    calcom_body,
    canceled_body,
    created_body,
    deliver,
    invoke_step,
    new_appointment,
    new_uid,
    no_show_body,
    post_webhook,
    purposes_to,
    settle,
    status_of,
    take,
    zone_at,
)
from tests.support.cloud_drive import (
    client,
    fault,
    inbound,
    lift_pause,
    logged_lines,
    new_customers,
    new_phone,
    outcome,
    replace_customers,
    replies_to,
    requests_to,
    row_of,
    token_in,
    wait_for_flag,
    wait_until_empty,
)

pytestmark = pytest.mark.cloud

NAMES = ("Zebulon Quartermaine", "Philippa Ironmonger", "Łucja Żółkiewska")
WORDS = (
    "the velvet harpsichord arrived out of tune",
    "my cormorant ate the second saucer",
    "kindly ring the lighthouse keeper on Thursday",
)
#: Of the invitee and the host, in what the booking providers send.
ADDRESSES = (
    *("customer@example.com", "maya.brooks@example.com"),
    *("patient@example.com", "organizer@example.com"),
)
JSON = {"accept": "application/json"}
HTML = {"accept": "text/html"}

#: Any number of fiction, with or without plus sign and country, and any link: also those of tests before.
_ANY_PHONE = re.compile(r"(?<!\d)1?[2-9]\d{2}55501\d{2}(?!\d)")
_ANY_LINK = re.compile(r"/r/[A-Za-z0-9_-]{30}")
#: Ours: the origination number is no secret, and nobody's.
_OWN_NUMBER = "12065550100"


@dataclass(slots=True)
class Personal:
    """What was used in the flow and must not be found."""

    phones: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)

    def spellings(self) -> Set[str]:
        """Return the spellings that a careless line could have.

        The seven digits without area code are left out: ids and times hold such runs by chance.
        """
        numbers = {digits for phone in self.phones for digits in (phone, phone[1:], phone[2:])}
        texts = self.words | {*ADDRESSES} | {word for name in NAMES for word in (name, name.split()[1])}
        escaped = {json.dumps(text)[1:-1] for text in texts}
        return numbers | self.tokens | texts | escaped


def leaks_in(lines: Iterable[tuple[str, str]], personal: Personal) -> list[tuple[str, str]]:
    """Return where what was found: place and spelling."""
    spellings = personal.spellings()
    found = []
    for place, line in lines:
        found += [(place, spelling) for spelling in spellings if spelling in line]
        found += [(place, match) for match in _ANY_LINK.findall(line)]
        found += [(place, match) for match in _ANY_PHONE.findall(line) if match not in _OWN_NUMBER]
    return found


def everything_written(cloud: Cloud) -> Iterator[tuple[str, str]]:
    """Yield every line of every log group, history and process, with its place."""
    yield from logged_lines(cloud)
    machines = cloud.stepfunctions.get_paginator("list_state_machines").paginate()
    # All of them: what waits for its hour does so in one of its own.
    for machine in (one["stateMachineArn"] for page in machines for one in page["stateMachines"]):
        pages = cloud.stepfunctions.get_paginator("list_executions").paginate(stateMachineArn=machine)
        for execution in (one for page in pages for one in page["executions"]):
            arn = execution["executionArn"]
            described = dict(cloud.stepfunctions.describe_execution(executionArn=arn))
            # Of the answer's headers, one is random base64, and may look like a link.
            del described["ResponseMetadata"]
            yield "execution", json.dumps(described, default=str, ensure_ascii=False)
            for history in cloud.stepfunctions.get_paginator("get_execution_history").paginate(
                executionArn=arn, includeExecutionData=True
            ):
                yield "history", json.dumps(history["events"], default=str, ensure_ascii=False)
    for log in cloud.places.folder.glob("*.log"):
        for line in log.read_text(errors="replace").splitlines():
            yield log.name, line


@pytest.fixture(scope="module")
def flow(running_cloud: Cloud) -> Iterator[Personal]:
    """Let everything happen that there is: texts, faults, reviews, refused forms, replies, appointments."""
    running_cloud.reset()
    yield _everything(running_cloud)
    running_cloud.reset()


def _everything(quiet_cloud: Cloud) -> Personal:
    personal = Personal(words=set(WORDS))
    people = [person for name in NAMES for person in new_customers(3, name=name)]
    phones = [person.phone or "" for person in people]
    stranger = new_phone()
    personal.phones |= {*phones, stranger}
    replace_customers(quiet_cloud, people)
    for phone, script in zip(
        phones,
        (
            {"error": "InternalServerException"},
            {"error": "ConflictException:DESTINATION_PHONE_NUMBER_OPTED_OUT"},
            {"error": "ValidationException:INVALID_PARAMETER"},
            {"event_type": "TEXT_INVALID"},
            {"event_type": "TEXT_CARRIER_BLOCKED", "duplicates": 2},
        ),
        strict=False,
    ):
        outcome(quiet_cloud, phone=phone, **script)
    fault(quiet_cloud, after_accept_crash=1, throttle=0.2)
    quiet_cloud.broadcast()
    fault(quiet_cloud, throttle=0)
    quiet_cloud.broadcast({"dryRun": True})

    texts = requests_to(quiet_cloud)
    assert len(texts) == 6
    personal.tokens |= {token_in(text) for text in texts}
    _write_reviews(quiet_cloud, sorted(personal.tokens))
    for fields in (
        {"from_": stranger, "body": WORDS[2]},
        {"from_": stranger, "body": "x" * 1500 + WORDS[2]},
        {"from_": phones[5], "body": f"don't stop, {WORDS[1]}"},
        {"from_": phones[6], "body": "STOP"},
        {"from_": phones[6], "body": "START"},
        {"from_": phones[7], "body": "help"},
        {"from_": phones[8], "body": ""},
        {"from_": "12345", "body": WORDS[0]},
        {"body": WORDS[0]},
    ):
        inbound(quiet_cloud, **fields)
    assert len(replies_to(quiet_cloud, phones[6])) == 2
    row_of(quiet_cloud, phones[3], state="FAILED")
    personal.phones |= _live_through_appointments(quiet_cloud)
    wait_until_empty(quiet_cloud, "Event")
    _flush_logs(quiet_cloud)
    return personal


def _write_reviews(cloud: Cloud, tokens: list[str]) -> None:
    for token in tokens:
        assert cloud.door.get(f"/r/{token}").status_code == 200
        assert cloud.door.get("/review", params={"token": token}).status_code == 200
    posts = (
        ({"token": tokens[0], "rating": 5, "reviewText": WORDS[0]}, 201),
        ({"token": tokens[0], "rating": 4, "reviewText": WORDS[1]}, 200),
        ({"token": tokens[1], "rating": 9, "reviewText": WORDS[1]}, 400),
        ({"token": tokens[1][:-1], "rating": 5, "reviewText": WORDS[1]}, 403),
        ({"token": tokens[1], "rating": 5, "reviewText": WORDS[1] * 3000}, 413),
    )
    for fields, status in posts:
        for headers in (JSON, HTML):
            answer = cloud.door.post("/submit-review", json=fields, headers=headers)
            assert answer.status_code in (status, 200)
    assert cloud.door.post("/new-link", data={"token": tokens[2]}, headers=JSON).status_code == 200
    broken = f'{{"token": "{tokens[2]}", "reviewText": "{WORDS[2]}"'
    unread = cloud.door.post("/submit-review", content=broken, headers={"content-type": "application/json"})
    assert unread.status_code == 400


def _live_through_appointments(cloud: Cloud) -> set[str]:
    """Book, answer, move, cancel, miss and rate appointments, some of it while nothing can be sent."""
    phones = {name: new_phone() for name in ("confirms", "writes", "cancels", "moves", "misses", "rates")}
    now = cloud.now()
    booked = {
        who: new_appointment(cloud, phone, name=NAMES[number % 3], event_name="Coffee tasting")
        for number, (who, phone) in enumerate(phones.items())
    }
    # It ends in the evening, so that the request for the review waits for the morning.
    booked["rates"] = replace(
        booked["rates"],
        starts_at=now + timedelta(minutes=70),
        ends_at=now + timedelta(minutes=100),
        time_zone=zone_at(now, 19),
    )
    fault(cloud, after_accept_crash=1)
    for appointment in booked.values():
        deliver(cloud, created_body(cloud, appointment))
        settle(cloud)
    new = new_appointment(cloud, phones["moves"], name=NAMES[0], replaces=booked["moves"])
    deliver(
        cloud,
        canceled_body(cloud, booked["moves"], moved_to=new),
        created_body(cloud, new),
        canceled_body(cloud, booked["cancels"]),
        no_show_body(cloud, booked["misses"]),
    )
    settle(cloud)
    for who, words in (("confirms", "1"), ("writes", WORDS[1]), ("misses", "CANCEL"), ("moves", "STOP")):
        inbound(cloud, from_=phones[who], body=words)

    # An answer, and a confirmation, that have to wait.
    at_calcom = new_phone()
    fields = {"phone": at_calcom, "uid": new_uid(), "starts_at": now + timedelta(days=2), "name": NAMES[2]}
    contacts = cloud.outputs["tables"]["contacts"]
    cloud.dynamodb.put_item(TableName=contacts, Item=dict(CONTROL_KEY) | {"paused": {"BOOL": True}})
    wait_for_flag()
    inbound(cloud, from_=phones["confirms"], body=f"Another time please. {WORDS[0]}")
    take(cloud, Provider.CALCOM, calcom_body(cloud, "BOOKING_CREATED", **fields))
    settle(cloud)
    lift_pause(cloud)
    cloud.advance(timedelta(hours=4))

    _hand_in_bad_webhooks(cloud, phones["writes"])
    assert status_of(cloud, booked["writes"]) == "RESPONDED"
    assert purposes_to(cloud, phones["confirms"]) == ["confirmation", "reschedule"]
    assert "follow-up" in purposes_to(cloud, at_calcom)
    # Who it was about, and in which words, waits in a state machine, too: by ids.
    assert purposes_to(cloud, phones["rates"]) == ["confirmation"]
    assert any(row.get("phoneNumber") == phones["rates"] for row in cloud.rows("customers"))
    return {*phones.values(), at_calcom}


def _hand_in_bad_webhooks(cloud: Cloud, phone: str) -> None:
    body = created_body(cloud, new_appointment(cloud, phone, name=NAMES[1]))
    unusable = json.dumps({"event": WORDS[2], "payload": {"name": NAMES[0], "phone": phone}}).encode()
    nobody = created_body(cloud, new_appointment(cloud, f"{phone} or {WORDS[0]}", name=NAMES[0]))
    assert post_webhook(cloud, Provider.CALENDLY, body, {}).status_code == 401
    assert post_webhook(cloud, Provider.CALENDLY, unusable).json() == {"status": "ignored"}
    assert post_webhook(cloud, Provider.CALENDLY, nobody).json() == {"status": "accepted"}
    # The row is not there: the step fails, and its trace says why.
    with pytest.raises(AssertionError, match="MissingConversationError"):
        invoke_step(cloud, new_appointment(cloud, phone, name=NAMES[0]), "confirm")


def _flush_logs(cloud: Cloud) -> None:
    """Call every function once more: the emulator may keep the last lines of a call until the next one."""
    cloud.door.get("/review")
    cloud.door.post("/submit-review", json={})
    cloud.broadcast({"dryRun": True})
    inbound(cloud, from_=new_phone(), body="help")
    phone = new_phone()
    deliver(cloud, created_body(cloud, new_appointment(cloud, phone)))
    settle(cloud)
    inbound(cloud, from_=phone, body="1")
    settle(cloud)
    wait_until_empty(cloud, "Event")


def test_nothing_personal_is_written_anywhere(running_cloud: Cloud, flow: Personal) -> None:
    lines = list(everything_written(running_cloud))

    assert leaks_in(lines, flow) == []
    # What must be there: all the functions have written, with the ids by which a text is found.
    messages = {entry.get("message") for entry in _entries(lines)}
    assert messages >= {
        "Audience taken",
        "Part sent",
        "Broadcast over",
        "Review page answered",
        "Review post answered",
        "delivery event recorded",
        "inbound message handled",
        "Webhook taken",
        "Webhook cannot be used",
        "Webhook refused",
        "Step of an appointment done",
        "Phone event handled",
    }
    delivered = {text["message_id"] for text in requests_to(running_cloud)}
    logged = {entry["message_id"] for entry in _entries(lines) if "message_id" in entry}
    assert delivered & logged
    assert {place for place, _ in lines} >= {"execution", "history"}


def test_the_input_of_an_execution_and_of_its_children_holds_ids_only(
    running_cloud: Cloud, flow: Personal
) -> None:
    lines = [line for place, line in everything_written(running_cloud) if place in ("execution", "history")]

    assert any("partKey" in line or "manifestKey" in line for line in lines)
    assert not any("phoneNumber" in line or "firstName" in line for line in lines)
    assert leaks_in((("execution", line) for line in lines), flow) == []


def test_a_leak_in_any_log_group_would_be_found(quiet_cloud: Cloud) -> None:
    phone = new_phone()
    personal = Personal(phones={phone}, tokens={"EQ9" + "t" * 37}, words=set(WORDS))
    careless = [
        f'{{"message": "sent", "to": "{phone}"}}',
        f"to {phone[1:]}",
        f"GET /r/{next(iter(personal.tokens))} 200",
        f"wrote “{WORDS[1]}”",
        json.dumps({"name": NAMES[2]}),
        f"to {new_phone()[1:]}, of whom the test knows nothing",
    ]
    careful = ['{"to": "+***0101", "message_id": "5550100-1795231703111"}', f"from +{_OWN_NUMBER}"]
    logs = client(quiet_cloud, "logs")
    logs.create_log_group(logGroupName="/test/careless")
    try:
        logs.create_log_stream(logGroupName="/test/careless", logStreamName="one")
        events = [{"timestamp": 1_795_231_703_111, "message": line} for line in careless + careful]
        logs.put_log_events(logGroupName="/test/careless", logStreamName="one", logEvents=events)

        written = [line for place, line in logged_lines(quiet_cloud) if place == "/test/careless"]
        found = [bool(leaks_in([("", line)], personal)) for line in written]
    finally:
        logs.delete_log_group(logGroupName="/test/careless")

    assert written == careless + careful
    assert found == [True] * len(careless) + [False] * len(careful)


def _entries(lines: Iterable[tuple[str, str]]) -> list[dict]:
    entries = []
    for _, line in lines:
        if line.startswith("{") and '"message"' in line:
            entries.append(json.loads(line))
    return entries
