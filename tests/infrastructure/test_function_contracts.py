"""What templates and Lambda code agree on, written twice and held together here."""

import dataclasses
import importlib
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from sms_engagement_runtime import settings
from sms_engagement_runtime.review_collector.adapters.secret_http import AwsEnvironment
from tests.infrastructure.synthesis import ROOT, Template, resources_of

RUNTIME = ROOT / "runtime" / "sms_engagement_runtime"

HANDLERS = sorted(
    f"{capability}.handlers.{module}"
    for capability, modules in {
        "appointment_follow_up": ["follow_up", "phone_events", "webhook"],
        "channel": [
            "event_recorder",
            "opt_out_reports",
            "origination",
            "plan_broadcast",
            "reconcile",
            "router",
            "summarise_broadcast",
            "timeline",
        ],
        "journeys": ["audience", "phone_events", "send_part", "start_journey"],
        "sms_analytics_pipeline": [
            "analytics",
            "archive",
            "compact",
            "event_processor",
            "ingest",
            "response_handler",
            "subscription_events",
        ],
        "review_collector": [
            "archive_reviews",
            "audience",
            "console",
            "count_reviews",
            "digest",
            "form",
            "helpful",
            "moderate",
            "public_reviews",
            "review_requested",
            "rotate_link_key",
            "send_part",
            "submit",
        ],
    }.items()
    for module in modules
)


def functions(stage_templates: Mapping[str, Template]) -> dict[str, dict[str, Any]]:
    return {
        re.sub(r"^sms_engagement_runtime\.(.*)\.handler$", r"\1", function["Handler"]): function
        for name in ("dev-Channel", "dev-Reviews", "dev-Appointments", "dev-Analytics", "dev-Journeys")
        for function in resources_of(stage_templates[name], "AWS::Lambda::Function").values()
    }


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[type[Any]]]:
    """Settings classes that are loaded while the test runs; modules are as before afterwards."""
    classes: list[type[Any]] = []
    real = settings.load

    def recording(cls: type[Any], *arguments: Any) -> Any:
        classes.append(cls)
        return real(cls, *arguments)

    monkeypatch.setattr(settings, "load", recording)
    before = dict(sys.modules)
    for name in list(sys.modules):
        if ".handlers" in name and name.startswith("sms_engagement_runtime."):
            del sys.modules[name]
    yield classes
    for name in set(sys.modules) - set(before):
        if name.startswith("sms_engagement_runtime."):
            del sys.modules[name]
    sys.modules.update(
        {name: module for name, module in before.items() if name.startswith("sms_engagement_runtime")}
    )


def deployed(value: Any) -> str:
    """A variable's value, with something in place of names and ARNs that only a deployment knows."""
    match value:
        case str():
            return value
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(deployed, parts))
    return "arn:aws:x:us-east-1:111122223333:y"


def test_there_is_a_function_for_every_handler(stage_templates: Mapping[str, Template]) -> None:
    assert sorted(functions(stage_templates)) == HANDLERS


@pytest.mark.parametrize("handler", HANDLERS)
def test_the_handler_starts_in_the_environment_of_its_template(
    handler: str,
    stage_templates: Mapping[str, Template],
    loaded: list[type[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    variables = functions(stage_templates)[handler]["Environment"]["Variables"]
    for name, value in variables.items():
        monkeypatch.setenv(name, deployed(value))

    module = importlib.import_module(f"sms_engagement_runtime.{handler}")

    assert callable(module.handler)
    fields = [
        field
        for cls in loaded
        if cls is not AwsEnvironment
        for field in dataclasses.fields(cls)
        if field.init
    ]
    known = {settings.variable_name(field.name) for field in fields}
    needed = {
        settings.variable_name(field.name)
        for field in fields
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    given = {name for name in variables if not name.startswith("POWERTOOLS_")}
    assert given <= known
    assert needed <= given


def test_metrics_of_alarms_are_metrics_that_the_code_emits(stage_templates: Mapping[str, Template]) -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in RUNTIME.rglob("*.py"))
    names = {
        alarm["MetricName"]
        for template in stage_templates.values()
        for alarm in resources_of(template, "AWS::CloudWatch::Alarm").values()
        if alarm.get("Namespace") == "SMS/Engagement"
    }

    counted_from_logs = {
        transformation["MetricName"]
        for template in stage_templates.values()
        for filtered in resources_of(template, "AWS::Logs::MetricFilter").values()
        for transformation in filtered["MetricTransformations"]
    }

    assert names == {
        "IngestSetAside",
        "MalformedEvents",
        "OptOutListDrift",
        "PeopleNotAsked",
        "PeopleNotTexted",
        "ReviewsUnannounced",
        "SendingDisabled",
        "WebhooksFailed",
        "WebhooksRefused",
    }
    assert all(f'"{name}"' in source for name in names - counted_from_logs)


@pytest.mark.parametrize(
    ("stack", "service"),
    [
        ("dev-Channel", "dev-Channel-channel"),
        ("dev-Reviews", "dev-Reviews-review-collector"),
        ("dev-Appointments", "dev-Appointments-appointments"),
        ("dev-Analytics", "dev-Analytics-analytics"),
        ("dev-Journeys", "dev-Journeys-journeys"),
    ],
)
def test_metrics_are_told_apart_by_the_service_of_the_functions(
    stage_templates: Mapping[str, Template], stack: str, service: str
) -> None:
    alarms = resources_of(stage_templates[stack], "AWS::CloudWatch::Alarm").values()
    functions = resources_of(stage_templates[stack], "AWS::Lambda::Function").values()

    dimensions = [alarm["Dimensions"] for alarm in alarms if alarm.get("Namespace") == "SMS/Engagement"]
    services = {function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] for function in functions}

    assert dimensions
    assert all(own == [{"Name": "service", "Value": service}] for own in dimensions)
    assert services == {service}
