"""AWS clients of the embedded cloud, for the tools around it; Lambda code makes its own."""

import boto3
from botocore.config import Config

from sms_local.places import REGION

#: The emulator takes these as the account's root user; everything else must be allowed by a policy.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

#: A proxy of the machine must not get requests for loopback, and a laptop's own AWS profile has no say here.
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
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
    )


def client_config() -> Config:
    """Return the configuration of every client here; pass it with the emulator's `endpoint_url`."""
    return _CONFIG
