"""The pictures of the architecture are what the templates and the sources say."""

import json
import xml.etree.ElementTree as ET

import pytest

from benchmarks.text_cost import synthesized
from tools.architecture import COMMAND, FOLDER, SYSTEMS, Edge, Graph, Node, draw, pictures, read_graph


@pytest.fixture(scope="module")
def templates():
    with synthesized() as templates:
        yield json.loads(json.dumps(templates))


@pytest.fixture(scope="module")
def drawn(templates) -> dict[str, str]:
    return pictures(templates)


def test_every_picture_is_current(drawn: dict[str, str]) -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.svg")}

    assert written.keys() == drawn.keys()
    stale = [name for name in drawn if written[name] != drawn[name]]
    assert not stale, f"run `{COMMAND}`, and commit what it draws"


def test_every_function_and_every_table_is_in_some_picture(templates, drawn: dict[str, str]) -> None:
    graph = read_graph(templates)
    wanted = {node for node in graph.nodes if node.kind in {"function", "table", "state machine"}}

    assert len(wanted) > 30
    missing = {node for node in wanted if f">{node.name}<" not in drawn[f"{node.system.lower()}.svg"]}
    assert not missing


def test_lines_are_what_the_templates_connect(templates) -> None:
    lines = {
        (edge.source.name, edge.how, edge.target.name)
        for edge in read_graph(templates).edges
        if edge.source.system in SYSTEMS
    }

    assert ("Send part", "writes", "Messages") in lines
    assert ("Ingest", "writes", "Stream") in lines
    assert ("Stream", "triggers", "Archiver") in lines
    assert ("Api", "calls", "Form") in lines
    assert ("Configuration set", "delivers", "Event topic") in lines


def test_a_picture_is_well_formed_says_what_it_shows_and_asks_nobody(drawn: dict[str, str]) -> None:
    for name, text in drawn.items():
        root = ET.fromstring(text)
        kinds = [child.tag.rpartition("}")[2] for child in root]
        assert kinds[:2] == ["title", "desc"], name
        assert "href" not in text, name


def test_names_cannot_break_a_picture() -> None:
    odd, other = Node("Reviews", "<a & b>", "table"), Node("Reviews", "Form", "function")

    ET.fromstring(draw(Graph((odd, other), (Edge(other, odd, "reads"),)), title="<&>", description="&"))
