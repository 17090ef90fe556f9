"""botocore resends by itself unless told not to. Requests are counted where they arrive: at a socket."""

import socket
from dataclasses import dataclass

import boto3
import pytest
from botocore.config import Config

from sms_engagement_runtime.channel.adapters.clients import SENDING
from sms_engagement_runtime.channel.adapters.end_user_messaging import EndUserMessagingSender
from sms_engagement_runtime.channel.adapters.sns_sender import SnsSender
from sms_engagement_runtime.channel.domain.errors import (
    OutcomeUnknownError,
    SendingDisabledError,
    SendRefusedError,
    SendThrottledError,
)
from tests.support.raw_http_server import RawHttpServer, answer, cut_off, drop, reset_when_reused
from tests.support.texts import outbound_message

PATIENT = SENDING.merge(Config(read_timeout=30, connect_timeout=30))
IMPATIENT = SENDING.merge(Config(read_timeout=2, connect_timeout=30))
"""Where no answer comes."""


@dataclass(frozen=True)
class SenderUnderTest:
    service: str

    def at(self, url, config=PATIENT, **options):
        client = boto3.client(self.service, endpoint_url=url, config=config)
        if self.service == "sns":
            return SnsSender(client, **options)
        return EndUserMessagingSender(
            client, origination_identity="pool-a", configuration_set="channel", **options
        )

    @property
    def accepted(self):
        """A good answer of the service."""
        xml = "<PublishResponse><PublishResult><MessageId>m-1</MessageId></PublishResult></PublishResponse>"
        return answer("200 OK", xml if self.service == "sns" else '{"MessageId": "m-1"}')


@pytest.fixture(params=["pinpoint-sms-voice-v2", "sns"])
def sender(request):
    return SenderUnderTest(request.param)


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(answer("500 Internal Server Error", '{"__type": "InternalServerException"}'), id="500"),
        pytest.param(answer("502 Bad Gateway", "<html>"), id="502 of a proxy"),
        pytest.param(answer("503 Service Unavailable"), id="503"),
        pytest.param(answer("408 Request Timeout", "<html>"), id="408"),
        pytest.param(drop, id="connection dropped"),
        pytest.param(cut_off, id="answer cut off"),
        pytest.param(answer("200 OK", "<html>"), id="unreadable answer"),
        pytest.param(answer("200 OK", "{}"), id="no message id"),
        pytest.param(None, id="no answer in time"),
    ],
)
def test_an_unknown_outcome_after_exactly_one_request(sender, behaviour):
    with RawHttpServer(behaviour) as server:
        with pytest.raises(OutcomeUnknownError):
            sender.at(server.url, PATIENT if behaviour else IMPATIENT).send(outbound_message())

        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        ("400 Bad Request", "ThrottlingException", SendThrottledError),
        ("429 Too Many Requests", "TooManyRequestsException", SendThrottledError),
        ("400 Bad Request", "ValidationException", SendRefusedError),
    ],
)
def test_a_refusal_after_exactly_one_request(status, code, error):
    sender = SenderUnderTest("pinpoint-sms-voice-v2")
    body = f'{{"__type": "{code}", "Message": "no"}}'

    with RawHttpServer(answer(status, body)) as server:
        with pytest.raises(error, match=code):
            sender.at(server.url).send(outbound_message())

        assert len(server.requests) == 1


def test_the_refusal_of_a_proxy_says_nothing_about_the_text():
    sender = SenderUnderTest("pinpoint-sms-voice-v2")

    with RawHttpServer(answer("403 Forbidden", "<html>")) as server:
        with pytest.raises(SendingDisabledError):
            sender.at(server.url).send(outbound_message())

        assert len(server.requests) == 1


def test_no_text_goes_out_on_a_connection_that_ended_in_the_pause_before_it(sender):
    clock = iter([0.0, 5.1, 5.2]).__next__

    with RawHttpServer(reset_when_reused(sender.accepted)) as server:
        tested = sender.at(server.url, clock=clock)

        assert [tested.send(outbound_message()) for _ in range(2)] == ["m-1", "m-1"]
        assert len(server.requests) == 2


def test_texts_that_follow_one_another_share_a_connection(sender):
    with RawHttpServer(reset_when_reused(sender.accepted)) as server:
        tested = sender.at(server.url, clock=lambda: 0.0)
        tested.send(outbound_message())

        with pytest.raises(OutcomeUnknownError):
            tested.send(outbound_message())


def test_the_environment_cannot_bring_retries_back(sender, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    monkeypatch.setenv("AWS_RETRY_MODE", "adaptive")

    with RawHttpServer(drop) as server:
        with pytest.raises(OutcomeUnknownError):
            sender.at(server.url).send(outbound_message())

        assert len(server.requests) == 1


def test_a_connection_that_never_came_about_proves_that_nothing_was_sent(sender):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]

    with pytest.raises(SendThrottledError, match="NOT_CONNECTED"):
        sender.at(f"http://127.0.0.1:{port}").send(outbound_message())


def test_a_name_that_does_not_resolve_proves_that_nothing_was_sent(sender):
    with pytest.raises(SendThrottledError, match="NOT_CONNECTED"):
        sender.at("http://sms-voice.invalid").send(outbound_message())


def test_a_request_that_botocore_cannot_build_is_refused_unsent_and_unquoted():
    with RawHttpServer() as server:
        with pytest.raises(SendRefusedError) as caught:
            SenderUnderTest("pinpoint-sms-voice-v2").at(server.url).send(outbound_message(body=""))

        assert server.requests == []
    assert caught.value.reason == "INVALID_PARAMETER"
    assert caught.value.__cause__ is None


def test_the_default_of_boto3_would_send_the_text_more_than_once():
    sender = SenderUnderTest("pinpoint-sms-voice-v2")

    with RawHttpServer(drop) as server:
        with pytest.raises(OutcomeUnknownError):
            sender.at(server.url, Config(retries={"mode": "standard"})).send(outbound_message())

        assert len(server.requests) > 1
