"""Keys are rotated while people open links and providers deliver, and not one request fails."""

import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Event

import httpx
import pytest

from sms_engagement_runtime.appointment_follow_up.domain.signatures import sign_calcom, sign_calendly
from sms_engagement_runtime.review_collector.domain import tokens
from sms_local.testing import Cloud, eventually
from tests.support.booking_payloads import sample, varied
from tests.support.cloud_drive import (
    client,
    link_keys,
    new_customers,
    replace_customers,
    requests_to,
    token_in,
)

#: Asked at the same time, while a key is rotated.
_AT_ONCE = 3


@contextmanager
def asked_all_the_time(ask: Callable[[], int]) -> Iterator[Counter[int]]:
    """Ask again and again from several threads; yield how often each status was answered."""
    answered: Counter[int] = Counter()
    over = Event()

    def go_on() -> None:
        while not over.is_set():
            answered[ask()] += 1

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        running = [pool.submit(go_on) for _ in range(_AT_ONCE)]
        try:
            eventually(lambda: sum(answered.values()) >= _AT_ONCE, what="the first answers")
            yield answered
            already = sum(answered.values())
            eventually(lambda: sum(answered.values()) >= already + 2 * _AT_ONCE, what="more answers")
        finally:
            over.set()
        for one in running:
            one.result()


def test_links_work_while_their_key_is_rotated(cloud: Cloud) -> None:
    # New functions: where a forged link came within half a minute, a new key is looked for after that.
    arn = cloud.outputs["secrets"]["review_token"]
    people = new_customers(2)
    replace_customers(cloud, people)
    cloud.broadcast()
    old = [token_in(text) for text in requests_to(cloud)]
    before = link_keys(cloud)

    with asked_all_the_time(lambda: cloud.door.get(f"/r/{old[0]}").status_code) as answered:
        client(cloud, "secretsmanager").rotate_secret(SecretId=arn)
        eventually(lambda: link_keys(cloud).active != before.active, what="a new key")
    after = link_keys(cloud)
    verified = tokens.verify(old[1], keys=after.by_id, now=cloud.now(), max_lifetime=timedelta(days=8))
    assert isinstance(verified, tokens.Verified)
    new = after.mint(verified.reference, expires_at=cloud.now() + timedelta(days=3))
    opened = [cloud.door.get(f"/r/{token}").status_code for token in (new, *old)]
    posted = [
        cloud.door.post("/submit-review", json={"token": token, "rating": 5}).status_code
        for token in (new, *old)
    ]

    assert set(answered) == {200}
    assert (set(after.by_id) > set(before.by_id), after.active in before.by_id) == (True, False)
    assert opened == [200, 200, 200]
    # The second one is for what the first was about.
    assert posted == [201, 201, 200]


@pytest.mark.parametrize("provider", ["calendly", "calcom"])
def test_webhooks_are_taken_under_the_old_key_and_the_new_one(cloud: Cloud, provider: str) -> None:
    # New functions: where a bad signature came within half a minute, a new key is looked for after that.
    secret = client(cloud, "secretsmanager")
    arn = cloud.outputs["secrets"][f"{provider}_signing_key"]
    url = cloud.outputs["urls"][f"{provider}_webhook"]
    old = secret.get_secret_value(SecretId=arn)["SecretString"].encode()
    new = secrets.token_hex(32).encode()

    # Verified, and then of no use: nobody gets a text for it.
    body = {
        "calendly": sample("calendly-routing_form_submission.created"),
        "calcom": varied("calcom-BOOKING_CREATED", ("triggerEvent", "MEETING_STARTED")),
    }[provider]

    def deliver(key: bytes) -> int:
        headers = {
            "calendly": {"Calendly-Webhook-Signature": sign_calendly(body, key, time.time())},
            "calcom": {"X-Cal-Signature-256": sign_calcom(body, key)},
        }[provider]
        return httpx.post(url, content=body, headers=headers, trust_env=False, timeout=30).status_code

    with asked_all_the_time(lambda: deliver(old)) as under_the_old:
        secret.put_secret_value(SecretId=arn, SecretString=new.decode())
    # The hook is created anew with the new key; what it had in flight is still signed with the old one.
    with asked_all_the_time(lambda: deliver(new)) as under_the_new:
        late = deliver(old)
    forged = deliver(secrets.token_hex(32).encode())

    assert set(under_the_old) == {200}
    assert set(under_the_new) == {200}
    assert (late, forged) == (200, 401)


def test_the_key_of_the_subscriber_ids_is_never_rotated(quiet_cloud: Cloud) -> None:
    found = client(quiet_cloud, "secretsmanager").get_paginator("list_secrets").paginate()
    described = {each["Name"]: each for page in found for each in page["SecretList"]}
    rotated = [name for name, each in described.items() if each.get("RotationEnabled")]

    assert any("SubscriberKey" in name for name in described), json.dumps(list(described))
    assert [name for name in rotated if "LinkKeys" not in name] == []
