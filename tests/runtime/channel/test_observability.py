import json
from types import SimpleNamespace

import pytest
from aws_lambda_powertools import Tracer
from aws_xray_sdk import global_sdk_config
from aws_xray_sdk.core import xray_recorder

from sms_engagement_runtime import observability
from sms_engagement_runtime.observability import instrumented, logger, masked_json, metrics
from tests.support.handlers import Context
from tests.support.logs import captured_logs


@pytest.mark.parametrize("number", ["+12065550100", "+4915112345678", "+6421234567", "+123456789012345"])
def test_an_e164_number_in_a_log_entry_keeps_its_last_four_digits_only(number):
    text = masked_json({"message": f"sent to {number}.", "nested": {"phone": number, number: 1}})

    assert number not in text
    assert number[-5:] not in text
    assert f"+***{number[-4:]}" in text


def test_what_is_no_number_stays_as_it_is():
    entry = {"timestamp": "2026-11-21T10:00:00+0000", "epoch": 1712944268877, "text": "2 + 3", "name": "Zoë"}

    assert json.loads(masked_json(entry)) == entry


@pytest.fixture
def traced(monkeypatch):
    """Options with which the tracer was asked to trace."""
    options = []

    def capture(handler, **given):
        options.append(given)
        return handler

    monkeypatch.setattr(observability.tracer, "capture_lambda_handler", capture)
    return options


def test_a_trace_holds_neither_response_nor_error(traced):
    instrumented(lambda event, context: "response")

    assert traced == [{"capture_response": False, "capture_error": False}]


@pytest.fixture
def sent_traces(monkeypatch):
    """What the X-Ray SDK, switched on as in Lambda, would have sent."""
    sent = []
    emitter = SimpleNamespace(send_entity=lambda entity: sent.append(entity.serialize()))
    was_enabled = global_sdk_config.sdk_enabled()
    # Tracers share their settings.
    monkeypatch.setattr(Tracer, "_config", dict(Tracer._config))
    monkeypatch.setattr(xray_recorder, "_emitter", emitter)
    monkeypatch.setattr(observability, "tracer", Tracer(service="tests", auto_patch=False, disabled=False))
    global_sdk_config.set_sdk_enabled(True)
    xray_recorder.begin_segment("function", sampling=1)
    yield sent
    xray_recorder.clear_trace_entities()
    global_sdk_config.set_sdk_enabled(was_enabled)


def test_a_trace_tells_that_a_call_failed_and_not_why(sent_traces):
    @observability.instrumented
    def handler(event, _context):
        raise ValueError(f"{event['words']} of somebody")

    with pytest.raises(ValueError, match="words of somebody"):
        handler({"words": "words"}, Context())

    xray_recorder.end_segment()
    (trace,) = sent_traces
    assert "somebody" not in trace
    (part,) = json.loads(trace)["subsegments"]
    assert part["fault"] is True
    assert part["annotations"]["Service"] == "tests"


def test_nothing_but_our_own_logger_writes_of_a_failure(sent_traces, caplog):
    @observability.instrumented
    def handler(_event, _context):
        try:
            raise KeyError("+12065550123 wrote something")
        except KeyError as error:
            raise ValueError("a fault") from error

    with pytest.raises(ValueError, match="a fault") as caught:
        handler({}, Context())

    assert caplog.text == ""
    assert caught.value.__traceback__ is not None


def test_neither_event_nor_response_is_logged():
    handler = instrumented(lambda event, context: {"answer": event["body"]})

    with captured_logs() as logs:
        response = handler({"body": "what a person wrote"}, Context())

    assert response == {"answer": "what a person wrote"}
    assert logs.getvalue() == ""


def test_what_was_counted_is_published_even_if_the_handler_fails(capsys):
    @instrumented
    def handler(event, context):
        metrics.add_metric(name="Counted", unit="Count", value=1)
        raise ValueError("a fault")

    with pytest.raises(ValueError, match="a fault"):
        handler({}, Context())

    published = json.loads(capsys.readouterr().out)
    assert published["Counted"] == [1.0]
    assert published["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "SMS/Engagement"


def test_nothing_counted_publishes_nothing(capsys):
    instrumented(lambda event, context: None)({}, Context())

    assert capsys.readouterr().out == ""


def test_log_lines_carry_the_request_and_nothing_of_the_one_before():
    @instrumented
    def handler(event, context):
        logger.append_keys(user="u-1") if event else logger.info("second")

    with captured_logs() as logs:
        handler({"first": True}, Context())
        handler({}, Context())

    (line,) = logs.getvalue().splitlines()
    assert json.loads(line)["function_request_id"] == "request"
    assert "user" not in json.loads(line)


def test_a_number_in_an_exception_is_masked():
    with captured_logs() as logs:
        try:
            raise ValueError("cannot text +12065550123")
        except ValueError:
            logger.exception("failed to text +12065550123")

    assert "+12065550123" not in logs.getvalue()
    assert "+***0123" in logs.getvalue()
