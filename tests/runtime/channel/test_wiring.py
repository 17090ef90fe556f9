import socket
from dataclasses import replace

import pytest

from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.end_user_messaging import EndUserMessagingSender
from sms_engagement_runtime.channel.adapters.sns_sender import SnsSender
from sms_engagement_runtime.channel.adapters.wiring import (
    SendingSettings,
    build_send_service,
    build_sender,
    report_sending_disabled,
)
from sms_engagement_runtime.channel.domain.sending import SendPolicy
from sms_engagement_runtime.observability import metrics
from sms_engagement_runtime.settings import SettingsError, load
from tests.support.logs import captured_logs

ENVIRONMENT = {
    "CONTACTS_TABLE": "contacts",
    "MESSAGES_TABLE": "messages",
    "SUBSCRIBER_KEY_SECRET_ARN": "arn:secret",
    "SENDER": "eum",
    "ORIGINATION_IDENTITY": "arn:aws:sms-voice:us-east-1:111122223333:pool/pool-1",
    "CONFIGURATION_SET": "channel",
    "ALLOWED_COUNTRIES": "US,CA",
    "DEFAULT_COUNTRY": "US",
    "MAX_PARTS": "2",
    "PARTS_PER_SECOND": "10",
}


@pytest.fixture
def settings():
    return load(SendingSettings, ENVIRONMENT)


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_the_service_is_put_together_without_a_call(settings, no_network):
    service = build_send_service(settings)

    assert isinstance(service.sender, EndUserMessagingSender)
    assert service.policy == SendPolicy(allowed_countries=frozenset({"US", "CA"}), max_parts=2)


def test_sns_sends_where_the_settings_say_so(settings):
    sender = build_sender(replace(settings, sender="sns", origination_identity="", configuration_set=""))

    assert isinstance(sender, SnsSender)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"sender": "pinpoint"}, "SENDER must be eum or sns"),
        ({"origination_identity": ""}, "needs ORIGINATION_IDENTITY and CONFIGURATION_SET"),
        ({"configuration_set": ""}, "needs ORIGINATION_IDENTITY and CONFIGURATION_SET"),
    ],
)
def test_settings_that_cannot_send_are_refused_at_the_start(settings, fields, sentence):
    with pytest.raises(SettingsError, match=sentence):
        build_sender(replace(settings, **fields))


@pytest.mark.parametrize("make", [clients.sms_client, clients.sns_sms_client])
def test_clients_that_send_make_one_attempt(make):
    config = make().meta.config

    assert config.retries["total_max_attempts"] == 1
    # A call that hangs must end before the row of its text counts as uncertain.
    assert config.connect_timeout + config.read_timeout < 60


@pytest.mark.parametrize(
    "make",
    [
        clients.sms_settings_client,
        clients.sns_client,
        clients.dynamodb_client,
        clients.events_client,
        clients.secrets_client,
        clients.s3_client,
    ],
)
def test_other_clients_retry_and_do_not_hang(make):
    config = make().meta.config

    assert config.retries["total_max_attempts"] > 1
    assert config.connect_timeout + config.read_timeout <= 10


def test_a_disabled_account_is_counted_and_logged():
    with captured_logs() as logs:
        report_sending_disabled("MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT")

    assert "SendingDisabled" in metrics.provider.metric_set
    assert "MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT" in logs.getvalue()
    metrics.provider.clear_metrics()
