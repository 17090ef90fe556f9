"""Templates of the stages, synthesized once a session."""

import os
import platform
from collections.abc import Mapping

# Read when the CDK's process starts. `test_stages` synthesizes with validation, in a process of its own.
os.environ["CDK_VALIDATION"] = "false"

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from tests.infrastructure.synthesis import Template, new_app


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(JSONSnapshotExtension)


@pytest.fixture(scope="session")
def environment_templates() -> Mapping[str, Template]:
    """Templates of all environments by stack name, as ``prod-Channel``."""
    from app import build_app

    with pytest.MonkeyPatch.context() as patch:
        # The local stage's functions are for this machine, whatever it is.
        patch.setattr(platform, "machine", lambda: "x86_64")
        app = new_app()
        stages = build_app(app)
    assembly = app.synth()
    return {
        stack.stack_name: stack.template
        for stage in stages
        for stack in assembly.get_nested_assembly(f"assembly-{stage.node.id}").stacks
    }


@pytest.fixture(scope="session")
def stage_templates(environment_templates: Mapping[str, Template]) -> Mapping[str, Template]:
    """Templates of the stages ``local`` and ``dev`` by stack name, as ``local-Channel``."""
    return {
        name: template
        for name, template in environment_templates.items()
        if name.startswith(("local-", "dev-"))
    }
