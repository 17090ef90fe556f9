"""Rotation of the link keys: a new key signs, the latest ones go on verifying.

Links that people hold stay good, since the previous keys stay in the secret. The four
steps are those of Secrets Manager (*Lambda rotation functions*). There is no other system to
tell, so two of the four steps have nothing to do but check.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.aws_errors import error_code, service_call
from sms_engagement_runtime.channel.domain.errors import PermanentError
from sms_engagement_runtime.observability import instrumented, logger
from sms_engagement_runtime.review_collector.domain import tokens
from sms_engagement_runtime.review_collector.domain.link_keys import LinkKeys, parse_keys, rotated

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

KEY_LENGTH: Final = 64
"""Characters of a key: 62 letters and digits, so some 381 bits."""

_CURRENT: Final = "AWSCURRENT"
_PENDING: Final = "AWSPENDING"


class RotationError(PermanentError):
    """The rotation cannot go on; Secrets Manager keeps the current key and shows the failure."""


_client = clients.secrets_client()


@instrumented
def handler(event: dict[str, Any], _context: object) -> None:
    """Carry out one of the four steps; each is safe to repeat.

    Parameters
    ----------
    event
        ``{"Step": "createSecret" | "setSecret" | "testSecret" | "finishSecret", "SecretId",
        "ClientRequestToken"}``.

    Raises
    ------
    RotationError
        The version is not the pending one, the step is unknown, or the new keys don't pass their test.
    """
    step, secret_id, version_id = event["Step"], event["SecretId"], event["ClientRequestToken"]
    with service_call("secretsmanager"):
        stages = _client.describe_secret(SecretId=secret_id).get("VersionIdsToStages", {})
        if _CURRENT in stages.get(version_id, []):
            return
        if _PENDING not in stages.get(version_id, []):
            raise RotationError("the version of this rotation is not the pending one")
        match step:
            case "createSecret":
                _create(_client, secret_id, version_id)
            case "setSecret":
                pass
            case "testSecret":
                _test(_text(_client, secret_id, _CURRENT), _text(_client, secret_id, _PENDING, version_id))
            case "finishSecret":
                current = next(version for version, names in stages.items() if _CURRENT in names)
                _client.update_secret_version_stage(
                    SecretId=secret_id,
                    VersionStage=_CURRENT,
                    MoveToVersionId=version_id,
                    RemoveFromVersionId=current,
                )
            case _:
                raise RotationError("unknown step")
    logger.info("Rotation step done", step=step)


def _create(client: SecretsManagerClient, secret_id: str, version_id: str) -> None:
    try:
        _text(client, secret_id, _PENDING, version_id)
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        password = client.get_random_password(PasswordLength=KEY_LENGTH, ExcludePunctuation=True)
        client.put_secret_value(
            SecretId=secret_id,
            ClientRequestToken=version_id,
            SecretString=rotated(_text(client, secret_id, _CURRENT), password["RandomPassword"]),
            VersionStages=[_PENDING],
        )


def _text(client: SecretsManagerClient, secret_id: str, stage: str, version_id: str | None = None) -> str:
    version = {} if version_id is None else {"VersionId": version_id}
    return client.get_secret_value(SecretId=secret_id, VersionStage=stage, **version)["SecretString"]


def _test(current: str, pending: str) -> None:
    """Check that the pending keys verify a link of theirs and one that was signed before them."""
    now = datetime.now(UTC)
    before, after = parse_keys(current), parse_keys(pending)
    if after.active == before.active:
        raise RotationError("the pending secret has no new key")
    for keys in (before, after):
        if not _verifies(after, _specimen(keys, now), now):
            raise RotationError("the pending keys do not verify what they should")


def _specimen(keys: LinkKeys, now: datetime) -> str:
    return keys.mint(bytes(tokens.REFERENCE_LENGTH), expires_at=now + timedelta(hours=1))


def _verifies(keys: LinkKeys, token: str, now: datetime) -> bool:
    result = tokens.verify(token, keys=keys.by_id, now=now, max_lifetime=timedelta(hours=1))
    return isinstance(result, tokens.Verified)
