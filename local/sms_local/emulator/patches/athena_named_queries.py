"""``AWS::Athena::NamedQuery`` deploys, and the query can be listed and read.

Reason
    The saved queries of the archive are part of the template; people and tests find them by the API.
AWS
    All properties but the workgroup's name belong to the query, and any change replaces it. ``Ref`` and
    ``NamedQueryId`` give its id.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-athena-namedquery.html
MiniStack 1.5.33
    Has named queries in its API, and not as a resource.
Hook
    A provisioner that calls the API's functions. ``ListNamedQueries`` without a workgroup lists ``primary``,
    as on AWS.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from sms_local.emulator.patches._cloudformation import Properties
from sms_local.emulator.patches._pinned import PatchSettings, require

RESOURCE_TYPE: Final = "AWS::Athena::NamedQuery"
REQUIRED: Final = ("Database", "QueryString")


def apply(_: PatchSettings) -> None:
    """Register the resource type."""
    from ministack.services import athena
    from ministack.services.cloudformation import provisioners

    for name in ("_create_named_query", "_delete_named_query", "_list_named_queries", "_named_queries"):
        require(holds=hasattr(athena, name), what=f"athena.{name}")
    require(
        holds=RESOURCE_TYPE not in provisioners._RESOURCE_HANDLERS, what=f"gap where {RESOURCE_TYPE} would be"
    )
    provisioners._RESOURCE_HANDLERS[RESOURCE_TYPE] = {"create": _create, "update": _update, "delete": _delete}
    list_all = athena._list_named_queries

    def list_of_workgroup(data: Mapping[str, Any]) -> Any:
        return list_all({**data, "WorkGroup": data.get("WorkGroup") or "primary"})

    athena._list_named_queries = list_of_workgroup


def _create(logical_id: str, properties: Properties, _stack_name: str) -> tuple[str, dict[str, str]]:
    from ministack.services import athena

    if missing := [name for name in REQUIRED if not properties.get(name)]:
        message = f"Property validation failure: [The property {{/{missing[0]}}} is required]"
        raise ValueError(message)
    workgroup = properties.get("WorkGroup") or "primary"
    athena._ensure_default_workgroup()
    if workgroup not in athena._workgroups:
        message = f"WorkGroup {workgroup} is not found."
        raise ValueError(message)
    query = {"Name": properties.get("Name") or logical_id, **properties, "WorkGroup": workgroup}
    _, _, body = athena._create_named_query(query)
    query_id = str(json.loads(body)["NamedQueryId"])
    return query_id, {"NamedQueryId": query_id}


def _update(
    physical_id: str, old: Properties, new: Properties, stack_name: str, *_: Any
) -> tuple[str, dict[str, str]]:
    if old == new:
        return physical_id, {"NamedQueryId": physical_id}
    replacement = _create(old.get("Name", physical_id), new, stack_name)
    _delete(physical_id, old)
    return replacement


def _delete(physical_id: str, _properties: Properties) -> None:
    from ministack.services import athena

    athena._delete_named_query({"NamedQueryId": physical_id})
