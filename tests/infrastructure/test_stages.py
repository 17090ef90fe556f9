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


@pytest.mark.parametrize("stack", [f"{stage}-{system}" for stage in ("local", "dev") for system in SYSTEMS])
def test_stage_template(
    stage_templates: Mapping[str, Template], stack: str, snapshot: SnapshotAssertion
) -> None:
    assert scrubbed(stage_templates[stack]) == snapshot


@pytest.mark.parametrize("system", SYSTEMS)
def test_local_differs_from_dev_in_configuration_only(
    stage_templates: Mapping[str, Template], system: str
) -> None:
    # Three ids hold the stage or the architecture: the layer's, and those that CDK derives from paths.
    local, dev = (
        sorted(resource["Type"] for resource in stage_templates[f"{stage}-{system}"]["Resources"].values())
        for stage in ("local", "dev")
    )

    assert local == dev


def test_only_the_embedded_cloud_has_a_clock_that_jumps(stage_templates: Mapping[str, Template]) -> None:
    clocks = {
        name: {
            function["Environment"]["Variables"].get("CLOCK")
            for function in resources_of(template, "AWS::Lambda::Function").values()
        }
        for name, template in stage_templates.items()
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
    stage_templates: Mapping[str, Template], stack: str, outputs: set[str]
) -> None:
    exported = {name for name, output in stage_templates[stack]["Outputs"].items() if "Export" not in output}

    assert exported == outputs


def test_nothing_has_a_physical_name(stage_templates: Mapping[str, Template]) -> None:
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
        for template in stage_templates.values()
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


def test_every_stage_is_clean_for_nag() -> None:
    app = new_app(stage="dev")
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


def test_cfn_lint_finds_nothing(stage_templates: Mapping[str, Template], tmp_path: Path) -> None:
    paths = []
    for name in [f"dev-{system}" for system in SYSTEMS]:
        path = tmp_path / f"{name}.json"
        # cfn-lint knows state machines of the partition `aws` only, ours are of the deployment's; what it has
        # to say of that inside a parallel branch makes it fail.
        template = json.dumps(stage_templates[name]).replace("arn:${Partition}:states", "arn:aws:states")
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
