"""Rotation of the link keys, as Secrets Manager drives it."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import boto3
import pytest
from moto import mock_aws

from sms_engagement_runtime.review_collector.domain.link_keys import parse_keys
from sms_engagement_runtime.review_collector.domain.tokens import Verified, verify
from tests.support.handlers import Context, fresh_handler
from tests.support.logs import captured_logs

ROTATE = "sms_engagement_runtime.review_collector.handlers.rotate_link_key"
FIRST = json.dumps({"active": 1, "k1": "the first link key of the tests"})
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


class Rotation:
    def __init__(self, module, client):
        self.module = module
        self.client = client
        self.token = str(uuid4())

    def begin(self):
        # Secrets Manager makes the version and its stage known before it calls the function.
        self.token = str(uuid4())
        self.stages = {self.token: ["AWSPENDING"]}

    def step(self, name):
        self.module.handler(
            {"Step": name, "SecretId": "link-keys", "ClientRequestToken": self.token}, Context()
        )

    def text(self, stage="AWSCURRENT"):
        return self.client.get_secret_value(SecretId="link-keys", VersionStage=stage)["SecretString"]


@pytest.fixture
def rotation(monkeypatch):
    with mock_aws():
        client = boto3.client("secretsmanager")
        client.create_secret(Name="link-keys", SecretString=FIRST)
        with fresh_handler(ROTATE, {}) as module:
            rotation = Rotation(module, client)
            rotation.begin()
            described = module._client.describe_secret

            def describe(**request):
                # moto knows a version only once it has a value.
                answer = described(**request)
                stages = answer["VersionIdsToStages"]
                if not any(rotation.token in versions for versions in [stages]):
                    stages = {**stages, **rotation.stages}
                return answer | {"VersionIdsToStages": stages}

            monkeypatch.setattr(module._client, "describe_secret", describe)
            yield rotation


def verifies(secret, token):
    now = datetime.now(UTC)
    return isinstance(
        verify(token, keys=parse_keys(secret).by_id, now=now, max_lifetime=timedelta(days=7)), Verified
    )


def test_a_rotation_makes_a_new_key_sign_and_keeps_the_old_links(rotation):
    link = parse_keys(FIRST).mint(bytes(12), expires_at=datetime.now(UTC) + timedelta(days=7))

    for step in STEPS:
        rotation.step(step)

    secret = rotation.text()
    assert parse_keys(secret).active == 2
    assert len(json.loads(secret)["k2"]) == 64
    assert json.loads(secret)["k1"] == json.loads(FIRST)["k1"]
    assert verifies(secret, link)


def test_every_step_may_be_repeated(rotation):
    for step in STEPS:
        rotation.step(step)
        if step == "createSecret":
            pending = rotation.text("AWSPENDING")
        rotation.step(step)

    assert rotation.text() == pending


def test_until_the_last_step_the_old_key_signs(rotation):
    for step in STEPS[:-1]:
        rotation.step(step)

    assert rotation.text() == FIRST


def test_links_live_over_two_rotations(rotation):
    link = parse_keys(FIRST).mint(bytes(12), expires_at=datetime.now(UTC) + timedelta(days=7))
    for _ in range(2):
        rotation.begin()
        for step in STEPS:
            rotation.step(step)

    assert parse_keys(rotation.text()).active == 3
    assert verifies(rotation.text(), link)


def test_a_version_that_is_not_pending_is_refused(rotation):
    rotation.stages = {}

    with pytest.raises(rotation.module.RotationError, match="not the pending one"):
        rotation.step("createSecret")


def test_an_unknown_step_is_refused(rotation):
    with pytest.raises(rotation.module.RotationError, match="unknown step"):
        rotation.step("deleteSecret")


@pytest.mark.parametrize(
    "pending",
    [FIRST, json.dumps({"active": 2, "k2": "a key that forgot the ones before it"})],
    ids=["no new key", "old key lost"],
)
def test_keys_that_would_break_links_do_not_pass_their_test(rotation, pending):
    rotation.client.put_secret_value(
        SecretId="link-keys",
        ClientRequestToken=rotation.token,
        SecretString=pending,
        VersionStages=["AWSPENDING"],
    )

    with pytest.raises(rotation.module.RotationError):
        rotation.step("testSecret")


def test_no_key_is_logged(rotation):
    with captured_logs() as log:
        for step in STEPS:
            rotation.step(step)

    for key in json.loads(rotation.text()).values():
        assert str(key) == "2" or str(key) not in log.getvalue()
