"""Drives the embedded cloud in tests: customers, runs, texts, links, and what was stored and logged."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import count
from time import monotonic
from typing import Any

from sms_engagement_runtime.channel.adapters.pause import CONTROL_KEY
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_engagement_runtime.commands.main import ExitStatus, main
from sms_engagement_runtime.review_collector.domain.link_keys import LinkKeys, parse_keys
from sms_local.outputs import output_value
from sms_local.testing import Cloud, eventually

#: Area codes of the United States and Canada that no demo person has, in no state with hours of its own: what
#: becomes of a person must not depend on how many others tests made before. Behind each, 555-0100 to 555-0199
#: are set aside for fiction (NANPA).
AREA_CODES = (
    207,
    213,
    217,
    215,
    216,
    303,
    315,
    313,
    314,
    416,
    414,
    602,
    604,
    612,
    702,
    773,
    801,
    704,
    901,
    916,
)
#: Time passes by a minute after so many looks in vain, five seconds or more.
_LOOKS_A_STEP = 50

#: For how long a function believes a pause flag that it read, by the machine's own clock, and some more.
_FLAG_SECONDS = 1.2

_numbers = count()
_people = count(1000)
_LINK = re.compile(r"/r/([A-Za-z0-9_-]{40})(?![A-Za-z0-9_-])")


#: Part of the names of the channel's own queue of texts from phones, and of its dead letters'. The pipeline
#: has one, too, which gathers for a second.
_INBOUND_QUEUE = "ChannelInbound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A row of the customers table; `phone` as it stands there."""

    user_id: str
    phone: str | None
    name: str | None = "Sam Reed"
    status: str | None = "active"
    time_zone: str | None = None


def new_phone() -> str:
    """Return a number of fiction in E.164 that this test run has not used: nobody knows it yet."""
    index = next(_numbers)
    return f"+1{AREA_CODES[index // 100]}55501{index % 100:02}"


def new_customers(number: int, *, name: str | None = "Sam Reed") -> list[Customer]:
    """Return customers with new phones, and new ids: a review belongs to id and occasion."""
    return [
        Customer(user_id=f"customer-{next(_people):04}", phone=new_phone(), name=name) for _ in range(number)
    ]


def replace_customers(cloud: Cloud, people: Sequence[Customer]) -> None:
    """Put these customers into the table and take all others out."""
    table = cloud.outputs["tables"]["customers"]
    for row in cloud.rows("customers"):
        cloud.dynamodb.delete_item(TableName=table, Key={"userId": {"S": row["userId"]}})
    for person in people:
        fields = {
            "phoneNumber": person.phone,
            "name": person.name,
            "status": person.status,
            "timeZone": person.time_zone,
        }
        cloud.dynamodb.put_item(
            TableName=table,
            Item={
                "userId": {"S": person.user_id},
                "createdAt": {"N": "1767603600"},
                **{name: {"S": value} for name, value in fields.items() if value is not None},
            },
        )


def start_broadcast(cloud: Cloud, request: Mapping[str, Any] | None = None) -> str:
    """Start a run and return its ARN."""
    machine = cloud.outputs["state_machines"]["review_broadcast"]
    started = cloud.stepfunctions.start_execution(stateMachineArn=machine, input=json.dumps(request or {}))
    return started["executionArn"]


def summary_of(cloud: Cloud, execution_arn: str) -> dict[str, Any]:
    """Let time pass until a run has ended, and return its summary."""
    execution = cloud.ended(execution_arn)
    assert execution["status"] == "SUCCEEDED", execution
    summary: dict[str, Any] = json.loads(execution["output"])
    return summary


def queue_of(cloud: Cloud, execution_arn: str) -> list[str]:
    """Return the ids of those whom a run texts, in the order in which it does."""
    return [line["userId"] for line in _lines_of(cloud, execution_arn.rpartition(":")[2], "parts")]


def report_of(cloud: Cloud, run_id: str) -> dict[str, tuple[str, str | None]]:
    """Return state and reason of every customer in the results of a run; a customer has one line."""
    bucket, prefix = output_value(cloud.outputs, "BroadcastBucketName"), f"runs/{run_id}/"
    s3 = client(cloud, "s3")

    def read(key: str) -> bytes:
        content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    # A part that was repeated leaves more results; those that are listed count.
    listed = json.loads(read(f"{prefix}results.json"))["results"]
    lines = [json.loads(line) for result in listed for line in read(result["key"]).splitlines()]
    report = {line["userId"]: (line["state"], line["reason"]) for line in lines}
    assert len(report) == len(lines), "somebody has two outcomes in one run"
    return report


def progress_of(cloud: Cloud, execution_arn: str) -> dict[str, Any]:
    """Return a run in figures, as written down while it goes on; waits for the first turn."""
    bucket = output_value(cloud.outputs, "BroadcastBucketName")
    key = f"runs/{execution_arn.rpartition(':')[2]}/progress.json"
    s3 = client(cloud, "s3")

    def written() -> dict[str, Any] | None:
        try:
            return json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except s3.exceptions.NoSuchKey:
            return None

    progress = eventually(written, what="the first turn of the run")
    assert progress is not None
    return progress


def requests_to(cloud: Cloud, phone: str | None = None) -> list[dict[str, Any]]:
    """Return the review requests that the carrier accepted; replies to keywords are not among them."""
    return [text for text in cloud.texts(phone) if text["message_type"] == "PROMOTIONAL"]


def asked_phones(cloud: Cloud) -> list[str]:
    """Return the phones of all review requests, sorted, each as often as it was texted."""
    return sorted(text["to"] for text in requests_to(cloud))


def phones_of(people: Sequence[Customer]) -> list[str]:
    """Return the phones of customers, sorted."""
    return sorted(person.phone or "" for person in people)


def replies_to(cloud: Cloud, phone: str) -> list[str]:
    """Return our replies to keywords."""
    return [text["body"] for text in cloud.texts(phone) if text["message_type"] == "TRANSACTIONAL"]


def token_in(text: Mapping[str, Any]) -> str:
    """Return the token of the link in a text."""
    found = _LINK.search(text["body"])
    assert found is not None, "a text without a link"
    return found[1]


def ledger_rows(cloud: Cloud, phone: str) -> list[dict[str, Any]]:
    """Return the rows of a phone's texts."""
    subscriber = subscriber_of(cloud, phone)
    return [row for row in cloud.rows("messages") if row["subscriberId"] == subscriber]


def row_of(cloud: Cloud, phone: str, *, state: str) -> dict[str, Any]:
    """Wait until the one text of a phone has reached a state and return its row."""

    def reached() -> dict[str, Any] | None:
        rows = ledger_rows(cloud, phone)
        return rows[0] if len(rows) == 1 and rows[0]["state"] == state else None

    row = eventually(reached, what=f"a text in state {state}")
    assert row is not None
    return row


def consents_of(cloud: Cloud, phone: str) -> set[str]:
    """Return the states of a phone's consents, one for all scopes as a rule, none where none is known."""
    subscriber = subscriber_of(cloud, phone)
    rows = cloud.rows("contacts")
    own = [row for row in rows if row["subscriberId"] == subscriber and row["record"] == "contact"]
    return {state for row in own for state in row.get("consents", {}).values()}


def inbound(cloud: Cloud, **fields: Any) -> str:
    """Send a text from a phone, wait until the channel has nothing left to do about it, and return its id.

    What was delivered twice is drained, too. For `fields` see `handled_inbound`.
    """
    inbound_id = handled_inbound(cloud, **fields)
    wait_until_empty(cloud, _INBOUND_QUEUE)
    return inbound_id


def handled_inbound(cloud: Cloud, **fields: Any) -> str:
    """Send a text from a phone, wait until it is handled, and return its id; its answer may still wait.

    `fields` are those of the carrier's control API; ``from_`` stands for ``from``.
    """
    fields = {name.rstrip("_"): value for name, value in fields.items()}
    answer = cloud.carrier.post("/control/inbound", json=fields).raise_for_status()
    inbound_id: str = answer.json()["inbound_message_id"]

    def is_marked() -> bool:
        marked = cloud.dynamodb.get_item(
            TableName=cloud.outputs["tables"]["contacts"],
            Key={"subscriberId": {"S": f"inbound#{inbound_id}"}, "record": {"S": "handled"}},
            ConsistentRead=True,
        )
        return "Item" in marked

    _in_its_time(cloud, is_marked, what="the mark of an inbound text that was handled")
    return inbound_id


def wait_until_empty(cloud: Cloud, part_of_name: str) -> None:
    """Wait until the queues whose name holds this have no message left, waiting, delayed or being handled."""
    urls = [url for url in cloud.sqs.list_queues()["QueueUrls"] if part_of_name in url]
    assert urls, part_of_name
    counts = (
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesDelayed",
        "ApproximateNumberOfMessagesNotVisible",
    )

    def is_empty() -> bool:
        return not any(
            int(number)
            for url in urls
            for number in cloud.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=counts)[
                "Attributes"
            ].values()
        )

    _in_its_time(cloud, is_empty, what=f"the end of the messages in {part_of_name}")


def _in_its_time(cloud: Cloud, look: Callable[[], bool], *, what: str) -> None:
    """Wait until something is true, by the clock: a message that comes again does so minutes later."""
    looks = count(1)

    def is_true() -> bool:
        if look():
            return True
        is_step = next(looks) % _LOOKS_A_STEP == 0
        cloud.advance(timedelta(minutes=1) if is_step else timedelta(0))
        return look()

    eventually(is_true, what=what)


def outcome(cloud: Cloud, **fields: Any) -> None:
    """Tell the carrier what becomes of texts."""
    cloud.carrier.post("/control/outcome", json=fields).raise_for_status()


def fault(cloud: Cloud, **fields: Any) -> None:
    """Switch faults of the carrier."""
    cloud.carrier.post("/control/fault", json=fields).raise_for_status()


def link_in(text: Mapping[str, Any]) -> str:
    """Return the link in a text that the carrier accepted."""
    found = re.search(r"https?://\S+", text["body"])
    assert found is not None, text["body"]
    return found[0]


def link_keys(cloud: Cloud) -> LinkKeys:
    """Return the keys that links are signed with."""
    return parse_keys(_secret(cloud, cloud.outputs["secrets"]["review_token"]))


@cache
def _subscriber_key(cloud: Cloud) -> bytes:
    _, environment = function_with(cloud, "SUBSCRIBER_KEY_SECRET_ARN")
    return _secret(cloud, environment["SUBSCRIBER_KEY_SECRET_ARN"]).encode()


def subscriber_of(cloud: Cloud, phone: str) -> str:
    """Return the subscriber id of a phone."""
    return subscriber_id(PhoneNumber(phone), _subscriber_key(cloud))


def function_with(cloud: Cloud, variable: str) -> tuple[str, dict[str, str]]:
    """Return name and environment of a function that has this environment variable."""
    for found in functions_with(cloud, variable).items():
        return found
    raise LookupError(variable)


def functions_with(cloud: Cloud, variable: str) -> dict[str, dict[str, str]]:
    """Return the environments of the functions that have this environment variable, by their names."""
    functions = client(cloud, "lambda")
    environments = {
        function["FunctionName"]: function.get("Environment", {}).get("Variables", {})
        for page in functions.get_paginator("list_functions").paginate()
        for function in page["Functions"]
    }
    return {name: dict(found) for name, found in environments.items() if variable in found}


def logged_lines(cloud: Cloud) -> Iterator[tuple[str, str]]:
    """Yield every line of every log group, with the group's name."""
    logs = client(cloud, "logs")
    groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    for name in groups:
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=name):
            for event in page["events"]:
                yield name, event["message"]


def logged_entries(cloud: Cloud, message: str) -> list[dict[str, Any]]:
    """Return the JSON log lines with this message."""
    return [json.loads(line) for _, line in logged_lines(cloud) if f'"message": "{message}"' in line]


def client(cloud: Cloud, service: str) -> Any:
    """Return the client of a service, of the account's root user."""
    return cloud.client(service)


def _lines_of(cloud: Cloud, run_id: str, kind: str) -> list[dict[str, Any]]:
    bucket = output_value(cloud.outputs, "BroadcastBucketName")
    lines: list[dict[str, Any]] = []
    s3 = client(cloud, "s3")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"runs/{run_id}/{kind}/")
    for found in listed.get("Contents", []):
        body = s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()
        lines += map(json.loads, body.splitlines())
    return lines


def _secret(cloud: Cloud, arn: str) -> str:
    secrets = client(cloud, "secretsmanager")
    text: str = secrets.get_secret_value(SecretId=arn)["SecretString"]
    return text


def command(cloud: Cloud, *arguments: str) -> None:
    """Run the operators' command on this cloud; in this process, since a new one takes its time to begin."""
    place = (
        "--contacts-table",
        cloud.outputs["tables"]["contacts"],
        "--endpoint-url",
        cloud.places.aws_endpoint,
    )
    assert main([*arguments, *place]) == ExitStatus.DONE


def lift_pause(cloud: Cloud) -> None:
    """Let sending go on if a test has left it paused, and wait until every function knows."""
    contacts = cloud.outputs["tables"]["contacts"]
    answer = cloud.dynamodb.delete_item(TableName=contacts, Key=CONTROL_KEY, ReturnValues="ALL_OLD")
    if answer.get("Attributes", {}).get("paused", {}).get("BOOL"):
        wait_for_flag()


def wait_for_flag() -> None:
    """Wait until no function believes the pause flag any more that it read before."""
    written = monotonic()
    eventually(lambda: monotonic() - written > _FLAG_SECONDS, what="the next look at the flag")
