"""AWS clients of the embedded cloud, for the tools around it; Lambda code makes its own."""

import os
from threading import Lock
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from sms_local.places import REGION

#: The emulator takes these as the account's root user; everything else must be allowed by a policy.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

#: Setting of botocore → configuration file's name, variable, default, conversion: a laptop's own AWS profile,
#: which may not even exist, has no say here.
_NO_PROFILE = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}

#: A proxy of the machine must not get requests for loopback.
_CONFIG = Config(
    connect_timeout=2,
    read_timeout=30,
    retries={"total_max_attempts": 3, "mode": "standard"},
    proxies={},
    s3={"addressing_style": "path"},
)


def session() -> boto3.Session:
    """Return a session of the account's root user."""
    return boto3.Session(
        botocore_session=botocore.session.Session(session_vars=_NO_PROFILE),
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
    )


def client_config() -> Config:
    """Return the configuration of every client here; pass it with the emulator's `endpoint_url`."""
    return _CONFIG


class Clients:
    """The clients of one embedded cloud by the names of their services, each made once.

    To make one takes a tenth of a second.

    Parameters
    ----------
    endpoint_url
        Of the emulator.
    """

    def __init__(self, endpoint_url: str) -> None:
        self._endpoint_url = endpoint_url
        self._session = session()
        self._made: dict[str, Any] = {}
        # A session must not make two clients at the same time (boto3, multithreading).
        self._lock = Lock()

    def __call__(self, service: str) -> Any:
        """Return the client of a service."""
        with self._lock:
            if service not in self._made:
                self._made[service] = self._session.client(  # type: ignore[call-overload]
                    service, endpoint_url=self._endpoint_url, config=_CONFIG
                )
            return self._made[service]

    def close(self) -> None:
        """Close their connections."""
        with self._lock:
            for client in self._made.values():
                client.close()
