"""What stands, as the cost command counts it, is what the templates have; and the page is what it prints."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from benchmarks.text_cost import PROFILE, STANDING_COMMAND, memory_of, synthesized
from sms_engagement_runtime.costs.domain.standing import standing_by_system, standing_of
from tools.appointment_tables import block_of
from tools.cost_page import PAGE, blocks

MEASURED = json.loads(PROFILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def templates():
    with synthesized() as templates:
        yield templates


def test_what_stands_is_what_the_templates_of_prod_have(templates: Mapping[str, Any]) -> None:
    counted = {name: dict(counts) for name, counts in standing_by_system(templates).items()}

    assert counted == MEASURED["standing"], f"run `{STANDING_COMMAND}`, and commit what it writes"


def test_the_function_that_sends_has_the_memory_that_is_reckoned_with(templates: Mapping[str, Any]) -> None:
    assert memory_of(templates)["SendPart"] == pytest.approx(MEASURED["sendPartGigabytes"], abs=0.001)


@pytest.mark.parametrize("name", blocks())
def test_the_page_has_the_tables_of_the_command(name: str) -> None:
    written = block_of(PAGE.read_text(encoding="utf-8"), name)

    assert written == blocks()[name], f"run `{STANDING_COMMAND}`, and commit what it writes"


def test_each_kind_of_what_stands_is_counted() -> None:
    resources = {
        "Key": {"Type": "AWS::KMS::Key"},
        "Alarm": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {"Namespace": "AWS/SQS"},
        },
        "Rate": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "Metrics": [
                    {"Expression": "a / b"},
                    {"MetricStat": {"Metric": {"Namespace": "Ours", "MetricName": "a"}}},
                    {"MetricStat": {"Metric": {"Namespace": "Ours", "MetricName": "b"}}},
                ]
            },
        },
        "Queue": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {"EventSourceArn": {"Fn::GetAtt": ["Q", "Arn"]}},
        },
        "Records": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {
                "EventSourceArn": {"Fn::GetAtt": ["S", "Arn"]},
                "StartingPosition": "TRIM_HORIZON",
            },
        },
        "Stream": {
            "Type": "AWS::Kinesis::Stream",
            "Properties": {"StreamModeDetails": {"StreamMode": "ON_DEMAND"}},
        },
        "Shards": {"Type": "AWS::Kinesis::Stream", "Properties": {"ShardCount": 2}},
        "Board": {"Type": "AWS::CloudWatch::Dashboard"},
        "Secret": {"Type": "AWS::SecretsManager::Secret"},
    }

    assert standing_of({"Resources": resources}) == {
        "KMS keys": 1,
        "alarm metrics": 3,
        "custom metrics": 2,
        "polled queues": 1,
        "streams on demand": 1,
        "shards": 2,
        "dashboards": 1,
        "secrets": 1,
    }
