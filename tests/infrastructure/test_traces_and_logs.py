"""Traces and logs of all environments: everything traces, everything logs, and every log has an end."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.infrastructure.synthesis import Template, resources_of


def each(templates: Mapping[str, Template], type_: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for stack, template in templates.items():
        for name, properties in resources_of(template, type_).items():
            yield f"{stack}/{name}", properties


def test_every_function_and_every_state_machine_traces(environment_templates: Mapping[str, Template]) -> None:
    functions = dict(each(environment_templates, "AWS::Lambda::Function"))
    machines = dict(each(environment_templates, "AWS::StepFunctions::StateMachine"))

    assert len(functions) > 100
    assert {name for name, of in functions.items() if of.get("TracingConfig") != {"Mode": "Active"}} == set()
    assert {name for name, of in machines.items() if not of["TracingConfiguration"]["Enabled"]} == set()


def test_every_function_logs_into_a_group_of_its_own_at_a_level(
    environment_templates: Mapping[str, Template],
) -> None:
    groups = []
    for name, function in each(environment_templates, "AWS::Lambda::Function"):
        group = function["LoggingConfig"]["LogGroup"]["Ref"]
        groups.append((name.split("/")[0], group))

        assert function["Environment"]["Variables"]["POWERTOOLS_LOG_LEVEL"] in {"DEBUG", "INFO"}, name
        assert function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"], name
    assert len(set(groups)) == len(groups)


def test_every_log_ends_after_the_time_of_its_environment(
    environment_templates: Mapping[str, Template],
) -> None:
    for environment in ("local", "dev", "staging", "prod"):
        kept = {
            group.get("RetentionInDays")
            for name, group in each(environment_templates, "AWS::Logs::LogGroup")
            if name.startswith(f"{environment}-")
        }

        # One time for all logs of an environment, the access logs and those of state machines included.
        assert len(kept) == 1, environment
        assert all(isinstance(days, int) and 1 <= days <= 3653 for days in kept), environment


def test_state_machines_and_apis_log_without_what_people_sent(
    environment_templates: Mapping[str, Template],
) -> None:
    for name, machine in each(environment_templates, "AWS::StepFunctions::StateMachine"):
        assert machine["LoggingConfiguration"]["Level"] == "ALL", name
        assert machine["LoggingConfiguration"]["IncludeExecutionData"] is False, name
    for name, stage in each(environment_templates, "AWS::ApiGatewayV2::Stage"):
        fields = set(json.loads(stage["AccessLogSettings"]["Format"]).values())

        # Paths and queries hold tokens.
        assert {"$context.status", "$context.responseLatency"} <= fields, name
        assert not fields & {"$context.path", "$context.identity.sourceIp", "$context.identity.userAgent"}, (
            name
        )
