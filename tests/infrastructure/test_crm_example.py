"""The example that hands appointments to a CRM: what it matches, what it posts, what it refuses."""

import json
import re
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_events as events
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from moto.events.models import EventPattern

from examples.crm_hand_over import CrmHandOver
from tests.infrastructure.synthesis import (
    Template,
    channel_in,
    nag_findings,
    new_stack,
    resources_of,
    rights_of,
    template_of,
)
from tests.support.bus_schemas import documented

URL = "https://crm.example/hooks/appointments"
APPOINTMENT_EVENTS = {
    "AppointmentBooked",
    "AppointmentCancelled",
    "AppointmentConfirmationSent",
    "AppointmentConfirmed",
    "AppointmentFinished",
    "AppointmentFollowUpSent",
    "AppointmentMoved",
    "AppointmentNoShow",
    "AppointmentReplied",
}
DETAIL = {
    "eventId": "AppointmentBooked/ViPzVXPvhaAAxhv0cXMhMH0R4h0",
    "appointmentId": "ViPzVXPvhaAAxhv0cXMhMH0R4h0",
    "provider": "calcom",
    "externalId": "bFJeNb2uX8ANpT3JL5EfXw",
    "subscriberId": None,
    "status": "FAILED",
    "reason": "NO_PHONE",
    "eventName": 'A "strategy" session',
    "startsAt": "2026-12-01T18:00:00+00:00",
    "endsAt": "2026-12-01T18:30:00+00:00",
    "occurredAt": "2026-11-21T17:00:00+00:00",
    "schemaVersion": 1,
}


def crm_in(stack: cdk.Stack, bus: events.IEventBus, **props: Any) -> CrmHandOver:
    key = secretsmanager.Secret.from_secret_name_v2(stack, "CrmKey", "crm/api-key")
    return CrmHandOver(stack, "Crm", bus=bus, api_key=key, **{"endpoint_url": URL, **props})


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    stack = new_stack()
    crm_in(stack, channel_in(stack).bus, alarm_topic=sns.Topic(stack, "Alarms", enforce_ssl=True))
    return stack


@pytest.fixture(scope="module")
def template(stack: cdk.Stack) -> Template:
    return template_of(stack)


@pytest.fixture(scope="module")
def rule(template: Template) -> dict[str, Any]:
    (rule,) = [
        rule
        for rule in resources_of(template, "AWS::Events::Rule").values()
        if "appointments" in rule["Description"]
    ]
    return rule


@pytest.fixture(scope="module")
def target(rule: dict[str, Any]) -> dict[str, Any]:
    (target,) = rule["Targets"]
    return target


def matches(rule: dict[str, Any], detail_type: str, source: str = "sms-engagement") -> bool:
    pattern = EventPattern.load(json.dumps(rule["EventPattern"]))
    matched: bool = pattern.matches_event({"source": source, "detail-type": detail_type, "detail": DETAIL})
    return matched


def posted(target: dict[str, Any], event: dict[str, Any]) -> Any:
    """The body that EventBridge makes of an event."""
    transformer = target["InputTransformer"]

    def value(match: re.Match[str]) -> str:
        found: Any = event
        for name in transformer["InputPathsMap"][match[1]].removeprefix("$.").split("."):
            found = found[name]
        return json.dumps(found)

    return json.loads(re.sub(r"<([\w-]+)>", value, transformer["InputTemplate"]))


def test_it_takes_every_event_of_an_appointment_and_no_other(rule: dict[str, Any]) -> None:
    taken = {detail_type for detail_type in documented() if matches(rule, detail_type)}

    assert taken == APPOINTMENT_EVENTS
    assert {"ReplyReceived", "ReviewRequested", "TextFailed", "OptedOut"} <= documented() - taken


def test_it_takes_nothing_from_others_who_use_the_bus(rule: dict[str, Any]) -> None:
    assert not matches(rule, "AppointmentBooked", source="somebody-else")


def test_it_listens_on_the_bus_that_it_was_given(template: Template, rule: dict[str, Any]) -> None:
    (bus,) = (name for name, each in template["Resources"].items() if each["Type"] == "AWS::Events::EventBus")

    assert rule["EventBusName"] == {"Ref": bus}


def test_the_body_names_the_event_the_person_and_the_appointment(target: dict[str, Any]) -> None:
    body = posted(target, {"source": "sms-engagement", "detail-type": "AppointmentBooked", "detail": DETAIL})

    assert body == {
        "eventId": DETAIL["eventId"],
        "type": "AppointmentBooked",
        "occurredAt": DETAIL["occurredAt"],
        "person": {"provider": "calcom", "externalId": "bFJeNb2uX8ANpT3JL5EfXw"},
        "appointment": {
            "id": DETAIL["appointmentId"],
            "name": 'A "strategy" session',
            "startsAt": DETAIL["startsAt"],
            "endsAt": DETAIL["endsAt"],
            "status": "FAILED",
        },
        "detail": DETAIL,
    }


def test_no_field_that_may_be_null_is_put_in_by_itself(target: dict[str, Any]) -> None:
    paths = set(target["InputTransformer"]["InputPathsMap"].values())

    assert "$.detail" in paths
    assert not paths & {f"$.detail.{name}" for name in ("subscriberId", "reason", "by")}


def test_the_key_goes_in_a_header_and_stays_out_of_the_template(template: Template) -> None:
    (connection,) = resources_of(template, "AWS::Events::Connection").values()

    assert connection["AuthorizationType"] == "API_KEY"
    key = connection["AuthParameters"]["ApiKeyAuthParameters"]
    assert key["ApiKeyName"] == "x-api-key"
    assert "{{resolve:secretsmanager:" in json.dumps(key["ApiKeyValue"])


def test_what_is_not_taken_is_tried_for_a_day_and_then_kept(
    template: Template, target: dict[str, Any]
) -> None:
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185}
    ((queue_id, queue),) = (
        (name, queue)
        for name, queue in resources_of(template, "AWS::SQS::Queue").items()
        if name.startswith("Crm")
    )
    assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": [queue_id, "Arn"]}
    assert queue["MessageRetentionPeriod"] == 14 * 86_400
    (alarm,) = (
        alarm
        for name, alarm in resources_of(template, "AWS::CloudWatch::Alarm").items()
        if name.startswith("Crm")
    )
    assert alarm["Threshold"] == 1
    assert alarm["AlarmActions"]


def test_it_may_call_the_endpoint_and_nothing_else(template: Template) -> None:
    rights = {role: actions for role, actions in rights_of(template).items() if role.startswith("Crm")}

    assert list(rights.values()) == [{"events:InvokeApiDestination"}]


def test_nothing_is_left_for_cdk_nag(stack: cdk.Stack) -> None:
    assert [finding for finding in nag_findings(stack) if "/Crm" in finding] == []


@pytest.mark.parametrize(
    ("props", "message"),
    [
        ({"endpoint_url": "http://crm.example"}, "must begin with https://"),
        ({"requests_per_second": 0}, "between 1 and 300, got 0"),
        ({"requests_per_second": 301}, "between 1 and 300, got 301"),
        ({"keep_trying_for": cdk.Duration.seconds(59)}, "between 1 minute and 24 hours"),
        ({"keep_trying_for": cdk.Duration.hours(25)}, "between 1 minute and 24 hours"),
    ],
)
def test_props_that_cannot_work_are_refused(props: dict[str, Any], message: str) -> None:
    stack = new_stack()

    with pytest.raises(ValueError, match=message):
        crm_in(stack, events.EventBus(stack, "Bus"), **props)


def test_the_rate_and_the_header_can_be_chosen() -> None:
    stack = new_stack()
    crm_in(stack, events.EventBus(stack, "Bus"), requests_per_second=2, api_key_header="Authorization")

    template = template_of(stack)

    (destination,) = resources_of(template, "AWS::Events::ApiDestination").values()
    assert destination["InvocationRateLimitPerSecond"] == 2
    assert destination["InvocationEndpoint"] == URL
    assert '"ApiKeyName": "Authorization"' in json.dumps(template)
