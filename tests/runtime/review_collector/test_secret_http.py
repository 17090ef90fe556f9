"""Reading the link secret without boto3: signed as botocore signs, bounded in time and in attempts."""

import json
from datetime import UTC, datetime
from threading import Event
from unittest.mock import patch

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sms_engagement_runtime.review_collector.adapters.link_keys import CachedLinkKeys, LinkSecretError
from sms_engagement_runtime.review_collector.adapters.secret_http import (
    AwsEnvironment,
    SecretHttpReader,
    SecretRefusedError,
    SecretUnavailableError,
    signed_headers,
)
from sms_engagement_runtime.review_collector.domain.link_keys import rotated
from tests.support.secret_server import secret_server

ARN = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:LinkKeys-AbCdEf"
SECRET = json.dumps({"active": 1, "k1": "a link key of the tests"})
NOW = datetime(2026, 11, 21, 17, 0, 7, tzinfo=UTC)


@pytest.fixture
def server():
    with secret_server(SECRET) as server:
        yield server


def environment(**changes):
    return AwsEnvironment(
        **({"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "wJalrXUtnFEMI/K7MDENG"} | changes)
    )


def reader(server, **options):
    return SecretHttpReader(ARN, environment(aws_endpoint_url=server.url), **options)


@pytest.mark.parametrize("token", [None, "a/session+token=="])
@pytest.mark.parametrize("host", ["secretsmanager.eu-central-1.amazonaws.com", "127.0.0.1:4566"])
def test_the_signature_is_botocores(token, host):
    body = json.dumps({"SecretId": ARN}).encode()
    ours = signed_headers(
        host=host,
        body=body,
        region="eu-central-1",
        environment=environment(aws_session_token=token),
        now=NOW,
    )

    theirs = AWSRequest(
        method="POST",
        url=f"https://{host}/",
        data=body,
        headers={"content-type": ours["content-type"], "x-amz-target": ours["x-amz-target"]},
    )
    with patch("botocore.auth.get_current_datetime", return_value=NOW.replace(tzinfo=None)):
        SigV4Auth(
            Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", token), "secretsmanager", "eu-central-1"
        ).add_auth(theirs)

    assert ours["authorization"] == theirs.headers["Authorization"]
    assert ours["x-amz-date"] == theirs.headers["X-Amz-Date"]
    assert ours.get("x-amz-security-token") == theirs.headers.get("X-Amz-Security-Token")


def test_the_secret_is_read_in_one_signed_request(server):
    assert reader(server).read() == SECRET

    ((headers, body),) = server.requests
    assert json.loads(body) == {"SecretId": ARN}
    assert headers["x-amz-target"] == "secretsmanager.GetSecretValue"
    assert headers["host"] == server.url.removeprefix("http://")
    assert "/eu-central-1/secretsmanager/aws4_request" in headers["authorization"]


def test_the_service_endpoint_wins_over_the_general_one(server):
    values = environment(aws_endpoint_url="http://127.0.0.1:9", aws_endpoint_url_secrets_manager=server.url)

    assert SecretHttpReader(ARN, values).read() == SECRET


@pytest.mark.parametrize(
    ("secret_id", "region", "host"),
    [
        (ARN, "us-east-1", "secretsmanager.eu-central-1.amazonaws.com"),
        ("link-keys", "us-west-2", "secretsmanager.us-west-2.amazonaws.com"),
        (
            "arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:x",
            "us-east-1",
            "secretsmanager.cn-north-1.amazonaws.com.cn",
        ),
    ],
)
def test_without_an_endpoint_it_is_aws_over_tls(secret_id, region, host):
    endpoint = SecretHttpReader(secret_id, environment(aws_region=region))._endpoint

    assert (endpoint.scheme, endpoint.hostname) == ("https", host)


@pytest.mark.parametrize(
    "fault",
    [
        (500, {"__type": "InternalServiceError"}),
        (503, b"<html>busy</html>"),
        (400, {"__type": "ThrottlingException"}),
        lambda handler: handler.connection.close(),
    ],
    ids=["500", "503", "throttled", "closed"],
)
def test_one_fault_that_may_pass_is_survived(server, fault):
    server.answers.append(fault)

    assert reader(server).read() == SECRET
    assert len(server.requests) == 2


def test_two_faults_are_given_up(server):
    server.answers += [(500, {"__type": "InternalServiceError"})] * 2

    with pytest.raises(SecretUnavailableError, match="InternalServiceError"):
        reader(server).read()
    assert len(server.requests) == 2


def test_silence_is_given_up_in_time(server):
    over = Event()
    server.answers += [lambda handler: over.wait(10)] * 2

    with pytest.raises(SecretUnavailableError, match="TimeoutError"):
        reader(server, timeout_seconds=0.05).read()
    over.set()


def test_nobody_there_is_given_up():
    with pytest.raises(SecretUnavailableError, match="ConnectionRefusedError"):
        SecretHttpReader(ARN, environment(aws_endpoint_url="http://127.0.0.1:9")).read()


@pytest.mark.parametrize(
    "refusal",
    [
        (400, {"__type": "com.amazonaws.secretsmanager#ResourceNotFoundException", "Message": "secret x"}),
        (400, {"__type": "AccessDeniedException"}),
        (403, b"forbidden"),
        (200, {"SecretBinary": "AAAA"}),
        (200, {"SecretString": ""}),
        (200, b"not json"),
        (200, []),
    ],
)
def test_a_refusal_is_not_asked_again(server, refusal):
    server.answers.append(refusal)

    with pytest.raises(SecretRefusedError, match="GetSecretValue"):
        reader(server).read()
    assert len(server.requests) == 1


class Ticks:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class TestCachedLinkKeys:
    @pytest.fixture
    def ticks(self):
        return Ticks()

    @pytest.fixture
    def cache(self, server, ticks):
        return CachedLinkKeys(reader(server).read, clock=ticks)

    def test_keys_are_read_once_in_five_minutes(self, server, cache, ticks):
        for _ in range(3):
            assert cache.current().active == 1
            ticks.now += 99
        assert len(server.requests) == 1

        ticks.now += 10
        cache.current()
        assert len(server.requests) == 2

    def test_a_refresh_sees_a_rotation_but_not_too_often(self, server, cache, ticks):
        cache.current()
        server.secret = rotated(SECRET, "the next link key of the tests")

        # At once, though the keys were read a moment ago: links under the new key are on their way.
        assert [cache.refresh() for _ in range(5)] == [True, True, True, False, False]
        assert cache.current().active == 2
        ticks.now += 10
        assert [cache.refresh() for _ in range(2)] == [True, False]

        assert len(server.requests) == 5

    def test_a_forged_token_just_before_does_not_cost_a_genuine_one_its_key(self, cache, server):
        assert cache.current().active == 1
        assert cache.refresh() is True
        server.secret = rotated(SECRET, "the next link key of the tests")

        assert cache.refresh() is True
        assert cache.current().active == 2

    def test_keys_at_hand_are_used_on_while_the_service_is_away(self, server, cache, ticks):
        cache.current()
        ticks.now += 301
        server.answers += [(500, {})] * 4

        assert cache.current().active == 1
        assert cache.current().active == 1
        assert len(server.requests) == 3

    def test_a_refresh_that_fails_changes_nothing(self, server, cache, ticks):
        cache.current()
        ticks.now += 31
        server.answers += [(500, {})] * 2

        assert cache.refresh() is False
        assert cache.current().active == 1
        assert len(server.requests) == 3
        assert [cache.refresh() for _ in range(3)] == [True, True, False]

    def test_without_any_keys_the_fault_is_told(self, server, cache):
        server.answers += [(500, {})] * 2

        with pytest.raises(SecretUnavailableError):
            cache.current()

    def test_a_malformed_secret_is_told_without_being_quoted(self, server, cache):
        server.secret = '{"active": 1, "key": "hush"}'

        with pytest.raises(LinkSecretError) as refusal:
            cache.current()
        assert "hush" not in str(refusal.value)
