"""The app: one stage an environment, the same resources in each."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from app import build_app
from tests.infrastructure.synthesis import (
    CONTEXT,
    ROOT,
    Template,
    nag_findings,
    new_app,
    resources_of,
    scrubbed,
    warnings_of,
)

SYSTEMS = ("Data", "Channel", "Reviews", "Appointments", "Analytics", "Journeys")

CHANNEL_OUTPUTS = {
    "AttentionTopicArn",
    "BusArn",
    "ConfigurationSetName",
    "ContactsTableName",
    "EventTopicArn",
    "InboundTopicArn",
    "MessagesTableName",
    "OptOutListName",
    "OriginationIdentity",
    "SubscriberKeySecretArn",
    "TimelineFunctionName",
}
ANALYTICS_OUTPUTS = {
    "ArchiveBucketName",
    "AthenaDatabaseName",
    "AthenaWorkgroupName",
    "CountsTableName",
    "RegisterTableName",
    "ResponseTopicArn",
    "ResponsesTableName",
    "StreamName",
    "SubscribersTableName",
    "IngestQueueUrl",
    *(
        f"{consumer}{what}"
        for consumer in ("Analytics", "Archiver", "EventProcessor", "ResponseHandler")
        for what in ("FailuresQueueName", "FunctionName")
    ),
}
JOURNEYS_OUTPUTS = {
    "EnrolmentsTableName",
    "JourneyBucketName",
    "PromotionalJourneyArn",
    "WelcomeJourneyArn",
}
APPOINTMENTS_OUTPUTS = {
    "AppointmentFollowUpArn",
    "AppointmentsApiId",
    "CalcomSigningKeyArn",
    "CalcomWebhookUrl",
    "CalendlySigningKeyArn",
    "CalendlyWebhookUrl",
    "ConversationsTableName",
    "HostTopicArn",
}
REVIEWS_OUTPUTS = {
    "AdminApiUrl",
    "AdminTopicArn",
    "ApiId",
    "ApiUrl",
    "BroadcastBucketName",
    "CustomersTableName",
    "LinkSecretArn",
    "ReviewArchiveName",
    "ReviewBroadcastArn",
    "ReviewFiguresTableName",
    "ReviewRequestsTableName",
    "ReviewsTableName",
}


KEY_ID = "11111111-2222-3333-4444-555555555555"
STAGES = ("local", "dev", "staging", "prod")


@pytest.mark.parametrize("stack", [f"{stage}-{system}" for stage in STAGES for system in SYSTEMS])
def test_stage_template(
    environment_templates: Mapping[str, Template], stack: str, snapshot: SnapshotAssertion
) -> None:
    assert scrubbed(environment_templates[stack]) == snapshot


@pytest.mark.parametrize("system", SYSTEMS)
def test_local_differs_from_dev_in_configuration_only(
    environment_templates: Mapping[str, Template], system: str
) -> None:
    # Three ids hold the stage or the architecture: the layer's, and those that CDK derives from paths.
    local, dev = (
        sorted(
            resource["Type"] for resource in environment_templates[f"{stage}-{system}"]["Resources"].values()
        )
        for stage in ("local", "dev")
    )

    assert local == dev


def test_only_the_embedded_cloud_has_a_clock_that_jumps(
    environment_templates: Mapping[str, Template],
) -> None:
    clocks = {
        name: {
            function["Environment"]["Variables"].get("CLOCK")
            for function in resources_of(template, "AWS::Lambda::Function").values()
        }
        for name, template in environment_templates.items()
    }

    assert (clocks["local-Channel"], clocks["dev-Channel"]) == ({"virtual"}, {None})
    assert (clocks["local-Reviews"], clocks["dev-Reviews"]) == ({"virtual"}, {None})
    assert (clocks["local-Appointments"], clocks["dev-Appointments"]) == ({"virtual"}, {None})


@pytest.mark.parametrize(
    ("stack", "outputs"),
    [
        ("local-Data", set()),
        ("local-Channel", CHANNEL_OUTPUTS),
        ("local-Reviews", REVIEWS_OUTPUTS),
        ("local-Appointments", APPOINTMENTS_OUTPUTS),
        ("local-Analytics", ANALYTICS_OUTPUTS),
        ("local-Journeys", JOURNEYS_OUTPUTS),
    ],
)
def test_outputs_that_other_programs_read(
    environment_templates: Mapping[str, Template], stack: str, outputs: set[str]
) -> None:
    exported = {
        name for name, output in environment_templates[stack]["Outputs"].items() if "Export" not in output
    }

    assert exported == outputs


LOGICAL_IDS = Path(__file__).with_name("logical_ids.json")

STATEFUL = {
    "AWS::DynamoDB::GlobalTable",
    "AWS::DynamoDB::Table",
    "AWS::KMS::Key",
    "AWS::Kinesis::Stream",
    "AWS::S3::Bucket",
    "AWS::SMSVOICE::OptOutList",
    "AWS::SecretsManager::Secret",
}
"""Types whose resources lose something when they are replaced."""


def stateful_resources(templates: Mapping[str, Template]) -> dict[str, dict[str, str]]:
    """Logical id to type, by stack."""
    return {
        stack: {
            name: resource["Type"]
            for name, resource in sorted(template["Resources"].items())
            if resource["Type"] in STATEFUL
        }
        for stack, template in sorted(templates.items())
    }


def test_what_holds_data_keeps_its_logical_id(environment_templates: Mapping[str, Template]) -> None:
    """Of a resource whose logical id changes, CloudFormation makes an empty one and deletes the other."""
    found = stateful_resources(environment_templates)
    if os.environ.get("WRITE_LOGICAL_IDS"):
        LOGICAL_IDS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    noted = json.loads(LOGICAL_IDS.read_text(encoding="utf-8"))

    gone = {(stack, name) for stack in noted for name in noted[stack]} - {
        (stack, name) for stack in found for name in found[stack]
    }
    assert not gone, (
        f"{sorted(gone)} would be deleted, and with RETAIN be left behind, empty ones taking their place. If "
        f"nothing is deployed yet, or the data is to go: WRITE_LOGICAL_IDS=1 pytest {__file__} writes "
        f"{LOGICAL_IDS.name} anew, and CHANGELOG.md says it as a breaking change with what its users do. "
        f"Otherwise keep the ids of the constructs, or fix the id with `override_logical_id`."
    )
    assert found == noted, (
        f"something that holds data is new, or has another type: note it with WRITE_LOGICAL_IDS=1 pytest "
        f"{__file__}"
    )


def test_what_holds_data_is_in_the_data_stack_or_a_key_of_topics(
    environment_templates: Mapping[str, Template],
) -> None:
    elsewhere = {
        (stack, type_)
        for stack, resources in stateful_resources(environment_templates).items()
        for type_ in resources.values()
        if not stack.endswith("-Data")
    }

    assert elsewhere == {(f"{stage}-Channel", "AWS::KMS::Key") for stage in STAGES}


@pytest.mark.parametrize(("stage", "policy"), [("prod", "Retain"), ("staging", "Delete"), ("dev", "Delete")])
def test_data_is_kept_or_deleted_as_the_environment_says(
    environment_templates: Mapping[str, Template], stage: str, policy: str
) -> None:
    resources = environment_templates[f"{stage}-Data"]["Resources"].values()

    assert {
        (resource["DeletionPolicy"], resource["UpdateReplacePolicy"])
        for resource in resources
        if resource["Type"] in STATEFUL
    } == {(policy, policy)}
    tables = [each for each in resources if each["Type"] == "AWS::DynamoDB::GlobalTable"]
    protected = {table["Properties"]["Replicas"][0]["DeletionProtectionEnabled"] for table in tables}
    assert protected == {policy == "Retain"}


@pytest.mark.parametrize(("name", "is_protected"), [("prod", True), ("staging", False), ("dev", False)])
def test_only_stacks_of_production_refuse_to_be_deleted(name: str, is_protected: bool) -> None:
    (stage,) = build_app(new_app(stage=name))

    assert {stack.termination_protection or False for stack in stage.stacks} == {is_protected}


def test_alarms_of_production_tell_somebody(environment_templates: Mapping[str, Template]) -> None:
    told = {
        stack: [
            "AlarmActions" in alarm for alarm in resources_of(template, "AWS::CloudWatch::Alarm").values()
        ]
        for stack, template in environment_templates.items()
        if stack.startswith("prod-")
    }

    assert sum(map(len, told.values())) > 20
    assert all(all(alarms) for alarms in told.values())
    (subscription,) = (
        each
        for each in resources_of(environment_templates["prod-Channel"], "AWS::SNS::Subscription").values()
        if each["Protocol"] == "email"
    )
    assert subscription["Endpoint"] == "sms-alarms@example.com"


def test_the_monthly_budget_tells_the_alarm_topic(environment_templates: Mapping[str, Template]) -> None:
    template = environment_templates["prod-Channel"]
    (budget,) = resources_of(template, "AWS::Budgets::Budget").values()
    (subscription,) = (
        each
        for each in resources_of(template, "AWS::SNS::Subscription").values()
        if each["Protocol"] == "email"
    )

    assert budget["Budget"]["BudgetLimit"] == {"Amount": 1000, "Unit": "USD"}
    assert {
        subscriber["Address"]["Ref"]
        for notification in budget["NotificationsWithSubscribers"]
        for subscriber in notification["Subscribers"]
    } == {subscription["TopicArn"]["Ref"]}
    policies = resources_of(template, "AWS::SNS::TopicPolicy").values()
    assert any("budgets.amazonaws.com" in json.dumps(policy) for policy in policies)


def test_domains_lead_to_the_apis_of_production(environment_templates: Mapping[str, Template]) -> None:
    names = {
        stack: [
            domain["DomainName"]
            for domain in resources_of(template, "AWS::ApiGatewayV2::DomainName").values()
        ]
        for stack, template in environment_templates.items()
    }

    assert {stack: of for stack, of in names.items() if of} == {
        "prod-Reviews": ["r.example.com"],
        "prod-Appointments": ["hooks.example.com"],
    }
    assert "DomainTarget" in environment_templates["prod-Reviews"]["Outputs"]


def test_a_hosted_zone_gets_the_records() -> None:
    app = new_app(
        environments={
            "dev": {
                **CONTEXT["environments"]["prod"],
                "domains": {
                    **CONTEXT["environments"]["prod"]["domains"],
                    "hostedZoneId": "Z0123456789ABC",
                    "hostedZoneName": "example.com",
                },
            }
        },
        stage="dev",
    )
    build_app(app)

    template = app.synth().get_nested_assembly("assembly-dev").get_stack_by_name("dev-Reviews").template

    (record,) = resources_of(template, "AWS::Route53::RecordSet").values()
    assert (record["Name"], record["Type"], record["HostedZoneId"]) == (
        "r.example.com.",
        "A",
        "Z0123456789ABC",
    )
    assert "DomainTarget" not in template["Outputs"]


def test_every_configured_value_reaches_its_resource() -> None:
    prod = CONTEXT["environments"]["prod"]
    values = {name: value for name, value in prod.items() if name not in {"alarmEmail", "domains"}}
    app = new_app(
        stage="other",
        environments={
            "other": {
                **values,
                "alarmTopicArn": "arn:aws:sns:us-east-1:111122223333:alarms",
                "encryptionKeyArn": f"arn:aws:kms:us-east-1:111122223333:key/{KEY_ID}",
                "provisionedShards": 4,
                "streamRetentionDays": 7,
                "enhancedFanOut": True,
                "dashboard": False,
                "journeys": False,
                "logRetentionDays": 14,
                "publicConcurrency": 7,
            }
        },
    )
    (stage,) = build_app(app)
    templates = {
        stack.stack_name.removeprefix("other-"): stack.template
        for stack in app.synth().get_nested_assembly("assembly-other").stacks
    }

    assert set(templates) == {"Data", "Channel", "Reviews", "Appointments", "Analytics"}
    assert stage.journeys is None
    (stream,) = resources_of(templates["Data"], "AWS::Kinesis::Stream").values()
    assert (stream["ShardCount"], stream["RetentionPeriodHours"]) == (4, 7 * 24)
    assert KEY_ID in json.dumps(stream["StreamEncryption"])
    assert len(resources_of(templates["Analytics"], "AWS::Kinesis::StreamConsumer")) == 4
    assert resources_of(templates["Analytics"], "AWS::CloudWatch::Dashboard") == {}
    logs = [
        group["RetentionInDays"]
        for template in templates.values()
        for group in resources_of(template, "AWS::Logs::LogGroup").values()
    ]
    assert set(logs) == {14}
    reserved = {
        function.get("ReservedConcurrentExecutions")
        for name in ("Reviews", "Appointments")
        for function in resources_of(templates[name], "AWS::Lambda::Function").values()
    }
    assert reserved == {None, 7}
    alarms = [
        alarm["AlarmActions"]
        for template in templates.values()
        for alarm in resources_of(template, "AWS::CloudWatch::Alarm").values()
    ]
    assert all(actions == ["arn:aws:sns:us-east-1:111122223333:alarms"] for actions in alarms)


def test_nobody_told_of_alarms_is_warned_of() -> None:
    values = {"originationIdentity": CONTEXT["environments"]["prod"]["originationIdentity"]}
    app = new_app(environments={"prod": values}, stage="prod")
    (stage,) = build_app(app)

    assert any("the alarms of prod notify nobody" in text for text in warnings_of(app, stage.channel))


def test_nothing_has_a_physical_name(environment_templates: Mapping[str, Template]) -> None:
    names = {
        "AWS::DynamoDB::GlobalTable": "TableName",
        "AWS::S3::Bucket": "BucketName",
        "AWS::SNS::Topic": "TopicName",
        "AWS::SQS::Queue": "QueueName",
        "AWS::Lambda::Function": "FunctionName",
        "AWS::IAM::Role": "RoleName",
        "AWS::StepFunctions::StateMachine": "StateMachineName",
        "AWS::SecretsManager::Secret": "Name",
        "AWS::SMSVOICE::OptOutList": "OptOutListName",
        "AWS::SMSVOICE::ConfigurationSet": "ConfigurationSetName",
    }

    named = [
        name
        for template in environment_templates.values()
        for type_, property_ in names.items()
        for name, properties in resources_of(template, type_).items()
        if property_ in properties
    ]

    assert named == []


def test_local_links_lead_to_the_front_door() -> None:
    app = new_app(stage="local", localUrl="http://127.0.0.1:4692")
    build_app(app)

    template = app.synth().get_nested_assembly("assembly-local").get_stack_by_name("local-Reviews").template

    urls = {
        function["Environment"]["Variables"].get("LINK_BASE_URL")
        for function in resources_of(template, "AWS::Lambda::Function").values()
    }
    assert urls == {None, "http://127.0.0.1:4692"}


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_is_clean_for_nag(name: str) -> None:
    app = new_app(stage=name)
    (stage,) = build_app(app)
    app.synth()

    assert [finding for stack in stage.stacks for finding in nag_findings(stack)] == []


def test_stages_are_those_of_cdk_json_and_the_local_one() -> None:
    app = new_app()

    stages = build_app(app)

    assert [stage.stage_name for stage in stages] == ["local", *CONTEXT["environments"]]
    assert list(CONTEXT["environments"]) == ["dev", "staging", "prod"]


def test_an_unknown_stage_is_refused() -> None:
    with pytest.raises(ValueError, match=r"there is no stage 'dve'; .* know local, dev, staging, prod"):
        build_app(new_app(stage="dve"))


def test_a_placeholder_can_be_synthesized_and_says_so() -> None:
    app = new_app(stage="prod")
    (stage,) = build_app(app)

    warnings = warnings_of(app, stage.channel)

    assert len(warnings) == 1
    assert "prod still has the placeholder of cdk.json" in warnings[0]


def test_the_whole_app_passes_cloudformations_own_rules(tmp_path: Path) -> None:
    """What ``cdk synth`` checks: resource schemas, references, circular dependencies."""
    environment = {
        **{name: value for name, value in os.environ.items() if name != "CDK_VALIDATION"},
        "CDK_OUTDIR": str(tmp_path),
        "CDK_CONTEXT_JSON": json.dumps(CONTEXT),
    }

    finished = subprocess.run(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert finished.returncode == 0, finished.stderr
    assert "ERROR" not in finished.stderr
    assert (tmp_path / "validation-report.json").exists()


def test_cfn_lint_finds_nothing(environment_templates: Mapping[str, Template], tmp_path: Path) -> None:
    paths = []
    for name in [f"{stage}-{system}" for stage in ("dev", "prod") for system in SYSTEMS]:
        path = tmp_path / f"{name}.json"
        # cfn-lint knows state machines of the partition `aws` only, ours are of the deployment's; what it has
        # to say of that inside a parallel branch makes it fail.
        template = json.dumps(environment_templates[name]).replace(
            "arn:${Partition}:states", "arn:aws:states"
        )
        path.write_text(template, encoding="utf-8")
        paths.append(str(path))

    finished = subprocess.run(
        [
            str(Path(sys.executable).with_name("cfn-lint")),
            "--non-zero-exit-code",
            "informational",
            # W3005: CDK writes dependencies that a reference implies as well. W6001: a system's stack says
            # the names of its tables too, wherever they are made.
            "--ignore-checks",
            "W3005",
            "W6001",
            "--",
            *paths,
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert finished.stdout + finished.stderr == ""
    assert finished.returncode == 0


def test_a_layer_of_another_lock_is_refused_in_one_sentence(tmp_path: Path) -> None:
    import build_layer

    layer = tmp_path / build_layer.LAYER_FOLDER
    layer.mkdir(parents=True)
    (tmp_path / "uv.lock").write_text("changed", encoding="utf-8")
    manifest: dict[str, Any] = build_layer.read_manifest(ROOT / build_layer.LAYER_FOLDER)
    (layer / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")

    assert build_layer.is_current(ROOT)
    assert not build_layer.is_current(tmp_path)
