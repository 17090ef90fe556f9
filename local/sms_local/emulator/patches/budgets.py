"""``AWS::Budgets::Budget`` deploys, and the budget can be read by the API.

Reason
    A stage with ``monthlyBudgetUsd`` has one, and a template with a type that is not known does not deploy:
    an operator's ``cdk deploy 'prod/*'`` could be tried nowhere.
AWS
    ``Ref`` gives the name. Another name or other notifications replace the budget, all else is changed in
    place; without a name CloudFormation makes one.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-budgets-budget.html
MiniStack 1.5.33
    Has budgets in its API, and not as a resource. Nothing is ever spent there, so none notifies.
Hook
    A provisioner that calls the API's functions.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from sms_local.emulator.patches._cloudformation import Properties
from sms_local.emulator.patches._pinned import PatchSettings, require

RESOURCE_TYPE: Final = "AWS::Budgets::Budget"
_LONGEST_NAME: Final = 100


def apply(_: PatchSettings) -> None:
    """Register the resource type."""
    from ministack.services import budgets
    from ministack.services.cloudformation import provisioners

    for name in ("_create_budget", "_update_budget", "_delete_budget"):
        require(holds=hasattr(budgets, name), what=f"budgets.{name}")
    require(holds=hasattr(provisioners, "_physical_name"), what="provisioners._physical_name")
    require(
        holds=RESOURCE_TYPE not in provisioners._RESOURCE_HANDLERS, what=f"gap where {RESOURCE_TYPE} would be"
    )
    provisioners._RESOURCE_HANDLERS[RESOURCE_TYPE] = {"create": _create, "update": _update, "delete": _delete}


def _create(logical_id: str, properties: Properties, stack_name: str) -> tuple[str, dict[str, str]]:
    from ministack.services import budgets
    from ministack.services.cloudformation import provisioners

    given = _required(properties)
    name = given.get("BudgetName") or provisioners._physical_name(
        stack_name, logical_id, max_len=_LONGEST_NAME
    )
    notifications = properties.get("NotificationsWithSubscribers") or []
    _call(
        budgets._create_budget,
        {"Budget": _of_the_api(given, name), "NotificationsWithSubscribers": notifications},
    )
    return name, {}


def _update(
    physical_id: str,
    old: Properties,
    new: Properties,
    stack_name: str,
    logical_id: str | None = None,
) -> tuple[str, dict[str, str]]:
    from ministack.services import budgets

    before, after = _required(old), _required(new)
    notifications = "NotificationsWithSubscribers"
    is_renamed = before.get("BudgetName") != after.get("BudgetName")
    if is_renamed or old.get(notifications) != new.get(notifications):
        replacement = _create(logical_id or physical_id, new, stack_name)
        _delete(physical_id, old)
        return replacement
    _call(budgets._update_budget, {"NewBudget": _of_the_api(after, physical_id)})
    return physical_id, {}


def _delete(physical_id: str, _properties: Properties) -> None:
    from ministack.services import budgets

    budgets._delete_budget({"BudgetName": physical_id})


def _required(properties: Properties) -> Mapping[str, Any]:
    given = properties.get("Budget")
    if not isinstance(given, Mapping):
        message = "Property validation failure: [The property {/Budget} is required]"
        raise ValueError(message)
    return given


def _of_the_api(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the budget with its name, and its limit as text: a number in templates, text in the API."""
    limit = given.get("BudgetLimit")
    amount = {"BudgetLimit": {**limit, "Amount": str(limit["Amount"])}} if limit else {}
    return {**given, **amount, "BudgetName": name}


def _call(operation: Callable[[dict[str, Any]], Any], request: dict[str, Any]) -> None:
    status, _, body = operation(request)
    if status >= 300:
        raise ValueError(json.loads(body).get("message") or body.decode())
