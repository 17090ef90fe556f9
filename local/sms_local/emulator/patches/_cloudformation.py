"""Adding to what MiniStack's CloudFormation does for a resource type."""

from collections.abc import Callable, Mapping
from typing import Any

from sms_local.emulator.patches._pinned import require

type Properties = Mapping[str, Any]
type AfterProvisioning = Callable[[str, Properties], None]


def after_provisioning(resource_type: str, also: AfterProvisioning) -> None:
    """Call ``also(physical_id, properties)`` after each creation and update of a resource of this type.

    An exception from ``also`` fails the resource, and with it the deployment, as any provisioning error does.
    """
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS.get(resource_type)
    require(holds=bool(handlers and "create" in handlers), what=f"CloudFormation type {resource_type}")
    create, update = handlers["create"], handlers.get("update")

    def create_and_more(logical_id: str, properties: Properties, stack_name: str) -> Any:
        physical_id, attributes = create(logical_id, properties, stack_name)
        also(physical_id, properties)
        return physical_id, attributes

    handlers["create"] = create_and_more
    if update is not None:

        def update_and_more(physical_id: str, old: Properties, new: Properties, *more: Any) -> Any:
            new_physical_id, attributes = update(physical_id, old, new, *more)
            also(new_physical_id, new)
            return new_physical_id, attributes

        handlers["update"] = update_and_more


def is_true(value: object) -> bool:
    """Read a template's boolean, which may be the text ``"true"``."""
    return str(value).lower() == "true"
