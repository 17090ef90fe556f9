"""Signing keys against moto, and against a client that fails when told to."""

from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from moto import mock_aws

from sms_engagement_runtime.appointment_follow_up.adapters.signing_keys import SigningKeys
from sms_engagement_runtime.channel.adapters.clients import secrets_client
from sms_engagement_runtime.channel.adapters.secrets import SecretFormatError
from sms_engagement_runtime.channel.domain.errors import CallRefusedError, TransientError

MADE = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Ticker:
    """A clock that is told what time it is."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


class FakeSecrets:
    """One secret by stage; counts what is read, and fails as often as told."""

    def __init__(self, current, previous=None, made=MADE):
        self.texts = {"AWSCURRENT": current, "AWSPREVIOUS": previous}
        self.made = made
        self.reads = []
        self.errors = []

    def get_secret_value(self, SecretId, VersionStage):  # noqa: N803
        self.reads.append(VersionStage)
        if self.errors:
            raise self.errors.pop(0)
        text = self.texts[VersionStage]
        if text is None:
            raise refusal("ResourceNotFoundException")
        return {"SecretString": text, "CreatedDate": self.made}


def refusal(code):
    return ClientError({"Error": {"Code": code, "Message": "hunter2"}}, "GetSecretValue")


@pytest.fixture
def ticker():
    return Ticker()


def signing_keys(client, ticker, *, age=timedelta(), **options):
    return SigningKeys(client, "arn", clock=ticker, now=lambda: MADE + age, **options)


class TestInSecretsManager:
    @pytest.fixture
    def store(self):
        with mock_aws():
            yield boto3.client("secretsmanager")

    def test_a_secret_with_one_version_is_one_key(self, store):
        arn = store.create_secret(Name="secret", SecretString=" one\n")["ARN"]

        assert SigningKeys(secrets_client(), arn).keys() == (b"one",)

    def test_a_new_key_comes_first_and_the_one_before_stays(self, store, ticker):
        arn = store.create_secret(Name="secret", SecretString="one")["ARN"]
        keys = SigningKeys(secrets_client(), arn, clock=ticker)
        assert keys.keys() == (b"one",)
        store.put_secret_value(SecretId=arn, SecretString="two")

        ticker.seconds = 300.0

        assert keys.keys() == (b"two", b"one")

    def test_only_the_last_but_one_stays(self, store):
        arn = store.create_secret(Name="secret", SecretString="one")["ARN"]
        for text in ("two", "three"):
            store.put_secret_value(SecretId=arn, SecretString=text)

        assert SigningKeys(secrets_client(), arn).keys() == (b"three", b"two")

    def test_the_one_before_ends_a_week_after_the_new_one_was_made(self, store):
        arn = store.create_secret(Name="secret", SecretString="one")["ARN"]
        store.put_secret_value(SecretId=arn, SecretString="two")
        later = datetime.now(UTC) + timedelta(days=8)

        assert SigningKeys(secrets_client(), arn, now=lambda: later).keys() == (b"two",)

    def test_a_binary_secret_is_refused(self, store):
        arn = store.create_secret(Name="binary", SecretBinary=b"\x00")["ARN"]

        with pytest.raises(SecretFormatError, match="holds no text"):
            SigningKeys(secrets_client(), arn).keys()

    def test_a_secret_that_does_not_exist_is_a_refusal_that_a_human_can_mend(self, store):
        with pytest.raises(CallRefusedError, match="ResourceNotFoundException"):
            SigningKeys(secrets_client(), "missing").keys()


class TestPreviousKey:
    @pytest.mark.parametrize(
        ("age", "expected"),
        [
            (timedelta(days=7, seconds=-1), (b"two", b"one")),
            (timedelta(days=7), (b"two",)),
            (timedelta(days=400), (b"two",)),
        ],
    )
    def test_it_is_accepted_for_a_week(self, ticker, age, expected):
        assert signing_keys(FakeSecrets("two", "one"), ticker, age=age).keys() == expected

    def test_it_can_be_ended_at_once(self, ticker):
        assert signing_keys(FakeSecrets("two", "one"), ticker, previous_key_days=0).keys() == (b"two",)

    @pytest.mark.parametrize("previous", [None, "", " \n", "two", " two "])
    def test_one_that_is_missing_empty_or_the_same_is_none(self, ticker, previous):
        assert signing_keys(FakeSecrets("two", previous), ticker).keys() == (b"two",)

    def test_when_it_is_over_it_is_not_even_asked_for(self, ticker):
        client = FakeSecrets("two", "one")

        signing_keys(client, ticker, age=timedelta(days=8)).keys()

        assert client.reads == ["AWSCURRENT"]


@pytest.mark.parametrize("text", ["", "  \n"])
def test_a_secret_without_text_is_refused(ticker, text):
    with pytest.raises(SecretFormatError, match="holds no text"):
        signing_keys(FakeSecrets(text), ticker).keys()


class TestAge:
    def test_keys_are_kept_for_five_minutes(self, ticker):
        client = FakeSecrets("one")
        keys = signing_keys(client, ticker, previous_key_days=0)
        keys.keys()
        client.texts["AWSCURRENT"] = "two"

        ticker.seconds = 299.0
        assert keys.keys() == (b"one",)
        ticker.seconds = 300.0
        assert keys.keys() == (b"two",)
        assert len(client.reads) == 2

    @pytest.mark.parametrize("error", [refusal("ThrottlingException"), ConnectTimeoutError(endpoint_url="x")])
    def test_where_they_were_never_read_a_failure_is_transient_and_the_next_call_tries_again(
        self, ticker, error
    ):
        client = FakeSecrets("one")
        client.errors = [error]
        keys = signing_keys(client, ticker, previous_key_days=0)

        with pytest.raises(TransientError) as caught:
            keys.keys()

        assert "hunter2" not in str(caught.value)
        assert keys.keys() == (b"one",)

    def test_old_keys_outlive_a_failure_and_the_next_attempt_is_half_a_minute_later(self, ticker):
        client = FakeSecrets("one")
        keys = signing_keys(client, ticker, previous_key_days=0)
        keys.keys()
        client.texts["AWSCURRENT"] = "two"
        client.errors = [refusal("InternalServiceError")]

        ticker.seconds = 300.0
        assert keys.keys() == (b"one",)
        ticker.seconds = 329.0
        assert keys.keys() == (b"one",)
        assert len(client.reads) == 2
        ticker.seconds = 330.0
        assert keys.keys() == (b"two",)

    def test_where_the_previous_one_cannot_be_read_the_set_is_not_taken_for_complete(self, ticker):
        client = FakeSecrets("two", "one")
        keys = signing_keys(client, ticker)
        get, client.get_secret_value = client.get_secret_value, None

        def fail_once(SecretId, VersionStage):  # noqa: N803
            if VersionStage == "AWSPREVIOUS" and "failed" not in client.reads:
                client.reads.append("failed")
                raise refusal("ThrottlingException")
            return get(SecretId, VersionStage)

        client.get_secret_value = fail_once

        with pytest.raises(TransientError, match="ThrottlingException"):
            keys.keys()
        assert keys.keys() == (b"two", b"one")


class TestReread:
    def test_a_new_key_is_known_at_once(self, ticker):
        client = FakeSecrets("one")
        keys = signing_keys(client, ticker)
        keys.keys()
        client.texts |= {"AWSCURRENT": "two", "AWSPREVIOUS": "one"}

        assert keys.reread() == (b"two", b"one")
        assert keys.keys() == (b"two", b"one")

    def test_a_forged_signature_just_before_does_not_cost_a_genuine_one_its_key(self, ticker):
        client = FakeSecrets("one")
        keys = signing_keys(client, ticker)
        assert keys.reread() == (b"one",)
        client.texts |= {"AWSCURRENT": "two", "AWSPREVIOUS": "one"}

        assert keys.reread() == (b"two", b"one")

    def test_after_three_the_next_time_is_ten_seconds_later(self, ticker):
        client = FakeSecrets("one")
        keys = signing_keys(client, ticker)
        assert [keys.reread() for _ in range(3)] == [(b"one",)] * 3
        client.texts |= {"AWSCURRENT": "two", "AWSPREVIOUS": "one"}

        ticker.seconds = 9.9
        assert keys.reread() is None
        ticker.seconds = 10.0
        assert keys.reread() == (b"two", b"one")

    def test_a_flood_of_bad_signatures_is_no_flood_of_calls(self, ticker):
        client = FakeSecrets("one")
        keys = signing_keys(client, ticker, previous_key_days=0)
        keys.keys()

        for tenth in range(3000):
            ticker.seconds = tenth / 10
            keys.keys()
            keys.reread()

        # The first, three at once, and one in each of the ten seconds of five minutes that are over.
        assert len(client.reads) == 33

    def test_one_that_fails_counts_too_and_changes_nothing(self, ticker):
        client = FakeSecrets("one")
        keys = signing_keys(client, ticker, previous_key_days=0)
        keys.keys()
        client.errors = [refusal("ThrottlingException")]

        ticker.seconds = 100.0
        assert keys.reread() is None
        assert keys.keys() == (b"one",)
        assert len(client.reads) == 2
        assert [keys.reread() for _ in range(3)] == [(b"one",), (b"one",), None]

    def test_it_makes_the_keys_young_again(self, ticker):
        client = FakeSecrets("one")
        keys = signing_keys(client, ticker, previous_key_days=0)
        keys.keys()
        ticker.seconds = 299.0
        keys.reread()

        ticker.seconds = 598.0
        keys.keys()

        assert len(client.reads) == 2
