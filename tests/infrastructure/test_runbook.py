"""`docs/runbook.md` has a line for each alarm of each environment, and for nothing else."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from tests.infrastructure.synthesis import ROOT, Template, resources_of

PAGE = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")

# Alarm, meaning, what people notice, where to look, what to do.
LINES = re.findall(r"^\| `(\w+/\w+)` \|(.*)\|$", PAGE, flags=re.MULTILINE)


def pointers(templates: Mapping[str, Template]) -> Iterator[tuple[str, str, str]]:
    for stack, template in templates.items():
        for name, alarm in resources_of(template, "AWS::CloudWatch::Alarm").items():
            (pointer,) = re.findall(r" \(runbook: (\S+)\)$", alarm["AlarmDescription"])
            yield stack, name, pointer


def test_every_alarm_points_to_a_line_and_every_line_is_that_of_an_alarm(
    environment_templates: Mapping[str, Template],
) -> None:
    alarms = {pointer for _, _, pointer in pointers(environment_templates)}

    lines = {alarm for alarm, _ in LINES}

    assert alarms - lines == set(), "alarms without a line in docs/runbook.md"
    assert lines - alarms == set(), "lines of docs/runbook.md without an alarm"


def test_the_pointer_names_the_alarm_and_its_system(environment_templates: Mapping[str, Template]) -> None:
    for stack, name, pointer in pointers(environment_templates):
        system, alarm = pointer.split("/")

        assert name[:-8].endswith(f"Alarms{alarm}")
        assert system == stack.split("-")[-1].lower()


def test_a_line_says_what_it_means_whom_it_concerns_where_to_look_and_what_to_do() -> None:
    assert [alarm for alarm, count in Counter(alarm for alarm, _ in LINES).items() if count > 1] == []
    for alarm, line in LINES:
        cells = [cell.strip() for cell in line.split("|")]

        assert len(cells) == 4, alarm
        assert all(cells), alarm


def test_saved_queries_that_the_runbook_names_are_there(
    environment_templates: Mapping[str, Template],
) -> None:
    titles = {
        query["Name"].split("/")[-1]
        for template in environment_templates.values()
        for query in resources_of(template, "AWS::Logs::QueryDefinition").values()
    }
    named = {title for _, line in LINES for title in re.findall(r"\*([A-Z][a-z][^*]+)\*", line)}
    # Graphs, metrics and buttons of the console are named in the same way.
    others = {
        "Time of an answer",
        "Behind the stream",
        "ConcurrentExecutions",
        "IncomingRecords",
        "Rotate secret immediately",
        "Delivery by campaign and country",
    }

    assert named - others <= titles
    assert titles & named
