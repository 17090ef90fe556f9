"""The carrier's faults by switch: what comes twice, late, overtaken, or is never answered."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from sms_local.carrier.script import REORDERED_BY, Script, WayFaults

US = "+14255550182"
TOPIC, TWO_WAY = (f"arn:aws:sns:us-east-1:000000000000:{name}" for name in ("events", "two-way"))


class CloudSwitches:
    """The rest of the cloud: keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Mapping[str, Any]] = []

    @property
    def are_set(self) -> bool:
        return bool(self.told and self.told[-1])

    async def set(self, fields: Mapping[str, Any]) -> None:
        self.told.append(fields)

    async def read(self) -> Mapping[str, Any]:
        return {"service_throttle": 0.5, "function_crash": 0.25, "done": {"duplicate": 7}}


def configure(carrier) -> None:
    carrier.sms.create_configuration_set(ConfigurationSetName="set")
    carrier.sms.create_event_destination(
        ConfigurationSetName="set",
        EventDestinationName="topic",
        MatchingEventTypes=["TEXT_ALL"],
        SnsDestination={"TopicArn": TOPIC},
    )


def send(carrier, **request: Any) -> str:
    request = {"MessageBody": "Hi", "ConfigurationSetName": "set"} | request
    return carrier.sms.send_text_message(DestinationPhoneNumber=US, **request)["MessageId"]


def types_on(carrier) -> list[str]:
    return [event["eventType"] for event in carrier.topics.on(TOPIC)]


def two_way(carrier) -> None:
    carrier.sms.update_phone_number(
        PhoneNumberId="phone-local0000000000000000000000000",
        TwoWayEnabled=True,
        TwoWayChannelArn=TWO_WAY,
        SelfManagedOptOutsEnabled=True,
    )


def test_duplicated_events_come_twice(carrier, until):
    configure(carrier)
    carrier.control("POST", "fault", duplicate=1)

    send(carrier)

    until(lambda: len(types_on(carrier)) == 4)
    assert sorted(types_on(carrier)) == ["TEXT_DELIVERED"] * 2 + ["TEXT_SUCCESSFUL"] * 2


def test_a_duplicated_text_of_a_phone_comes_twice_and_was_sent_once(carrier, until):
    two_way(carrier)
    carrier.control("POST", "fault", duplicate=1)

    sent = carrier.control("POST", "inbound", **{"from": US, "body": "YES"})

    until(lambda: len(carrier.topics.on(TWO_WAY)) == 2)
    ids = {text["inboundMessageId"] for text in carrier.topics.on(TWO_WAY)}
    assert ids == {sent["inbound_message_id"]}
    received = carrier.control("GET", "inbound")
    assert [(text["inbound_message_id"], text["from"], text["body"]) for text in received] == [
        (sent["inbound_message_id"], US, "YES")
    ]


def test_events_that_are_late_come_after_the_answer_of_the_phone(start_carrier, timeline, until):
    carrier = start_carrier(timeline=timeline)
    configure(carrier)
    two_way(carrier)
    carrier.control("POST", "fault", seed=3, delay=60)

    message_id = send(carrier)
    timeline.run(timedelta(seconds=1))

    assert types_on(carrier) == []
    # The phone has it all the same.
    assert [text["status"] for text in carrier.messages()] == ["TEXT_DELIVERED"]
    timeline.run(timedelta(seconds=61))
    assert sorted(types_on(carrier)) == ["TEXT_DELIVERED", "TEXT_SUCCESSFUL"]
    assert {event["messageId"] for event in carrier.topics.on(TOPIC)} == {message_id}


def test_a_reordered_text_of_a_phone_is_overtaken(start_carrier, timeline):
    carrier = start_carrier(timeline=timeline)
    two_way(carrier)
    carrier.control("POST", "fault", reorder=1)
    carrier.control("POST", "inbound", **{"from": US, "body": "first"})
    carrier.control("POST", "fault", reorder=0)
    carrier.control("POST", "inbound", **{"from": US, "body": "second"})

    timeline.run(REORDERED_BY)

    assert [text["messageBody"] for text in carrier.topics.on(TWO_WAY)] == ["second", "first"]
    first, second = carrier.control("GET", "inbound")
    assert first["received_at"] == second["received_at"] == second["told_at"]
    assert first["told_at"] > first["received_at"]


def test_an_accepted_text_that_crashes_is_sent_and_never_answered(carrier):
    carrier.control("POST", "fault", accept_crash=1)

    with pytest.raises(BotoCoreError):
        carrier.sms.send_text_message(DestinationPhoneNumber=US, MessageBody="Hi")

    assert [text["body"] for text in carrier.messages()] == ["Hi"]
    assert carrier.control("GET", "fault")["done"] == {"accept_crash": 1}


def test_faults_are_read_back_and_those_not_named_stay(carrier):
    carrier.control("POST", "fault", seed=5, duplicate=0.25, after_accept_crash=2, throttle=0.5)
    carrier.control("POST", "fault", delay=30)

    assert carrier.control("GET", "fault") == {
        "after_accept_crash": 2,
        "throttle": 0.5,
        "seed": 5,
        "duplicate": 0.25,
        "reorder": 0.0,
        "delay": 30,
        "accept_crash": 0.0,
        "done": {},
    }


def test_clearing_switches_all_off_those_of_the_cloud_too(start_carrier):
    cloud = CloudSwitches()
    carrier = start_carrier(cloud_faults=cloud)
    carrier.control("POST", "fault", seed=1, duplicate=0.5, function_crash=0.25, service_throttle=0.5)

    carrier.control("DELETE", "messages")

    assert cloud.told == [{"seed": 1, "duplicate": 0.5, "function_crash": 0.25, "service_throttle": 0.5}, {}]
    found = carrier.control("GET", "fault")
    assert (found["duplicate"], found["done"]) == (0, {"cloud_duplicate": 7})


def test_a_carrier_alone_has_no_cloud_to_break(carrier):
    answer = carrier.http.post("/control/fault", json={"function_crash": 0.5})

    assert answer.status_code == 409
    assert answer.json() == {"error": "This carrier has no cloud whose faults it could set."}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"duplicate": 1.5}, "`duplicate` must be between 0 and 1."),
        ({"seed": 0.5}, "`seed` must be a whole number."),
        ({"delay": -1}, "`delay` must be between 0 and"),
        ({"function_crash": "often"}, "`function_crash` must be a number."),
        ({"loss": 1}, "Unknown field loss; known: "),
    ],
)
def test_what_it_does_not_understand_is_refused_and_changes_nothing(carrier, body, sentence):
    answer = carrier.http.post("/control/fault", json={"reorder": 1, **body})

    assert answer.status_code == 400
    assert answer.json()["error"].startswith(sentence)
    assert carrier.control("GET", "fault")["reorder"] == 0


def test_texts_are_listed_from_where_one_asks(carrier):
    for number in range(3):
        carrier.sms.send_text_message(DestinationPhoneNumber=US, MessageBody=str(number))

    later = carrier.http.get("/control/messages", params={"after": 1})

    assert [text["body"] for text in later.json()] == ["1", "2"]
    assert carrier.http.get("/control/messages", params={"after": "x"}).status_code == 400


def test_a_seed_repeats_what_happens():
    def drawn(seed: int) -> list[list[timedelta]]:
        script = Script()
        script.set_way_faults(WayFaults(seed=seed, duplicate=0.3, reorder=0.3, delay=10))
        return [script.arrivals("event") for _ in range(20)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_without_faults_everything_arrives_once_and_at_once():
    assert Script().arrivals("event") == [timedelta(0)]
