"""Alarms, dashboards and saved queries are about what the functions really log.

A handful of tests of the handlers runs here again, with every line of the functions kept. What CloudWatch
would make of these lines is what an alarm, a graph or a query may ask for.
"""

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sms_local.emulator.patches.embedded_metrics import metrics_of as emitted_by
from tests.infrastructure.synthesis import ROOT, Template, resources_of
from tests.support.alarm_evaluation import metrics_of

# Each for the lines that it makes a function write.
_CHANNEL = "channel/test_event_recorder.py::", "channel/test_router.py::"
SCENARIOS = [
    f"tests/runtime/{scenario}"
    for scenario in (
        f"{_CHANNEL[0]}test_a_delivered_text_is_recorded_with_its_price",
        f"{_CHANNEL[0]}test_what_became_of_a_campaign_s_texts_is_counted_however_often_it_is_told",
        f"{_CHANNEL[0]}test_what_is_not_about_our_texts_is_acknowledged_and_counted",
        f"{_CHANNEL[0]}test_texts_of_a_batch_that_failed_in_part_are_counted_all_the_same",
        f"{_CHANNEL[1]}test_stop_is_recorded_confirmed_once_and_listed",
        f"{_CHANNEL[1]}test_free_text_reaches_a_human_with_the_number_and_the_words",
        f"{_CHANNEL[1]}test_start_after_stop_is_welcomed",
        f"{_CHANNEL[1]}test_a_reply_that_has_to_wait_puts_the_text_back_and_comes_later",
        f"{_CHANNEL[1]}test_a_reply_that_the_gate_refuses_is_logged_with_its_reason",
        f"{_CHANNEL[1]}test_the_schemas_name_every_field_and_ask_for_each[ReplyReceived]",
        f"{_CHANNEL[1]}test_a_wrong_number_is_suppressed_and_the_bus_and_a_human_are_told",
        "channel/test_reconcile_handler.py::TestTheFunction::test_both_sides_are_put_in_step_in_one_step_or_many",
        "review_collector/test_broadcast_handlers.py::"
        "test_a_person_who_cannot_be_asked_costs_nobody_else_a_text_and_is_not_named_in_the_log",
        "review_collector/test_review_requested_handler.py::TestAsking",
        "review_collector/test_review_requested_handler.py::TestInvitees::"
        "test_a_text_that_cannot_be_sent_is_counted_and_logged_by_its_reason",
        "review_collector/test_form_handler.py::test_a_good_link_opens_the_form",
        "review_collector/test_submit_handler.py::TestFaults",
        "appointment_follow_up/test_webhook_handler.py::TestSignatures::test_without_one_it_is_refused",
        "appointment_follow_up/test_webhook_handler.py::TestSignatures::"
        "test_calcoms_old_events_are_recognised_by_what_is_in_them",
        "appointment_follow_up/test_webhook_handler.py::TestABooking::test_becomes_a_row_and_an_execution_of_its_name",
        "appointment_follow_up/test_webhook_handler.py::TestABooking::"
        "test_whose_row_was_written_and_whose_execution_was_not_is_completed_by_the_next_delivery",
        "appointment_follow_up/test_phone_events_handler.py::TestMalformed",
        "appointment_follow_up/test_phone_events_handler.py::TestAnswers",
        "appointment_follow_up/test_follow_up_handler.py::TestSteps",
        "appointment_follow_up/test_follow_up_handler.py::TestWaiting",
        "journeys/test_journey_handlers.py::test_the_welcome_series_gives_each_what_they_answered_for",
        "journeys/test_journey_handlers.py::"
        "test_a_neutral_answer_goes_to_a_human_and_the_next_one_still_counts",
        "journeys/test_journey_handlers.py::test_a_yes_to_a_promotion_is_counted_as_one",
        "journeys/test_journey_handlers.py::test_an_event_that_cannot_be_read_is_logged_counted_and_gone",
        "journeys/test_journey_handlers.py::test_a_turn_that_fails_as_nobody_foresaw_is_logged_for_the_alarm",
        "journeys/test_journey_handlers.py::test_an_account_that_may_not_send_is_counted_for_the_alarm",
        "sms_analytics_pipeline/test_subscription_events.py::"
        "test_an_event_that_nobody_can_carry_out_is_counted_and_gone",
        "sms_analytics_pipeline/test_ingest_handler.py::"
        "test_garbage_goes_to_the_quarantine_with_its_reason_and_comes_once",
        "sms_analytics_pipeline/test_ingest_handler.py::test_what_comes_again_is_not_put_again",
        "sms_analytics_pipeline/test_response_handler.py::"
        "test_a_poisoned_answer_is_set_aside_and_stops_nothing",
        "sms_analytics_pipeline/test_counting_consumers.py::"
        "test_a_batch_is_counted_in_the_table_and_in_the_log",
        "sms_analytics_pipeline/test_counting_consumers.py::test_the_event_processor_says_one_line_a_batch",
    )
]

# Counted by code of the channel, which every function that sends has in it.
OF_EVERY_SENDER = {"SendingDisabled"}

# Names of AWS's own metrics; the dimensions are those that the CDK's constructs give them.
DOCUMENTED = {
    "AWS/ApiGateway": {"4xx", "5xx", "Count", "Latency"},
    "AWS/DynamoDB": {"ReadThrottleEvents", "WriteThrottleEvents"},
    "AWS/Kinesis": {"WriteProvisionedThroughputExceeded"},
    "AWS/Lambda": {"Duration", "Errors", "Invocations", "IteratorAge"},
    "AWS/SQS": {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"},
    "AWS/States": {
        "ExecutionTime",
        "ExecutionsFailed",
        "ExecutionsStarted",
        "ExecutionsSucceeded",
        "ExecutionsTimedOut",
    },
}


@dataclass
class Logged:
    """What the functions wrote.

    Attributes
    ----------
    lines
        Parsed, by handler.
    metrics
        Handlers by namespace, name and names of the dimensions.
    """

    lines: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    metrics: dict[tuple[str, str, frozenset[str]], set[str]] = field(default_factory=lambda: defaultdict(set))
    text: str = ""


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Logged:
    kept = tmp_path_factory.mktemp("logs") / "lines.jsonl"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [*command, "-p", "tests.support.log_recorder", *SCENARIOS],
        cwd=ROOT,
        env={**os.environ, "LOG_RECORDER_FILE": str(kept)},
        capture_output=True,
        text=True,
        check=False,
    )
    # A test that fails does so in its own place, too; one that is not there any more (4) fails here.
    assert run.returncode in {0, 1}, run.stdout + run.stderr
    return read(kept)


def read(kept: Path) -> Logged:
    logged = Logged(text=kept.read_text(encoding="utf-8"))
    for entry in map(json.loads, logged.text.splitlines()):
        logged.lines[entry["handler"]].append(json.loads(entry["line"]))
        for datum in emitted_by(entry["line"]):
            logged.metrics[datum.namespace, datum.name, frozenset(datum.dimensions)].add(entry["handler"])
    return logged


def handlers_of(template: Template) -> dict[str, str]:
    """Handlers of a stack's functions by the logical id of their log group."""
    return {
        function["LoggingConfig"]["LogGroup"]["Ref"]: re.sub(
            r"^sms_engagement_runtime\.(.*)\.handler$", r"\1", function["Handler"]
        )
        for function in resources_of(template, "AWS::Lambda::Function").values()
    }


def counted_from_lines(template: Template, logged: Logged) -> set[tuple[str, str, frozenset[str]]]:
    """Metrics that filters make of lines that were really written."""
    handlers = handlers_of(template)
    found: set[tuple[str, str, frozenset[str]]] = set()
    for counter in resources_of(template, "AWS::Logs::MetricFilter").values():
        (message,) = re.fullmatch(r'\{ \$\.message = "(.*)" \}', counter["FilterPattern"]).groups()  # type: ignore[union-attr]
        (made,) = counter["MetricTransformations"]
        fields = {each["Key"]: each["Value"].removeprefix("$.") for each in made["Dimensions"]}
        for line in logged.lines[handlers[counter["LogGroupName"]["Ref"]]]:
            if line.get("message") == message and set(fields.values()) <= set(line):
                found.add((made["MetricNamespace"], made["MetricName"], frozenset(fields)))
    return found


def is_emitted(
    namespace: str, name: str, dimensions: Mapping[str, str], template: Template, logged: Logged
) -> bool:
    if namespace in DOCUMENTED:
        return name in DOCUMENTED[namespace]
    key = (namespace, name, frozenset(dimensions))
    emitters = logged.metrics.get(key, set())
    own = bool(emitters & set(handlers_of(template).values()))
    return own or bool(emitters and name in OF_EVERY_SENDER) or key in counted_from_lines(template, logged)


def stacks_of(templates: Mapping[str, Template], environment: str = "prod") -> Iterator[Template]:
    for stack, template in templates.items():
        if stack.startswith(f"{environment}-"):
            yield template


def test_every_alarm_is_on_a_metric_that_is_emitted(
    environment_templates: Mapping[str, Template], logged: Logged
) -> None:
    silent = [
        (name, metric.namespace, metric.name, sorted(metric.dimensions))
        for template in stacks_of(environment_templates)
        for name, alarm in resources_of(template, "AWS::CloudWatch::Alarm").items()
        for metric in metrics_of(alarm)
        if not is_emitted(metric.namespace, metric.name, metric.dimensions, template, logged)
    ]

    assert silent == []


def test_a_metric_that_nobody_emits_is_found_out(
    environment_templates: Mapping[str, Template], logged: Logged
) -> None:
    reviews, channel = (environment_templates[name] for name in ("dev-Reviews", "dev-Channel"))
    by_service = {"service": "dev-Reviews-review-collector"}
    ours = "SMS/Engagement"

    assert is_emitted(ours, "ReviewRequestsSent", by_service, reviews, logged)
    assert is_emitted(ours, "ReviewsUnannounced", by_service, reviews, logged)
    # A name that is wrong, dimensions that are, a namespace that is, and a system that is.
    assert not is_emitted(ours, "ReviewRequestSent", by_service, reviews, logged)
    assert not is_emitted(ours, "ReviewRequestsSent", {}, reviews, logged)
    assert not is_emitted("SMS/Marketing", "ReviewRequestsSent", by_service, reviews, logged)
    assert not is_emitted(ours, "ReviewRequestsSent", by_service, channel, logged)
    assert not is_emitted("AWS/Lambda", "Failures", {}, reviews, logged)


def dashboards_of(template: Template) -> Iterator[dict[str, Any]]:
    for dashboard in resources_of(template, "AWS::CloudWatch::Dashboard").values():
        body = dashboard["DashboardBody"]
        parts = body["Fn::Join"][1] if isinstance(body, dict) else [body]
        yield json.loads("".join(part if isinstance(part, str) else "reference" for part in parts))


def test_every_figure_of_a_dashboard_is_a_metric_that_is_emitted(
    environment_templates: Mapping[str, Template], logged: Logged
) -> None:
    seen: set[str] = set()
    silent = []
    channel = environment_templates["prod-Channel"]
    for template in stacks_of(environment_templates):
        for board in dashboards_of(template):
            for widget in board["widgets"]:
                title = widget["properties"].get("title", "")
                # The one graph of the journeys that is about the channel, which is another stack.
                source = channel if title.startswith("Texts of all systems") else template
                for namespace, name, names in figures_of(widget):
                    seen.add(name)
                    if not is_emitted(namespace, name, dict.fromkeys(names, ""), source, logged):
                        silent.append((title, namespace, name, names))

    assert silent == []
    assert {"JourneyTextsSent", "JourneyPositive", "JourneyLeft"} <= seen
    assert {"MessagesDelivered", "ReviewRequestsSent", "WebhooksTaken", "MessagesFailedByCountry"} <= seen


def figures_of(widget: Mapping[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """Namespace, name and names of the dimensions of each metric of a widget, searches included."""
    for figure in widget["properties"].get("metrics", ()):
        if isinstance(figure[0], dict):
            for names, metric in re.findall(
                r"SEARCH\('\{([^}]*)\} MetricName=\"(\w+)\"", figure[0]["expression"]
            ):
                namespace, *dimensions = names.split(",")
                yield namespace, metric, dimensions
        else:
            namespace, metric, *dimensions = [part for part in figure if isinstance(part, str)]
            yield namespace, metric, dimensions[::2]


def test_each_system_has_a_dashboard_with_its_alarms_and_the_way_to_the_runbook(
    environment_templates: Mapping[str, Template],
) -> None:
    for system in ("Channel", "Reviews", "Appointments", "Analytics", "Journeys"):
        (board,) = dashboards_of(environment_templates[f"dev-{system}"])
        kinds = [widget["type"] for widget in board["widgets"]]

        assert kinds[:2] == ["text", "alarm"], system
        assert "runbook" in board["widgets"][0]["properties"]["markdown"]
        assert kinds.count("metric") >= 6
        # The last row, too, is shown.
        assert {widget["width"] for widget in board["widgets"] if widget["type"] == "metric"} == {12}


# Saved queries

# CloudWatch Logs user guide, *Supported logs and discovered fields* and *Logs Insights query syntax*.
DISCOVERED = {"@timestamp", "@message", "@log", "@type", "@duration", "@maxMemoryUsed"}
COMMANDS = {"fields", "filter", "stats", "sort", "limit"}
FUNCTIONS = {"count", "avg", "max", "min", "sum", "pct", "latest", "bin", "ispresent", "coalesce"}
WORDS = {"by", "as", "and", "or", "not", "in", "like", "desc", "asc"}

# A key without a value is left out of a line: this one is there once a stop rule ended a part.
ONLY_WHEN_STOPPED = {"stoppedBy"}

# Step Functions developer guide, *Logging using CloudWatch Logs*: of each event of an execution.
OF_STATE_MACHINES = {"id", "type", "details", "previous_event_id", "event_timestamp", "execution_arn"}


def queries_of(template: Template) -> Iterator[tuple[str, str, list[str]]]:
    for query in resources_of(template, "AWS::Logs::QueryDefinition").values():
        yield query["Name"], query["QueryString"], [group["Ref"] for group in query["LogGroupNames"]]


def fields_of(query: str) -> set[str]:
    """Fields that a query reads, without those that it makes itself."""
    bare = re.sub(r'"[^"]*"|/[^/\n]+/(?=\n|$)', " ", query)
    made = set(re.findall(r"\bas (\w+)", bare))
    words = set(re.findall(r"(?<![\w@])@?[A-Za-z_]\w*", re.sub(r"\b\d+\w\b", " ", bare)))
    return words - made - COMMANDS - FUNCTIONS - WORDS


def test_every_query_asks_for_what_is_logged(
    environment_templates: Mapping[str, Template], logged: Logged
) -> None:
    for template in stacks_of(environment_templates):
        handlers = handlers_of(template)
        for name, query, groups in queries_of(template):
            wanted = fields_of(query)
            assert {field for field in wanted if field.startswith("@")} <= DISCOVERED, name
            ours = {field for field in wanted if not field.startswith("@")}
            if not all(group in handlers for group in groups):
                assert ours <= OF_STATE_MACHINES, name
                continue
            messages = set(re.findall(r'message = "([^"]+)"', query))
            messages |= set(re.findall(r'"([^"]+)"', "".join(re.findall(r"message in \[(.*?)\]", query))))
            lines = [line for group in groups for line in logged.lines[handlers[group]]]
            of_messages = [line for line in lines if line.get("message") in messages]
            if not messages:
                # Of all functions alike: a key that any of them has is no mistake.
                of_messages = [line for each in logged.lines.values() for line in each]

            assert messages <= {line.get("message") for line in lines}, name
            assert ours - ONLY_WHEN_STOPPED <= {key for line in of_messages for key in line}, name


def test_queries_are_written_with_commands_and_functions_that_there_are(
    environment_templates: Mapping[str, Template],
) -> None:
    for template in stacks_of(environment_templates):
        for name, query, groups in queries_of(template):
            commands = [part.split()[0] for part in re.split(r"^\||\n\|", query)]
            called = set(re.findall(r"\b(\w+)\(", query))

            assert set(commands) <= COMMANDS, name
            assert called <= FUNCTIONS, name
            # At most two, and at most fifty log groups a query.
            assert commands.count("stats") <= 2, name
            assert 1 <= len(groups) <= 50, name


def test_what_every_system_is_asked_for_can_be_asked(environment_templates: Mapping[str, Template]) -> None:
    for stack, more in {
        "Channel": {"Engagement by customer", "Why a reply waited or was not sent"},
        "Reviews": {"Broadcast duration", "Submission errors", "Slow form answers"},
        "Appointments": {"Why a text waited or was not sent"},
        "Journeys": {"Broadcast duration", "Runs of journeys"},
        "Analytics": {"What was taken in"},
    }.items():
        names = [name for name, _, _ in queries_of(environment_templates[f"dev-{stack}"])]
        titles = {name.split("/")[-1] for name in names}

        assert {"Errors by function", "Throttles", "Slow calls by function"} | more <= titles
        # Of its own environment: two of them in an account do not overwrite one another's.
        assert all(name.startswith(f"dev/{stack}/") for name in names)


def test_every_line_is_json_with_a_level_and_a_constant_message_or_a_metric(logged: Logged) -> None:
    for handler, lines in logged.lines.items():
        for line in lines:
            assert "_aws" in line or {"level", "message", "timestamp"} <= set(line), handler


def test_no_line_that_a_query_could_show_holds_a_phone_number(logged: Logged) -> None:
    assert sum(map(len, logged.lines.values())) > 100
    assert re.findall(r"\+\d{7,}", logged.text) == []
