"""Pictures of the architecture, drawn from what the templates connect and who imports whom.

``python -m tools.architecture`` draws them into ``docs/architecture``: one picture a system and one of all of
them from the synthesized templates of ``prod``, one of the packages from the sources. A test holds them so.

A line is where a template says that one resource works with another: an event source, a subscription, a
target, a state machine's task, a route, or the rights of a function's role. Roles, policies, logs, alarms and
layers are what lines are read from, and are not drawn.
"""

from __future__ import annotations

import ast
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = ROOT / "docs" / "architecture"
COMMAND: Final = "python -m tools.architecture"

SYSTEMS: Final = ("Channel", "Reviews", "Appointments", "Analytics", "Journeys")

type Templates = Mapping[str, Mapping[str, Any]]

_KINDS: Final = {
    "AWS::Lambda::Function": "function",
    "AWS::StepFunctions::StateMachine": "state machine",
    "AWS::DynamoDB::GlobalTable": "table",
    "AWS::DynamoDB::Table": "table",
    "AWS::S3::Bucket": "bucket",
    "AWS::SNS::Topic": "topic",
    "AWS::SQS::Queue": "queue",
    "AWS::Kinesis::Stream": "stream",
    "AWS::Events::EventBus": "bus",
    "AWS::ApiGatewayV2::Api": "API",
    "AWS::Scheduler::Schedule": "schedule",
    "AWS::SMSVOICE::ConfigurationSet": "SMS",
    "AWS::Athena::WorkGroup": "Athena",
}
"""What is drawn, and the word under its name."""

_COLOURS: Final = {
    "function": "#fff1e0",
    "state machine": "#fde4ec",
    "table": "#e3ecfb",
    "bucket": "#e6f4e6",
    "topic": "#f6e6f8",
    "queue": "#f6e6f8",
    "stream": "#efe7fb",
    "bus": "#fbe7ee",
    "API": "#fff7cc",
    "schedule": "#f0f0f0",
    "SMS": "#ffe0e0",
    "Athena": "#e6f4e6",
    "system": "#eef3f8",
    "app": "#f0f0f0",
    "stacks": "#f0f0f0",
    "constructs": "#e3ecfb",
    "entries": "#fff1e0",
    "adapters": "#f6e6f8",
    "domain": "#e6f4e6",
    "library": "#ffffff",
}


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """A resource: the system that it is of, its name there, and its kind."""

    system: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """One works with another; the word says how: reads, writes, sends, starts, triggers."""

    source: Node
    target: Node
    how: str


@dataclass(frozen=True, slots=True)
class Graph:
    """What is drawn."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


# Reading


def read_graph(templates: Templates) -> Graph:
    """Read resources and how they work together from the templates of one environment."""
    reader = _Reader(templates)
    edges = sorted(set(reader.edges()))
    return Graph(tuple(sorted(set(reader.nodes.values()))), tuple(edges))


class _Reader:
    """Resources by stack and logical id, and across stacks by what the stacks export."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates
        self._exports: dict[str, Any] = {}
        self.nodes: dict[tuple[str, str], Node] = {}
        for stack, template in templates.items():
            for output in template.get("Outputs", {}).values():
                name = output.get("Export", {}).get("Name")
                if isinstance(name, str):
                    self._exports[name] = (stack, output["Value"])
            for logical_id, resource in template["Resources"].items():
                kind = _KINDS.get(resource["Type"])
                if kind is not None and not _is_left_out(logical_id):
                    self.nodes[stack, logical_id] = Node(*_name(stack, logical_id), kind)

    def edges(self) -> Iterator[Edge]:
        for stack, template in self._templates.items():
            for logical_id, resource in template["Resources"].items():
                read = getattr(self, f"_of_{resource['Type'].rpartition('::')[2]}", None)
                if read is not None:
                    yield from read(stack, logical_id, resource.get("Properties", {}))

    def _found(self, stack: str, value: Any) -> set[Node]:
        """Return the resources that a value refers to."""
        found: set[Node] = set()
        for reference in _references(value):
            if reference.startswith("export:"):
                exported = self._exports.get(reference.removeprefix("export:"))
                if exported is not None:
                    found |= self._found(*exported)
            elif (stack, reference) in self.nodes:
                found.add(self.nodes[stack, reference])
        return found

    def _lines(self, stack: str, sources: Any, targets: Any, how: str) -> Iterator[Edge]:
        for source in self._found(stack, sources):
            for target in self._found(stack, targets):
                if source != target:
                    yield Edge(source, target, how)

    def _of_EventSourceMapping(self, stack: str, _: str, given: Any) -> Iterator[Edge]:  # noqa: N802
        yield from self._lines(stack, given["EventSourceArn"], given["FunctionName"], "triggers")
        failures = given.get("DestinationConfig")
        if failures:
            yield from self._lines(stack, given["FunctionName"], failures, "fails to")

    def _of_Subscription(self, stack: str, _: str, given: Any) -> Iterator[Edge]:  # noqa: N802
        yield from self._lines(stack, given["TopicArn"], given["Endpoint"], "delivers")

    def _of_Rule(self, stack: str, _: str, given: Any) -> Iterator[Edge]:  # noqa: N802
        for target in given.get("Targets", ()):
            yield from self._lines(stack, given.get("EventBusName"), target["Arn"], "triggers")

    def _of_Schedule(self, stack: str, logical_id: str, given: Any) -> Iterator[Edge]:  # noqa: N802
        yield from self._lines(stack, {"Ref": logical_id}, given["Target"]["Arn"], "starts")

    def _of_Integration(self, stack: str, _: str, given: Any) -> Iterator[Edge]:  # noqa: N802
        yield from self._lines(stack, given["ApiId"], given.get("IntegrationUri"), "calls")

    def _of_StateMachine(self, stack: str, logical_id: str, given: Any) -> Iterator[Edge]:  # noqa: N802
        parts = [given.get("DefinitionString"), given.get("DefinitionSubstitutions")]
        yield from self._lines(stack, {"Ref": logical_id}, parts, "runs")

    def _of_ConfigurationSet(self, stack: str, logical_id: str, given: Any) -> Iterator[Edge]:  # noqa: N802
        yield from self._lines(stack, {"Ref": logical_id}, given.get("EventDestinations"), "delivers")

    def _of_Policy(self, stack: str, _: str, given: Any) -> Iterator[Edge]:  # noqa: N802
        roles = set(_references(given.get("Roles", ())))
        users = [
            self.nodes[stack, logical_id]
            for logical_id, resource in self._templates[stack]["Resources"].items()
            if (stack, logical_id) in self.nodes
            and resource["Type"] == "AWS::Lambda::Function"
            and roles & set(_references(resource["Properties"].get("Role")))
        ]
        for statement in given["PolicyDocument"]["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            how = _how(actions)
            if how is None:
                continue
            for target in self._found(stack, statement["Resource"]):
                for user in users:
                    yield Edge(user, target, how)


_WRITES: Final = re.compile(r":(Put|Update|Delete|Transact|BatchWrite|ConditionCheck)")
_SENDS: Final = re.compile(r"^(sns:Publish|sqs:SendMessage|events:PutEvents|sms-voice:Send)")
_STARTS: Final = re.compile(r"^(states:Start|lambda:Invoke|scheduler:)")
_READS: Final = re.compile(r"^(dynamodb|s3|kinesis|athena):(Get|Query|Scan|List|BatchGet)")


def _how(actions: Iterable[str]) -> str | None:
    actions = list(actions)
    needs = ("sqs:Receive", "kinesis:GetRecords")
    if any(action.startswith(needs) for action in actions) and not any(map(_WRITES.search, actions)):
        # What an event source needs; its mapping is drawn.
        return None
    for pattern, how in ((_SENDS, "sends"), (_STARTS, "starts"), (_WRITES, "writes"), (_READS, "reads")):
        if any(pattern.search(action) for action in actions):
            return how
    return None


def _references(value: Any) -> Iterator[str]:
    match value:
        case {"Ref": str(name)}:
            yield name
        case {"Fn::GetAtt": [str(name), *_]}:
            yield name
        case {"Fn::ImportValue": str(name)}:
            yield f"export:{name}"
        case {"Fn::Sub": [str(text), Mapping() as more]}:
            yield from re.findall(r"\$\{(\w+)", text)
            yield from _references(more)
        case Mapping():
            for each in value.values():
                yield from _references(each)
        case list() | tuple():
            for each in value:
                yield from _references(each)


def _is_left_out(logical_id: str) -> bool:
    return "DeadLetter" in logical_id or "Failures" in logical_id or "AccessLog" in logical_id


_HASH: Final = re.compile(r"[0-9A-F]{8}$")
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]+|[a-z]+|\d+")


def _name(stack: str, logical_id: str) -> tuple[str, str]:
    """Return system and name: ``Reviews``, ``Send part``."""
    bare = _HASH.sub("", logical_id).removesuffix("Resource")
    system = next((one for one in SYSTEMS if stack.startswith(one)), None)
    system = system or next((one for one in SYSTEMS if bare.startswith(one)), "Others")
    for prefix in (system, "Analytics"):
        bare = bare.removeprefix(prefix)
    words = _WORDS.findall(bare) or [system]
    return system, " ".join([words[0], *(word if word.isupper() else word.lower() for word in words[1:])])


# Choosing


def of_system(graph: Graph, system: str) -> Graph:
    """Keep one system, with what it works with in the others."""
    edges = [edge for edge in graph.edges if system in (edge.source.system, edge.target.system)]
    if system == "Channel":
        # Everybody uses the channel; that is the overview's.
        edges = [edge for edge in edges if edge.source.system == edge.target.system]
    else:
        # What others do with it is told in their pictures, but for what triggers it.
        edges = [
            edge
            for edge in edges
            if edge.source.system == system or (edge.source.system == "Channel" and edge.how != "runs")
        ]
    nodes = {node for edge in edges for node in (edge.source, edge.target)}
    nodes |= {node for node in graph.nodes if node.system == system and node.kind != "Athena"}
    return Graph(tuple(sorted(nodes)), tuple(edges))


def overview(graph: Graph) -> Graph:
    """Draw systems as one box each, with the channel's shared resources apart, and what goes between them."""
    systems = {system: Node("", system, "system") for system in SYSTEMS}

    def seen(node: Node) -> Node:
        if node.system == "Channel" and node.kind in {"bus", "table", "topic", "SMS"}:
            return node
        return systems.get(node.system, node)

    words: dict[tuple[Node, Node], set[str]] = defaultdict(set)
    for edge in graph.edges:
        source, target = seen(edge.source), seen(edge.target)
        if source != target:
            words[source, target].add(edge.how)
    edges = [Edge(source, target, ", ".join(sorted(how))) for (source, target), how in sorted(words.items())]
    nodes = {node for edge in edges for node in (edge.source, edge.target)} | set(systems.values())
    return Graph(tuple(sorted(nodes)), tuple(edges))


def read_packages() -> Graph:
    """Read which packages import which, from the sources."""
    roots = {
        "app": [ROOT / "app.py", *sorted((ROOT / "stacks").rglob("*.py"))],
        "constructs": sorted((ROOT / "constructs" / "sms_engagement").rglob("*.py")),
        "runtime": sorted((ROOT / "runtime" / "sms_engagement_runtime").rglob("*.py")),
    }
    edges: dict[tuple[Node, Node], str] = {}
    nodes: set[Node] = set()
    for root, paths in roots.items():
        for path in paths:
            source = _package(root, path)
            nodes.add(source)
            for name in _imports(path):
                target = _imported(name)
                if target is not None and target != source:
                    edges[source, target] = "imports"
                    nodes.add(target)
    return Graph(tuple(sorted(nodes)), tuple(Edge(*pair, how) for pair, how in sorted(edges.items())))


_LAYERS: Final = ("domain", "adapters", "handlers", "commands")


def _package(root: str, path: Path) -> Node:
    if root == "app":
        return _APP if path.name == "app.py" else _STACKS
    if root == "constructs":
        return _CONSTRUCTS
    return _layer(path.relative_to(ROOT / "runtime" / "sms_engagement_runtime").parts)


_APP: Final = Node("", "app.py", "app")
_STACKS: Final = Node("", "stacks", "stacks")
_CONSTRUCTS: Final = Node("wheel", "sms_engagement", "constructs")


def _layer(parts: Iterable[str]) -> Node:
    layer = next((part for part in parts if part in _LAYERS), "settings and logs")
    kind = {"domain": "domain", "handlers": "entries", "commands": "entries"}.get(layer, "adapters")
    return Node("wheel", f"runtime: {layer}", kind)


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _imported(name: str) -> Node | None:
    top, *rest = name.split(".")
    match top:
        case "stacks":
            return _STACKS
        case "sms_engagement":
            return _CONSTRUCTS
        case "sms_engagement_runtime":
            return _layer(rest)
        case "aws_cdk" | "constructs":
            return Node("", "AWS CDK", "library")
        case "boto3" | "botocore":
            return Node("", "boto3", "library")
    return None


# Drawing

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 168, 46, 92, 18, 24
_LINE_COLOURS: Final = {
    "reads": "#8aa4c8",
    "writes": "#3465a4",
    "sends": "#a347ba",
    "starts": "#c64600",
    "runs": "#c64600",
    "triggers": "#2e7d32",
    "delivers": "#2e7d32",
    "calls": "#2e7d32",
    "fails to": "#999999",
    "imports": "#3465a4",
}


def draw(graph: Graph, *, title: str, description: str, is_labelled: bool = False) -> str:
    """Write a picture: columns from what begins to what is kept, lines between them."""
    columns = _columns(graph)
    places: dict[Node, tuple[int, int]] = {}
    tallest = max(len(column) for column in columns)
    for number, column in enumerate(columns):
        top = _MARGIN + 30 + (tallest - len(column)) * (_HEIGHT + _GAP_Y) // 2
        for row, node in enumerate(column):
            places[node] = (_MARGIN + number * (_WIDTH + _GAP_X), top + row * (_HEIGHT + _GAP_Y))
    hows = sorted({how for edge in graph.edges for how in edge.how.split(", ")})
    width = max(2 * _MARGIN + len(columns) * (_WIDTH + _GAP_X) - _GAP_X // 2, 2 * _MARGIN + 110 * len(hows))
    height = 2 * _MARGIN + 30 + tallest * (_HEIGHT + _GAP_Y) + 26
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-labelledby="title description" font-family="sans-serif">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="description">{escape(description)}</desc>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        '<defs><marker id="to" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0 L8 4 L0 8 z" fill="context-stroke"/></marker></defs>',
        f'<text x="{_MARGIN}" y="{_MARGIN + 6}" font-size="17" font-weight="bold">{escape(title)}</text>',
    ]
    lines += [_line(edge, places, is_labelled=is_labelled) for edge in graph.edges]
    lines += [_box(node, *places[node]) for node in graph.nodes]
    lines += _legend(hows, height - _MARGIN + 4)
    return "\n".join([*lines, "</svg>", ""])


_RANKS: Final = {
    "schedule": 0,
    "API": 0,
    "SMS": 0,
    "bus": 1,
    "topic": 1,
    "queue": 2,
    "state machine": 2,
    "function": 3,
    "system": 3,
    "stream": 2,
    "table": 5,
    "bucket": 5,
    "Athena": 5,
    "app": 0,
    "stacks": 1,
    "constructs": 2,
    "entries": 2,
    "adapters": 3,
    "domain": 4,
    "library": 5,
}


def _columns(graph: Graph) -> list[list[Node]]:
    """Sort by kind into columns, and within one next to what a resource works with."""
    by_rank: dict[int, list[Node]] = defaultdict(list)
    for node in graph.nodes:
        by_rank[_RANKS[node.kind]].append(node)
    columns = [by_rank[rank] for rank in sorted(by_rank)]
    places = {node: row / max(1, len(column)) for column in columns for row, node in enumerate(column)}
    neighbours: dict[Node, list[Node]] = defaultdict(list)
    for edge in graph.edges:
        neighbours[edge.source].append(edge.target)
        neighbours[edge.target].append(edge.source)
    for turn in range(12):
        for column in columns if turn % 2 == 0 else reversed(columns):
            column.sort(key=lambda node: (_middle(node, neighbours, places), node))
            for row, node in enumerate(column):
                places[node] = (row + 0.5) / len(column)
    return columns


def _middle(node: Node, neighbours: Mapping[Node, Sequence[Node]], places: Mapping[Node, float]) -> float:
    near = [places[other] for other in neighbours[node]]
    return round(sum(near) / len(near), 6) if near else places[node]


def _line(edge: Edge, places: Mapping[Node, tuple[int, int]], *, is_labelled: bool) -> str:
    (x1, y1), (x2, y2) = places[edge.source], places[edge.target]
    y1, y2 = y1 + _HEIGHT // 2, y2 + _HEIGHT // 2
    if x1 < x2:
        start, end, bend = x1 + _WIDTH, x2, _GAP_X // 2
    elif x1 > x2:
        start, end, bend = x1, x2 + _WIDTH, -_GAP_X // 2
    else:
        start, end, bend = x1 + _WIDTH, x2 + _WIDTH, _GAP_X // 2
    second = end + bend if x1 == x2 else end - bend
    colour = _LINE_COLOURS.get(edge.how.partition(", ")[0], "#666666")
    path = (
        f'<path d="M{start} {y1} C{start + bend} {y1} {second} {y2} {end} {y2}" fill="none" '
        f'stroke="{colour}" stroke-width="1.4" marker-end="url(#to)" opacity="0.75">'
        f"<title>{escape(edge.source.name)} {escape(edge.how)} {escape(edge.target.name)}</title></path>"
    )
    if is_labelled:
        x, y = (start + end) // 2, (y1 + y2) // 2 - 4
        path += f'<text x="{x}" y="{y}" font-size="10" text-anchor="middle" fill="#333">{edge.how}</text>'
    return path


def _box(node: Node, x: int, y: int) -> str:
    kind = node.kind if not node.system or node.kind == "system" else f"{node.kind} · {node.system}"
    size = 12 if len(node.name) < 24 else 10
    return (
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="{_COLOURS[node.kind]}" '
        f'stroke="#5a6a7a"/><text x="{x + _WIDTH // 2}" y="{y + 20}" font-size="{size}" text-anchor="middle">'
        f'{escape(node.name)}</text><text x="{x + _WIDTH // 2}" y="{y + 36}" font-size="10" fill="#444" '
        f'text-anchor="middle">{escape(kind)}</text>'
    )


def _legend(hows: Sequence[str], y: int) -> list[str]:
    lines = []
    for number, how in enumerate(hows):
        x = _MARGIN + 110 * number
        colour = _LINE_COLOURS.get(how, "#666666")
        lines.append(
            f'<path d="M{x} {y - 4} h26" stroke="{colour}" stroke-width="2" marker-end="url(#to)"/>'
            f'<text x="{x + 34}" y="{y}" font-size="11">{escape(how)}</text>'
        )
    return lines


def pictures(templates: Templates) -> dict[str, str]:
    """Draw all of them, by file name."""
    graph = read_graph(templates)
    drawn = {
        "overview.svg": draw(
            overview(graph),
            title="The systems, and what they share",
            description="Each system a box; the channel's bus, topics and tables; what goes between them.",
        ),
        "packages.svg": draw(
            read_packages(),
            title="Packages, and who imports whom",
            description="The app, the constructs and the layers of the runtime, with their imports.",
        ),
    }
    for system in SYSTEMS:
        drawn[f"{system.lower()}.svg"] = draw(
            of_system(graph, system),
            title=f"{system}: what is deployed, and how it works together",
            description=f"Functions, tables, queues and topics of {system}, with lines for what uses what.",
        )
    return drawn


def main() -> None:
    """Draw them into the folder."""
    from benchmarks.text_cost import synthesized

    FOLDER.mkdir(exist_ok=True)
    with synthesized() as templates:
        for name, text in pictures(json.loads(json.dumps(templates))).items():
            (FOLDER / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
