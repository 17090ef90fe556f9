"""Loopback counts as TLS: the policy of an ``enforce_ssl`` bucket lets requests from this machine pass."""

import json
import uuid

import pytest
from botocore.exceptions import ClientError


def put_into_a_tls_only_bucket(running):
    s3 = running.client("s3")
    bucket = f"bucket-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    # The account's root user is not subject to the policy, a user with permissions is.
    iam = running.client("iam")
    iam.create_user(UserName=bucket)
    allow = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_user_policy(UserName=bucket, PolicyName="s3", PolicyDocument=document)
    key = iam.create_access_key(UserName=bucket)["AccessKey"]
    as_user = running.client(
        "s3", {"AccessKeyId": key["AccessKeyId"], "SecretAccessKey": key["SecretAccessKey"]}
    )
    as_user.put_object(Bucket=bucket, Key="key", Body=b"body")
    return as_user.get_object(Bucket=bucket, Key="key")["Body"].read()


def test_a_tls_only_bucket_takes_requests_over_loopback(patched):
    assert put_into_a_tls_only_bucket(patched) == b"body"


def test_without_the_patch_it_refuses_them(unpatched):
    with pytest.raises(ClientError, match="AccessDenied"):
        put_into_a_tls_only_bucket(unpatched)
