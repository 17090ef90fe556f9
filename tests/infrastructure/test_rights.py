"""Rights that the embedded cloud does not ask for, held on the templates of a whole environment.

What functions may do is held by ``tests/cloud/test_least_privilege.py``. Here: roles of state machines,
schedules and event sources against what uses them, both ways; who may call, publish and send; TLS; wildcards.
A new resource is looked at by itself.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.infrastructure.synthesis import Template
from tools.appointment_tables import block_of
from tools.rights_tables import BLOCKS, COMMAND, PAGE

LOG_DELIVERY: Final = {
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
}
"""Of a state machine with a log: *Logging using CloudWatch Logs* of the Step Functions developer guide."""

TRACING: Final = {
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}

STEPS: Final[Mapping[str, set[str]]] = {
    "lambda:invoke": {"lambda:InvokeFunction"},
    "sqs:sendMessage": {"sqs:SendMessage"},
    "states:startExecution": {"states:StartExecution"},
    # Waits by a rule that the service keeps. Source: developer guide, *IAM policies for integrated services*.
    "states:startExecution.sync:2": {
        "states:StartExecution",
        "states:DescribeExecution",
        "states:StopExecution",
        "events:DescribeRule",
        "events:PutRule",
        "events:PutTargets",
    },
    "aws-sdk:sfn:describeExecution": {"states:DescribeExecution"},
    # Of a Distributed Map: its items, and its results in parts.
    "s3:getObject": {"s3:GetObject"},
    "s3:putObject": {
        "s3:AbortMultipartUpload",
        "s3:GetObject",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
    },
}
"""What a step of a definition takes, by its resource. A new one is added with its source."""

DISTRIBUTED_MAP: Final = {
    "states:StartExecution",
    "states:DescribeExecution",
    "states:StopExecution",
    "states:RedriveExecution",
}

POLLING: Final[Mapping[str, set[str]]] = {
    "sqs": {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"},
    "kinesis": {
        "kinesis:DescribeStreamSummary",
        "kinesis:GetRecords",
        "kinesis:GetShardIterator",
        "kinesis:ListShards",
    },
    "dynamodb": {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"},
}
"""What Lambda's poller needs of an event source: Lambda developer guide, *execution role permissions*."""

ANYWHERE: Final[Mapping[str, str]] = {
    **dict.fromkeys(LOG_DELIVERY, "log delivery has no resources to name"),
    **dict.fromkeys(TRACING, "X-Ray has no resources to name"),
    "dynamodb:ListStreams": "takes no resource",
    "secretsmanager:GetRandomPassword": "takes no resource",
}
"""Actions that are allowed on ``*``, with the reason."""

WILDCARDS: Final[Mapping[str, str]] = {
    "/compacted/*": "objects of the archive, by a prefix of their keys",
    "/compacting/*": "objects of the archive, by a prefix of their keys",
    "/compactions/*": "objects of the archive, by a prefix of their keys",
    "/events/*": "objects of the archive, by a prefix of their keys",
    "/notices/*": "objects of the archive, by a prefix of their keys",
    "/quarantine/*": "objects of the archive, by a prefix of their keys",
    "/query-results/*": "objects of the archive, by a prefix of their keys",
    "/reviews/*": "objects of the archive of reviews",
    "/runs/*": "objects of broadcasts, by a prefix of their keys",
    "/shuffle/*": "objects of an audience that is sorted, by a prefix of their keys",
    ":*": "executions of one state machine, or versions of one function",
    "/*:*": "runs of one state machine's map",
}
"""Ends of resources with a wildcard, with the reason."""

STACKS: Final = ("Data", "Channel", "Analytics", "Appointments", "Journeys", "Reviews")


@dataclass(frozen=True)
class Rights:
    """The resources of an environment, and the statements of its roles."""

    templates: Mapping[str, Template]

    def of(self, type_: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for template in self.templates.values():
            for name, resource in template["Resources"].items():
                if resource["Type"] == type_:
                    yield name, resource["Properties"]

    def statements(self, role: str) -> list[dict[str, Any]]:
        """Return the statements of a role, by its logical id."""
        return [
            statement
            for _, policy in self.of("AWS::IAM::Policy")
            if role in {each.get("Ref") for each in policy["Roles"]}
            for statement in policy["PolicyDocument"]["Statement"]
        ]

    def actions(self, role: str) -> set[str]:
        return {action for statement in self.statements(role) for action in listed(statement["Action"])}

    def may(self, role: str, action: str, resource: Any) -> bool:
        """Return whether a role may do something with exactly this resource."""
        return any(
            action in listed(statement["Action"]) and resource in listed(statement["Resource"])
            for statement in self.statements(role)
        )


@pytest.fixture(scope="module", params=["dev", "local"])
def rights(request: pytest.FixtureRequest, stage_templates: Mapping[str, Template]) -> Rights:
    prefix = f"{request.param}-"
    chosen = {name: each for name, each in stage_templates.items() if name.startswith(prefix)}
    assert set(chosen) >= {f"{prefix}{name}" for name in STACKS}
    return Rights(chosen)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def role_of(value: Mapping[str, Any]) -> str:
    name: str = value["Fn::GetAtt"][0]
    return name


def text_of(value: Any) -> str:
    """Return a text of a template, with ``{name}`` for what only a deployment knows."""
    match value:
        case str():
            return value
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(text_of, parts))
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{{{name}.{attribute}}}"
        case {"Ref": name} | {"Fn::ImportValue": name}:
            return f"{{{name}}}"
    return json.dumps(value)


# --- state machines


def steps_of(definition: Any) -> Iterator[tuple[str, Any]]:
    """Return the resources of a definition's tasks, readers and writers with whom they are about."""
    if isinstance(definition, dict):
        resource = definition.get("Resource")
        if isinstance(resource, str):
            yield resource.rpartition(":::")[2], definition.get("Parameters", {})
        if definition.get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED":
            yield "map", {}
        for value in definition.values():
            yield from steps_of(value)
    elif isinstance(definition, list):
        for value in definition:
            yield from steps_of(value)


def machines(rights: Rights) -> dict[str, dict[str, Any]]:
    found = dict(rights.of("AWS::StepFunctions::StateMachine"))
    assert len(found) >= 6
    return found


def test_a_state_machine_may_do_what_its_steps_take_and_nothing_else(rights: Rights) -> None:
    for name, machine in machines(rights).items():
        steps = {step for step, _ in steps_of(json.loads(machine["DefinitionString"]))}
        assert steps - set(STEPS) - {"map"} == set(), f"{name}: add to STEPS what this step takes"

        needed = set().union(*(STEPS.get(step, DISTRIBUTED_MAP) for step in steps))
        needed |= LOG_DELIVERY if machine["LoggingConfiguration"]["Level"] != "OFF" else set()
        needed |= TRACING if machine["TracingConfiguration"]["Enabled"] else set()

        assert rights.actions(role_of(machine["RoleArn"])) == needed, name


def test_a_state_machine_may_reach_whom_its_steps_name_and_nobody_else(rights: Rights) -> None:
    for name, machine in machines(rights).items():
        role = role_of(machine["RoleArn"])
        named = {
            parameters[key].strip("${}")
            for _, parameters in steps_of(json.loads(machine["DefinitionString"]))
            for key in ("FunctionName", "QueueUrl", "StateMachineArn")
            if key in parameters
        }
        given = machine["DefinitionSubstitutions"]
        targets = {text_of(given[each]).strip("{}").partition(".")[0] for each in named}
        reached = {
            text_of(resource).strip("{}").partition(".")[0]
            for statement in rights.statements(role)
            if {"lambda:InvokeFunction", "sqs:SendMessage", "states:StartExecution"}
            & set(listed(statement["Action"]))
            for resource in listed(statement["Resource"])
        }

        # Itself, for a Distributed Map and its next part; functions that its input names are in policies
        # of their own, which `Later` makes.
        called = {
            resource["FunctionName"]["Ref"] if "Ref" in resource.get("FunctionName", {}) else ""
            for _, resource in rights.of("AWS::Lambda::EventInvokeConfig")
        }
        assert targets <= reached, name
        assert reached - targets - {name} <= called, name


def test_only_the_service_takes_on_the_role_of_a_state_machine_and_for_this_account(rights: Rights) -> None:
    roles = dict(rights.of("AWS::IAM::Role"))
    for name, machine in machines(rights).items():
        (trust,) = roles[role_of(machine["RoleArn"])]["AssumeRolePolicyDocument"]["Statement"]

        assert trust["Principal"] == {"Service": "states.amazonaws.com"}, name
        assert "aws:SourceAccount" in trust["Condition"]["StringEquals"], name


# --- schedules, rules, event sources


def test_a_schedule_may_call_its_target_and_its_dead_letter_queue_and_nothing_else(rights: Rights) -> None:
    roles, schedules = dict(rights.of("AWS::IAM::Role")), dict(rights.of("AWS::Scheduler::Schedule"))
    assert schedules
    by_role: dict[str, set[str]] = {}
    for name, schedule in schedules.items():
        target = schedule["Target"]
        role = role_of(target["RoleArn"])
        is_function = "Fn::GetAtt" in target["Arn"]
        action = "lambda:InvokeFunction" if is_function else "states:StartExecution"
        (trust,) = roles[role]["AssumeRolePolicyDocument"]["Statement"]

        assert rights.may(role, action, target["Arn"]), name
        assert rights.may(role, "sqs:SendMessage", target["DeadLetterConfig"]["Arn"]), name
        assert set(trust["Condition"]["StringEquals"]) == {"aws:SourceAccount", "aws:SourceArn"}, name
        by_role.setdefault(role, {"sqs:SendMessage"}).add(action)
    for role, actions in by_role.items():
        assert rights.actions(role) == actions, role


def test_a_rule_has_a_target_that_lets_it_in_and_a_queue_for_what_it_could_not_deliver(
    rights: Rights,
) -> None:
    rules = dict(rights.of("AWS::Events::Rule"))
    assert rules
    permissions = [each for _, each in rights.of("AWS::Lambda::Permission")]
    senders = {
        (text_of(queue), text_of(statement["Condition"]["ArnEquals"]["aws:SourceArn"]))
        for _, policy in rights.of("AWS::SQS::QueuePolicy")
        for queue in policy["Queues"]
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Principal"] == {"Service": "events.amazonaws.com"}
    }
    for name, rule in rules.items():
        arn = {"Fn::GetAtt": [name, "Arn"]}
        for target in rule["Targets"]:
            is_let_in = {"FunctionName": target["Arn"], "Principal": "events.amazonaws.com", "SourceArn": arn}
            if "RoleArn" in target:
                assert rights.may(role_of(target["RoleArn"]), "states:StartExecution", target["Arn"]), name
            else:
                assert any(is_let_in.items() <= each.items() for each in permissions), name
            queue = {"Ref": target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]}
            assert (text_of(queue), text_of(arn)) in senders, name


def test_a_function_may_poll_its_event_sources_and_tell_of_what_it_gave_up(rights: Rights) -> None:
    functions = dict(rights.of("AWS::Lambda::Function"))
    mappings = dict(rights.of("AWS::Lambda::EventSourceMapping"))
    assert mappings
    for name, mapping in mappings.items():
        role = role_of(functions[mapping["FunctionName"]["Ref"]]["Role"])
        source = mapping["EventSourceArn"]
        stream = "dynamodb" if "StreamArn" in text_of(source) else "kinesis"
        kind = stream if "StartingPosition" in mapping else "sqs"
        for action in POLLING[kind]:
            assert rights.may(role, action, source), (name, action)
        failure = mapping.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        assert (failure is None) == (kind == "sqs"), (
            f"{name}: a queue has its own dead letters, no stream has"
        )
        if failure is not None:
            assert rights.may(role, "sqs:SendMessage", failure), name


# --- who is let in


def test_whoever_may_call_a_function_is_named_with_the_resource_or_the_account_it_calls_for(
    rights: Rights,
) -> None:
    permissions = dict(rights.of("AWS::Lambda::Permission"))
    assert permissions
    unbound = [name for name, each in permissions.items() if not {"SourceArn", "SourceAccount"} & set(each)]

    assert unbound == []


def policies_of_resources(rights: Rights) -> list[tuple[str, dict[str, Any]]]:
    return [
        (name, statement)
        for type_, document in (
            ("AWS::SQS::QueuePolicy", "PolicyDocument"),
            ("AWS::SNS::TopicPolicy", "PolicyDocument"),
            ("AWS::S3::BucketPolicy", "PolicyDocument"),
            ("AWS::KMS::Key", "KeyPolicy"),
            ("AWS::SecretsManager::ResourcePolicy", "ResourcePolicy"),
        )
        for name, properties in rights.of(type_)
        for statement in properties[document]["Statement"]
    ]


def test_a_resource_lets_services_in_for_one_source_or_this_account_only(rights: Rights) -> None:
    for name, statement in policies_of_resources(rights):
        if statement["Effect"] != "Allow" or "Service" not in statement["Principal"]:
            continue
        conditions = json.dumps(statement.get("Condition", {}))
        assert re.search(r"aws:Source(Account|Arn)", conditions), (name, statement)


def test_a_resource_lets_in_nobody_but_services_and_this_account(rights: Rights) -> None:
    for name, statement in policies_of_resources(rights):
        if statement["Effect"] != "Allow" or "Service" in statement["Principal"]:
            continue
        principals = [text_of(each) for each in listed(statement["Principal"]["AWS"])]
        assert all(re.search(r":\d{12}:root$|Role\w*\.Arn\}$", each) for each in principals), (
            name,
            principals,
        )


@pytest.mark.parametrize(
    ("type_", "policy", "key"),
    [
        ("AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "Queues"),
        ("AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "Topics"),
        ("AWS::S3::Bucket", "AWS::S3::BucketPolicy", "Bucket"),
    ],
)
def test_nothing_is_reached_without_tls(rights: Rights, type_: str, policy: str, key: str) -> None:
    tls_only = {
        each["Ref"]
        for _, properties in rights.of(policy)
        for statement in properties["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny"
        and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        and statement["Principal"] in ("*", {"AWS": "*"})
        for each in listed(properties[key])
    }

    resources = {name for name, _ in rights.of(type_)}
    assert resources
    assert resources - tls_only == set()


# --- wildcards


def test_no_role_may_do_everything_of_a_service(rights: Rights) -> None:
    variants = {"kms:GenerateDataKey*", "kms:ReEncrypt*"}
    for name, role in rights.of("AWS::IAM::Role"):
        assert "ManagedPolicyArns" not in role, name
        assert "Policies" not in role, name
        assert [each for each in rights.actions(name) - variants if "*" in each] == [], name


def test_a_role_may_do_something_anywhere_only_where_there_is_a_reason(rights: Rights) -> None:
    for name, _ in rights.of("AWS::IAM::Role"):
        for statement in rights.statements(name):
            assert statement["Effect"] == "Allow", name
            assert "NotAction" not in statement, name
            # Texts by SNS have no resource: everything but topics.
            if "NotResource" in statement:
                assert listed(statement["Action"]) == ["sns:Publish"], name
                continue
            for resource in map(text_of, listed(statement["Resource"])):
                if resource == "*":
                    assert set(listed(statement["Action"])) <= set(ANYWHERE), (name, statement)
                elif "*" in resource:
                    end = max(filter(resource.endswith, WILDCARDS), key=len, default=None)
                    assert end is not None, (name, resource)
                    assert "*" not in resource.removesuffix(end), (name, resource)


# --- what the public can call


def test_every_api_is_throttled_and_its_log_holds_nothing_that_people_sent(rights: Rights) -> None:
    apis = {name for name, _ in rights.of("AWS::ApiGatewayV2::Api")}
    stages = [each for _, each in rights.of("AWS::ApiGatewayV2::Stage")]

    assert apis
    assert {each["ApiId"]["Ref"] for each in stages} == apis
    for stage in stages:
        assert 0 < stage["DefaultRouteSettings"]["ThrottlingRateLimit"] <= 1000
        assert stage["DefaultRouteSettings"]["ThrottlingBurstLimit"] > 0
        logged = re.findall(r"\$context\.(\w+)", stage["AccessLogSettings"]["Format"])
        assert logged
        assert set(logged).isdisjoint({"path", "identity", "rawPath", "queryString", "authorizer", "error"})


def test_what_the_public_can_call_cannot_starve_the_rest(stage_templates: Mapping[str, Template]) -> None:
    rights = Rights({name: each for name, each in stage_templates.items() if name.startswith("dev-")})
    functions = dict(rights.of("AWS::Lambda::Function"))
    integrations = dict(rights.of("AWS::ApiGatewayV2::Integration"))
    public = {
        integrations[re.findall(r"(\w+)\}?$", text_of(route["Target"]))[0]]["IntegrationUri"]["Fn::GetAtt"][0]
        for _, route in rights.of("AWS::ApiGatewayV2::Route")
        if route.get("AuthorizationType", "NONE") == "NONE"
    }

    assert public
    assert [name for name in public if not functions[name].get("ReservedConcurrentExecutions")] == []


# --- the page


@pytest.mark.parametrize("name", BLOCKS)
def test_the_page_has_the_rights_of_the_templates(name: str, stage_templates: Mapping[str, Template]) -> None:
    written = block_of(PAGE.read_text(encoding="utf-8"), name)

    assert written == BLOCKS[name](stage_templates), f"docs/security.md is out of date: run {COMMAND}"
