"""One secret from Secrets Manager by one signed HTTPS request, without boto3.

The review page is what a person waits for, and this is the only call that it makes: importing boto3 and
building a client would take several times as long as everything else that happens before the first answer.
Requests are signed as AWS describes in *Create a signed AWS API request* (IAM user guide, Signature Version
4); tests compare the signature with botocore's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from hmac import digest as hmac_digest
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from sms_engagement_runtime.channel.domain.errors import PermanentError, TransientError

TIMEOUT_SECONDS = 2.0
"""Of connecting and of each read: Secrets Manager answers within tens of milliseconds, and a person waits."""

_SERVICE = "secretsmanager"
_TARGET = "secretsmanager.GetSecretValue"
_CONTENT_TYPE = "application/x-amz-json-1.1"
_ATTEMPTS = 2
_THROTTLED = ("ThrottlingException", "Throttling", "TooManyRequestsException")


class SecretUnavailableError(TransientError):
    """Secrets Manager could not be reached, or asks to be left alone."""


class SecretRefusedError(PermanentError):
    """Secrets Manager refuses: no permission, no such secret, no text in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsEnvironment:
    """What Lambda puts into the environment of a function, names as there.

    Attributes
    ----------
    aws_access_key_id, aws_secret_access_key, aws_session_token
        Credentials of the function's role. They are in the environment in every mode but SnapStart, which
        this reader does not support.
    aws_region
        Used where the secret is given by name and not by ARN.
    aws_endpoint_url, aws_endpoint_url_secrets_manager
        Another endpoint than AWS's, the second one winning, as in all SDKs (*Service-specific endpoints*, AWS
        SDKs reference guide).
    """

    aws_access_key_id: str
    aws_secret_access_key: str
    aws_session_token: str | None = None
    aws_region: str = "us-east-1"
    aws_endpoint_url: str | None = None
    aws_endpoint_url_secrets_manager: str | None = None


class SecretHttpReader:
    """Reads the current text of one secret.

    Parameters
    ----------
    secret_id
        ARN or name.
    environment
        Credentials, region and endpoint.
    timeout_seconds
        Of connecting and of each read.
    """

    def __init__(
        self, secret_id: str, environment: AwsEnvironment, *, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self._secret_id = secret_id
        self._environment = environment
        self._timeout_seconds = timeout_seconds
        partition, region = _partition_and_region(secret_id, environment.aws_region)
        self._region = region
        suffix = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
        self._endpoint = urlsplit(
            environment.aws_endpoint_url_secrets_manager
            or environment.aws_endpoint_url
            or f"https://{_SERVICE}.{region}.{suffix}"
        )

    def read(self) -> str:
        """Return the secret's text. One request, and one more after a fault that may pass.

        Raises
        ------
        SecretUnavailableError
            Both requests failed.
        SecretRefusedError
            The answer will not change by asking again.
        """
        body = json.dumps({"SecretId": self._secret_id}).encode()
        fault = ""
        for _ in range(_ATTEMPTS):
            try:
                status, answer = self._post(body)
            except (OSError, HTTPException) as error:
                fault = type(error).__name__
                continue
            if status == 200:
                return _secret_text(answer)
            fault = _error_type(answer)
            if status < 500 and fault not in _THROTTLED:
                raise SecretRefusedError(f"{_TARGET}: {status} {fault}")
        raise SecretUnavailableError(f"{_TARGET}: {fault}")

    def _post(self, body: bytes) -> tuple[int, bytes]:
        host = self._endpoint.hostname or ""
        connect = HTTPSConnection if self._endpoint.scheme == "https" else HTTPConnection
        connection = connect(host, self._endpoint.port, timeout=self._timeout_seconds)
        try:
            connection.request(
                "POST",
                "/",
                body,
                signed_headers(
                    host=self._endpoint.netloc.rpartition("@")[2],
                    body=body,
                    region=self._region,
                    environment=self._environment,
                    now=datetime.now(UTC),
                ),
            )
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def signed_headers(
    *, host: str, body: bytes, region: str, environment: AwsEnvironment, now: datetime
) -> dict[str, str]:
    """Return the headers of a ``GetSecretValue`` request to ``/``, its signature included.

    Parameters
    ----------
    host
        Value of the ``Host`` header, with the port where it is not the scheme's own.
    now
        Aware; AWS allows five minutes of difference.
    """
    instant = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "content-type": _CONTENT_TYPE,
        "host": host,
        "x-amz-date": instant,
        "x-amz-target": _TARGET,
    }
    if environment.aws_session_token:
        headers["x-amz-security-token"] = environment.aws_session_token
    names = sorted(headers)
    signed_names = ";".join(names)
    canonical_headers = "".join(f"{name}:{headers[name]}\n" for name in names)
    canonical_request = f"POST\n/\n\n{canonical_headers}\n{signed_names}\n{sha256(body).hexdigest()}"
    scope = f"{instant[:8]}/{region}/{_SERVICE}/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{instant}\n{scope}\n{sha256(canonical_request.encode()).hexdigest()}"
    key = f"AWS4{environment.aws_secret_access_key}".encode()
    for part in scope.split("/"):
        key = hmac_digest(key, part.encode(), "sha256")
    signature = hmac_digest(key, to_sign.encode(), "sha256").hex()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={environment.aws_access_key_id}/{scope}, "
        f"SignedHeaders={signed_names}, Signature={signature}"
    )
    return headers


def _partition_and_region(secret_id: str, default_region: str) -> tuple[str, str]:
    # arn:partition:secretsmanager:region:account:secret:name
    parts = secret_id.split(":")
    return (parts[1], parts[3]) if len(parts) >= 7 and parts[0] == "arn" else ("aws", default_region)


def _secret_text(answer: bytes) -> str:
    text = _json_object(answer).get("SecretString")
    if not isinstance(text, str) or not text:
        raise SecretRefusedError(f"{_TARGET}: the secret holds no text")
    return text


def _error_type(answer: bytes) -> str:
    # "__type" may carry a namespace: "com.amazonaws.secretsmanager#ResourceNotFoundException".
    return str(_json_object(answer).get("__type", "Unknown")).rpartition("#")[2]


def _json_object(answer: bytes) -> Mapping[str, object]:
    try:
        value = json.loads(answer)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
