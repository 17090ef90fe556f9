import socket
from dataclasses import replace
from datetime import timedelta

import pytest
from botocore.stub import Stubber

from sms_engagement_runtime.channel.adapters import clients, wiring
from sms_engagement_runtime.channel.adapters.budget import DynamoBudget
from sms_engagement_runtime.channel.adapters.end_user_messaging import EndUserMessagingSender
from sms_engagement_runtime.channel.adapters.number_places import NumberPlaces
from sms_engagement_runtime.channel.adapters.sns_sender import SnsSender
from sms_engagement_runtime.channel.adapters.wiring import (
    SendingSettings,
    build_send_service,
    build_sender,
    report_sending_disabled,
)
from sms_engagement_runtime.channel.domain.budget import Unlimited
from sms_engagement_runtime.channel.domain.frequency import FrequencyCap
from sms_engagement_runtime.channel.domain.quiet_hours import QuietHoursPolicy
from sms_engagement_runtime.channel.domain.sending import SendPolicy
from sms_engagement_runtime.channel.domain.state_rules import Window
from sms_engagement_runtime.observability import metrics
from sms_engagement_runtime.settings import SettingsError, load
from tests.support.dynamodb_tables import channel_tables
from tests.support.logs import captured_logs
from tests.support.texts import outbound_message

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
    assert isinstance(service.places, NumberPlaces)
    assert isinstance(service.budget, Unlimited)
    assert service.policy == SendPolicy(allowed_countries=frozenset({"US", "CA"}), max_parts=2)


def test_everything_that_was_set_is_put_to_use(no_network):
    settings = load(
        SendingSettings,
        {
            **ENVIRONMENT,
            "BUDGET": '{"perDay":5000000}',
            "FREQUENCY_CAP": '{"texts":1,"seconds":3600}',
            "MAX_PRICE": "0.05",
            "MILLICENTS_PER_PART": "900",
            "QUIET_HOURS": '{"from":"09:00","until":"20:00","weekends":false,"stateRules":false}',
            "REQUESTS_PER_SECOND": "5",
            "SENDER_NAME": "Demo Store",
        },
    )

    service = build_send_service(settings)

    assert isinstance(service.budget, DynamoBudget)
    assert service.policy == SendPolicy(
        allowed_countries=frozenset({"US", "CA"}),
        max_parts=2,
        quiet_hours=QuietHoursPolicy(window=Window.of_hours(9, 20), weekends=False, state_rules=False),
        frequency_cap=FrequencyCap(texts=1, period=timedelta(hours=1)),
        sender_name="Demo Store",
    )
    assert settings.requests_per_second == 5
    assert settings.max_price == "0.05"


def test_the_highest_price_goes_along_with_every_text(monkeypatch):
    settings = load(SendingSettings, {**ENVIRONMENT, "MAX_PRICE": "0.05"})
    client = clients.sms_client()
    monkeypatch.setattr(wiring, "sms_client", lambda: client)
    text = outbound_message()

    with Stubber(client) as stubber:
        stubber.add_response(
            "send_text_message",
            {"MessageId": "m-1"},
            {
                "DestinationPhoneNumber": text.destination.e164,
                "OriginationIdentity": settings.origination_identity,
                "MessageBody": text.body,
                "MessageType": "PROMOTIONAL",
                "ConfigurationSetName": "channel",
                "Context": {"intent": text.key},
                "MaxPrice": "0.05",
            },
        )

        assert build_sender(settings).send(text) == "m-1"


@pytest.mark.parametrize(
    ("variable", "text", "sentence"),
    [
        ("BUDGET", '{"perDay":0}', "variable BUDGET: a budget must be positive, got 0"),
        ("BUDGET", '{"perWeek":1}', "variable BUDGET: a budget has perDay, perCampaign, got perWeek"),
        ("FREQUENCY_CAP", '{"texts":0}', "variable FREQUENCY_CAP: a frequency cap needs at least 1 text"),
        ("QUIET_HOURS", '{"from":"8"}', "variable QUIET_HOURS: a time of day is written HH:MM"),
        ("PARTS_PER_SECOND", "0", "parts_per_second must be above 0, got 0"),
        ("REQUESTS_PER_SECOND", "0", "requests_per_second must be above 0, got 0"),
    ],
)
def test_malformed_settings_stop_the_start_with_their_name(variable, text, sentence):
    settings = load(SendingSettings, {**ENVIRONMENT, variable: text})

    with pytest.raises(SettingsError, match=sentence):
        build_send_service(settings)


@pytest.mark.parametrize(
    ("reason", "is_paused"),
    [("MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT", True), ("NO_ORIGINATION_IDENTITIES_FOUND", False)],
)
def test_a_spend_limit_that_is_reached_pauses_everything(settings, reason, is_paused):
    with channel_tables() as dynamodb:
        build_send_service(settings, dynamodb=dynamodb).on_sending_disabled(reason)

        assert build_send_service(settings, dynamodb=dynamodb).pause.is_paused() is is_paused
    metrics.provider.clear_metrics()


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
