"""What a function's code asset holds: its capability and the channel, and nothing that it never runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sms_engagement import AppointmentFollowUp, SmsAnalyticsPipeline, SmsChannel
from tests.infrastructure.synthesis import IDENTITY, new_stack, resources_of

SHARED = {"__init__.py", "channel", "http_api.py", "observability.py", "settings.py"}


@pytest.fixture(scope="module")
def code_folders() -> Mapping[str, Path]:
    """Folder of a function's code by its handler's module."""
    stack = new_stack()
    channel = SmsChannel(stack, "Channel", origination_identity=IDENTITY)
    AppointmentFollowUp(stack, "Appointments", channel=channel)
    SmsAnalyticsPipeline(stack, "Analytics", channel=channel)
    root: Any = stack.node.root
    assembly = root.synth()
    template = assembly.get_stack_by_name(stack.stack_name).template
    folders = {}
    for function in resources_of(template, "AWS::Lambda::Function").values():
        hash_ = function["Code"]["S3Key"].removesuffix(".zip")
        module = function["Handler"].removeprefix("sms_engagement_runtime.").removesuffix(".handler")
        folders[module] = Path(assembly.directory) / f"asset.{hash_}"
    return folders


@pytest.mark.parametrize(
    ("handler", "capability"),
    [
        ("channel.handlers.router", None),
        ("appointment_follow_up.handlers.webhook", "appointment_follow_up"),
        ("sms_analytics_pipeline.handlers.ingest", "sms_analytics_pipeline"),
    ],
)
def test_a_function_has_the_code_of_its_capability_and_the_channel(
    code_folders: Mapping[str, Path], handler: str, capability: str | None
) -> None:
    folder = code_folders[handler]

    assert {found.name for found in folder.iterdir()} == {"sms_engagement_runtime"}
    held = {found.name for found in (folder / "sms_engagement_runtime").iterdir()}
    assert held == SHARED | ({capability} if capability else set())
    assert (folder / "sms_engagement_runtime" / f"{handler.replace('.', '/')}.py").is_file()
