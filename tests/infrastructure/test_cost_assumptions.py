"""What the bill of appointments takes for granted is what the constructs make."""

from collections.abc import Mapping

import pytest

from benchmarks.appointment_cost import ALARM_METRICS, KMS_KEYS, MEMORY_GB, POLLED_QUEUES, SECRETS
from sms_engagement import AppointmentFollowUp
from tests.infrastructure.synthesis import Template, channel_in, new_app, new_stack, resources_of

FUNCTIONS = {
    "Webhook": "webhook",
    "FollowUp": "follow up",
    "PhoneEvents": "phone events",
    "Router": "router",
    "EventRecorder": "event recorder",
}


@pytest.fixture(scope="module")
def templates() -> Mapping[str, Template]:
    app = new_app()
    stacks = {"SmsChannel": new_stack(app, "A"), "AppointmentFollowUp": new_stack(app, "B")}
    AppointmentFollowUp(
        stacks["AppointmentFollowUp"], "Appointments", channel=channel_in(stacks["SmsChannel"])
    )
    assembly = app.synth()
    return {owner: assembly.get_stack_by_name(stack.stack_name).template for owner, stack in stacks.items()}


def test_functions_have_the_memory_that_is_reckoned_with(templates: Mapping[str, Template]) -> None:
    found = {
        FUNCTIONS[name]: function["MemorySize"] / 1024
        for template in templates.values()
        for logical_id, function in resources_of(template, "AWS::Lambda::Function").items()
        for name in FUNCTIONS
        if logical_id[:-8].endswith(name) and "MemorySize" in function
    }

    assert found == MEMORY_GB


@pytest.mark.parametrize(
    ("counts", "type_"),
    [
        (SECRETS, "AWS::SecretsManager::Secret"),
        (KMS_KEYS, "AWS::KMS::Key"),
        (POLLED_QUEUES, "AWS::Lambda::EventSourceMapping"),
    ],
)
def test_what_costs_by_the_month_is_counted(
    templates: Mapping[str, Template], counts: Mapping[str, int], type_: str
) -> None:
    assert {owner: len(resources_of(template, type_)) for owner, template in templates.items()} == counts


def test_every_metric_of_an_alarm_is_counted(templates: Mapping[str, Template]) -> None:
    counts = {
        owner: sum(
            sum("MetricStat" in metric for metric in alarm.get("Metrics", ())) or 1
            for alarm in resources_of(template, "AWS::CloudWatch::Alarm").values()
        )
        for owner, template in templates.items()
    }

    assert counts == ALARM_METRICS
