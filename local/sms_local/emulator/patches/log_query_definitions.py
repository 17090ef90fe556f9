"""``AWS::Logs::QueryDefinition`` deploys.

Reason
    The constructs save queries of CloudWatch Logs Insights, and a template with a type that is not known does
    not deploy.
AWS
    ``Name`` and ``QueryString`` are required; ``Ref`` and ``QueryDefinitionId`` give its id.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-logs-querydefinition.html
MiniStack 1.5.33
    Has neither the resource nor the API of saved queries.
Hook
    A provisioner that checks the properties and gives an id; the definition is kept nowhere, since nothing
    here can run it.
"""

import uuid
from typing import Any, Final

from sms_local.emulator.patches._cloudformation import Properties
from sms_local.emulator.patches._pinned import PatchSettings, require

RESOURCE_TYPE: Final = "AWS::Logs::QueryDefinition"
REQUIRED: Final = ("Name", "QueryString")


def apply(_: PatchSettings) -> None:
    """Register the resource type."""
    from ministack.services.cloudformation import provisioners

    require(
        holds=RESOURCE_TYPE not in provisioners._RESOURCE_HANDLERS, what=f"gap where {RESOURCE_TYPE} would be"
    )
    provisioners._RESOURCE_HANDLERS[RESOURCE_TYPE] = {"create": _create, "update": _update, "delete": _delete}


def _create(_logical_id: str, properties: Properties, _stack_name: str) -> tuple[str, dict[str, str]]:
    _check(properties)
    return _answer(str(uuid.uuid4()))


def _update(
    physical_id: str, _old: Properties, new: Properties, _stack_name: str, *_: Any
) -> tuple[str, dict[str, str]]:
    _check(new)
    return _answer(physical_id)


def _delete(_physical_id: str, _properties: Properties) -> None:
    """Nothing was kept."""


def _check(properties: Properties) -> None:
    if missing := [name for name in REQUIRED if not properties.get(name)]:
        message = f"Property validation failure: [The property {{/{missing[0]}}} is required]"
        raise ValueError(message)


def _answer(physical_id: str) -> tuple[str, dict[str, str]]:
    return physical_id, {"QueryDefinitionId": physical_id}
