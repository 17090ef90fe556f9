"""The moderators' console in the embedded cloud: behind IAM, by the same code as in AWS."""

import json
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sms_local.testing import Cloud, eventually
from tests.support.cloud_drive import new_customers, replace_customers, requests_to, token_in

pytestmark = pytest.mark.cloud

JSON = {"accept": "application/json"}


def signed(cloud: Cloud, method: str, path: str, *, key: tuple[str, str], body: str | None = None) -> Any:
    url = cloud.outputs["urls"]["admin_api"].removesuffix("/admin/reviews") + path
    headers = JSON | ({"content-type": "application/json"} if body else {})
    request = AWSRequest(method=method, url=url, data=body, headers=headers)
    SigV4Auth(Credentials(*key), "execute-api", "us-east-1").add_auth(request)
    return cloud.door.request(method, url, headers=dict(request.headers), content=body)


def decide(cloud: Cloud, review_id: str, verb: str, **fields: object) -> Any:
    origin = str(cloud.door.base_url).rstrip("/")
    return cloud.door.post(
        f"/admin/reviews/{review_id}/{verb}", json=fields, headers=JSON | {"origin": origin}
    )


def figures(cloud: Cloud) -> dict[str, Any]:
    return dict(cloud.door.get("/admin/figures", headers=JSON).json()["ever"])


def test_a_review_is_counted_decided_about_and_public(quiet_cloud: Cloud) -> None:
    cloud = quiet_cloud
    replace_customers(cloud, new_customers(1, name="Ada Quill"))
    before = figures(cloud)
    cloud.broadcast()
    (text,) = requests_to(cloud)
    form = {"token": token_in(text), "rating": 1, "reviewText": "Terrible, never again <b>"}
    review_id = cloud.door.post("/submit-review", json=form, headers=JSON).json()["reviewId"]

    counted = eventually(
        lambda: (
            now
            if (now := figures(cloud))["rating1"] == before["rating1"] + 1
            and now["answered"] == before["answered"] + 1
            else None
        ),
        what="the review and its request in the figures",
    )
    assert {name: counted[name] - before[name] for name in ("asked", "answered", "negative", "new")} == {
        "asked": 1,
        "answered": 1,
        "negative": 1,
        "new": 1,
    }

    # Nobody reads it before somebody decided, and whoever decides has to have seen the latest words.
    assert review_id not in cloud.door.get("/reviews?limit=100").text
    assert cloud.door.post(f"/reviews/{review_id}/helpful").status_code == 404
    edited = form | {"reviewText": "Terrible, and slow"}
    assert cloud.door.post("/submit-review", json=edited, headers=JSON).status_code == 200
    stale = decide(cloud, review_id, "approve", version=1)
    assert (stale.status_code, stale.json()["review"]["reviewText"]) == (409, "Terrible, and slow")
    assert decide(cloud, review_id, "approve", version=2).json()["changed"] is True
    assert decide(cloud, review_id, "approve", version=2).json()["changed"] is False
    assert decide(cloud, review_id, "reject", version=2, reason="Spam").status_code == 409

    assert [cloud.door.post(f"/reviews/{review_id}/helpful").json() for _ in range(2)] == [
        {"counted": True},
        {"counted": False},
    ]
    (shown,) = (
        row for row in cloud.door.get("/reviews?limit=100").json()["reviews"] if row["reviewId"] == review_id
    )
    assert (shown["name"], shown["rating"], shown["helpful"]) == ("Ada Q.", 1, 1)
    # An edit takes it off the page until somebody has looked at it again.
    again = cloud.door.post("/submit-review", json=edited | {"reviewText": "Well"}, headers=JSON)
    assert again.status_code == 200
    assert review_id not in cloud.door.get("/reviews?limit=100").text


def test_only_signed_requests_of_whom_it_was_granted_get_in(quiet_cloud: Cloud) -> None:
    cloud = quiet_cloud
    url = cloud.outputs["urls"]["admin_api"]
    api_id = url.split("/execute-api/")[1].split("/")[0]
    iam = cloud.client("iam")
    iam.create_user(UserName="owner-of-reviews")
    made = iam.create_access_key(UserName="owner-of-reviews")["AccessKey"]
    key = made["AccessKeyId"], made["SecretAccessKey"]

    assert cloud.door.get(url).status_code == 403
    assert cloud.door.post(f"{url}/x/approve", json={"version": 1}).status_code == 403
    assert signed(cloud, "GET", "/admin/reviews", key=key).status_code == 403
    # What `grant_read` gives.
    statement = {
        "Effect": "Allow",
        "Action": "execute-api:Invoke",
        "Resource": f"arn:aws:execute-api:us-east-1:000000000000:{api_id}/*/GET/admin/*",
    }
    iam.put_user_policy(
        UserName="owner-of-reviews",
        PolicyName="read",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    assert signed(cloud, "GET", "/admin/reviews", key=key).status_code == 200
    assert signed(cloud, "GET", "/admin/figures", key=(key[0], "wrong")).status_code == 403
    body = json.dumps({"version": 1})
    assert signed(cloud, "POST", "/admin/reviews/x/approve", key=key, body=body).status_code == 403
    # The page on this machine signs, for itself alone.
    assert cloud.door.get("/admin/reviews", headers=JSON).status_code == 200
    assert cloud.door.post("/admin/reviews/x/approve", json={"version": 1}).status_code == 403
    foreign = {"origin": "https://example.com"}
    assert cloud.door.post("/admin/reviews/x/approve", json={}, headers=foreign).status_code == 403
