"""How the infrastructure tests synthesize: with the flags of ``cdk.json``, one account, one Region."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import cdk_nag

from sms_engagement import SmsChannel, SmsChannelAttributes

ROOT = Path(__file__).resolve().parents[2]
CONTEXT: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
IDENTITY = "arn:aws:sms-voice:us-east-1:111122223333:phone-number/phone-0123456789abcdef"

ATTRIBUTES = SmsChannelAttributes(
    origination_identity=IDENTITY,
    configuration_set_name="set",
    protect_configuration_id="protect-1",
    contacts_table_name="contacts",
    messages_table_name="messages",
    subscriber_key_secret_arn="arn:aws:secretsmanager:us-east-1:111122223333:secret:key-AbCdEf",
    bus_arn="arn:aws:events:us-east-1:111122223333:event-bus/bus",
    attention_topic_arn="arn:aws:sns:us-east-1:111122223333:attention",
    topic_key_arn="arn:aws:kms:us-east-1:111122223333:key/11111111-2222-3333-4444-555555555555",
)

type Template = dict[str, Any]

_HASH = re.compile(r"[0-9a-f]{64}")


def new_app(**context: Any) -> cdk.App:
    """An app with the feature flags of ``cdk.json``, which ``App()`` does not read by itself."""
    return cdk.App(context={**CONTEXT, **context}, analytics_reporting=False)


def new_stack(app: cdk.App | None = None, id: str = "Test") -> cdk.Stack:
    return cdk.Stack(
        app or new_app(),
        id,
        env=cdk.Environment(account="111122223333", region="us-east-1"),
        synthesizer=cdk.DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
    )


def template_of(stack: cdk.Stack) -> Template:
    root = stack.node.root
    assert isinstance(root, cdk.App)
    template: Template = root.synth().get_stack_by_name(stack.stack_name).template
    return template


def warnings_of(app: cdk.App, stack: cdk.Stack) -> list[str]:
    """Texts of the warnings of one stack, read from the assembly as the CDK CLI reads them.

    ``assertions.Annotations.find_warning`` hands its answer over as objects of a jsii submodule that is
    loaded on demand, and on a clean machine that loading once failed ("Unknown interface … MetadataEntry").
    """
    (written,) = Path(app.synth().directory).rglob(f"{stack.artifact_id}.metadata.json")
    return [
        entry["data"]
        for entries in json.loads(written.read_text()).values()
        for entry in entries
        if entry["type"] == "aws:cdk:warning"
    ]


def scrubbed(template: Template) -> Template:
    """Without the hashes of assets, which change with every line of Lambda code."""
    scrubbed_template: Template = json.loads(_HASH.sub("<asset>", json.dumps(template)))
    return scrubbed_template


def resources_of(template: Template, type_: str) -> dict[str, Any]:
    return {
        name: resource.get("Properties", {})
        for name, resource in template["Resources"].items()
        if resource["Type"] == type_
    }


def channel_in(stack: cdk.Stack, **props: Any) -> SmsChannel:
    return SmsChannel(
        stack, "Channel", origination_identity=props.pop("origination_identity", IDENTITY), **props
    )


def nag_findings(stack: cdk.Stack) -> list[str]:
    """Findings of cdk-nag's AwsSolutions pack that nobody acknowledged."""
    report = cdk_nag.AwsSolutionsChecks().validate_scope(stack)
    return sorted(
        f"{violation.rule_name} at {resource.construct_path}"
        for violation in report.violations
        for resource in violation.violating_resources
    )


def merged(templates: Mapping[str, Template]) -> Template:
    """Resources of several stacks as if they were in one, named ``<stack>.<logical id>`` everywhere.

    What one stack exports and another imports is a reference to the resource itself.
    """
    exports = {
        json.dumps(output["Export"]["Name"]): _renamed(output["Value"], stack, {})
        for stack, template in templates.items()
        for output in template.get("Outputs", {}).values()
        if "Export" in output
    }
    return {
        "Resources": {
            f"{stack}.{name}": _renamed(resource, stack, exports)
            for stack, template in templates.items()
            for name, resource in template["Resources"].items()
        }
    }


def _renamed(value: Any, stack: str, exports: Mapping[str, Any]) -> Any:
    match value:
        case {"Fn::ImportValue": name}:
            return exports[json.dumps(name)]
        case {"Ref": str(name)} if "::" not in name:
            return {"Ref": f"{stack}.{name}"}
        case {"Fn::GetAtt": [name, attribute]}:
            return {"Fn::GetAtt": [f"{stack}.{name}", attribute]}
        case dict():
            return {key: _renamed(each, stack, exports) for key, each in value.items()}
        case list():
            return [_renamed(each, stack, exports) for each in value]
    return value


def rights_of(template: Template) -> dict[str, set[str]]:
    """What each role of a template may do: ``action`` by the role's logical id without its hash.

    Rights to write its own log group and to send traces, which every function has, are left out.
    """
    rights: dict[str, set[str]] = {}
    for policy in resources_of(template, "AWS::IAM::Policy").values():
        actions = {
            action
            for statement in policy["PolicyDocument"]["Statement"]
            for action in _listed(statement["Action"])
            if not action.startswith(("logs:", "xray:"))
        }
        for role in policy["Roles"]:
            rights.setdefault(role["Ref"][:-8], set()).update(actions)
    return rights


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
