"""The parts of ``docs/security.md`` that are made from the templates: what each role may do.

``python -m tools.rights_tables`` synthesizes and writes them into the page; a test holds the page to them.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tools.appointment_tables import ROOT, table, write_block

PAGE: Final = ROOT / "docs" / "security.md"
COMMAND: Final = "python -m tools.rights_tables"

type Templates = Mapping[str, Mapping[str, Any]]

_STAGE: Final = "dev-"

#: Of every function, and of every state machine with a log; the page says so once.
_EVERYWHERE: Final = ("logs:", "xray:")

#: The CDK's suffix of a logical id.
_HASH: Final = re.compile(r"[0-9A-F]{8}$")
#: An export of another stack: what it gives, of which resource.
_EXPORT: Final = re.compile(r":ExportsOutput(?:FnGetAtt|Ref)(\w+?[0-9A-F]{8})(?:(?:Stream)?Arn)?[0-9A-F]{8}$")


def functions(templates: Templates) -> str:
    """Write what each function may do."""
    handlers = {
        resource["Properties"]["Role"]["Fn::GetAtt"][0]: resource["Properties"]["Handler"]
        for _, resource in _resources(templates, "AWS::Lambda::Function")
    }
    rows = [
        [f"`{handler.removeprefix('sms_engagement_runtime.').removesuffix('.handler')}`", rights]
        for role, handler in sorted(handlers.items(), key=lambda item: item[1])
        for rights in _rights(templates, role)
    ]
    return f"{table(['function', 'may'], _merged(rows))}\n"


def services(templates: Templates) -> str:
    """Write what state machines and schedules may do."""
    rows = [
        [f"{_short(name)} ({_service(role)})", rights]
        for name, role in sorted(_resources(templates, "AWS::IAM::Role"))
        if _service(role) != "lambda"
        for rights in _rights(templates, name)
    ]
    return f"{table(['role', 'may'], _merged(rows))}\n"


def _service(role: Mapping[str, Any]) -> str:
    (statement,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    service: str = statement["Principal"]["Service"]
    return service.removesuffix(".amazonaws.com")


def _merged(rows: list[list[str]]) -> list[list[str]]:
    """Put rows with one name into one."""
    by_name: dict[str, list[str]] = {}
    for name, rights in rows:
        by_name.setdefault(name, []).append(rights)
    return [[name, "; ".join(rights)] for name, rights in by_name.items()]


def _rights(templates: Templates, role: str) -> Iterator[str]:
    for _, policy in _resources(templates, "AWS::IAM::Policy"):
        properties = policy["Properties"]
        if role not in {each.get("Ref") for each in properties["Roles"]}:
            continue
        for statement in properties["PolicyDocument"]["Statement"]:
            actions = [each for each in _listed(statement["Action"]) if not each.startswith(_EVERYWHERE)]
            if actions:
                resources = sorted(
                    {_named(each) for each in _listed(statement.get("Resource", "all but topics"))}
                )
                yield f"{_actions(actions)} on {', '.join(resources)}"


def _actions(actions: list[str]) -> str:
    """Write actions of one service with its name once."""
    by_service: dict[str, list[str]] = {}
    for action in sorted(actions):
        service, _, name = action.partition(":")
        by_service.setdefault(service, []).append(name)
    return ", ".join(f"{service}: {' '.join(names)}" for service, names in by_service.items())


def _named(resource: Any) -> str:
    match resource:
        case str():
            # What is named by an ARN: a number, a workgroup, a catalogue.
            return f"`{resource.split(':', 5)[-1]}`"
        case {"Fn::Join": [_, parts]}:
            return f"`{''.join(map(_part, parts))}`"
    return f"`{_part(resource)}`"


def _part(value: Any) -> str:
    match value:
        case str():
            return value.split(":", 5)[-1] if value.startswith("arn:") else value
        case {"Ref": name} | {"Fn::GetAtt": [name, *_]}:
            return _short(name)
        case {"Fn::ImportValue": export}:
            found = _EXPORT.search(export)
            return _short(found[1]) if found else str(export)
    return json.dumps(value)


def _short(name: str) -> str:
    return _HASH.sub("", name)


def _resources(templates: Templates, type_: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for stack, template in templates.items():
        if stack.startswith(_STAGE):
            for name, resource in template["Resources"].items():
                if resource["Type"] == type_:
                    yield name, resource


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


BLOCKS: Final[Mapping[str, Callable[[Templates], str]]] = {"functions": functions, "services": services}
"""By the names that the page has in its marks."""


def synthesized() -> dict[str, Any]:
    """Return the templates of the stage ``dev``, by stack name."""
    import aws_cdk as cdk

    from app import build_app

    context = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    app = cdk.App(context={**context, "stage": "dev"}, analytics_reporting=False)
    build_app(app)
    return {
        stack.stack_name: stack.template for stack in app.synth().get_nested_assembly("assembly-dev").stacks
    }


def main() -> None:
    """Write them all."""
    templates = synthesized()
    for name, make in BLOCKS.items():
        write_block(name, make(templates), PAGE)


if __name__ == "__main__":
    main()
