"""A review whose time is over leaves the table for the archive; one that somebody deletes just goes."""

import json
import time
from typing import Any

from sms_local.outputs import output_value
from sms_local.testing import Cloud, eventually
from tests.support.cloud_drive import client, new_customers, replace_customers, requests_to, token_in


def archived(cloud: Cloud) -> dict[str, dict[str, Any]]:
    """Return the reviews in the archive by key."""
    bucket = output_value(cloud.outputs, "ReviewArchiveName")
    s3 = client(cloud, "s3")
    keys = [found["Key"] for found in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    return {key: json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys}


def test_a_review_goes_to_the_archive_when_its_time_is_over(quiet_cloud: Cloud) -> None:
    people = new_customers(2)
    replace_customers(quiet_cloud, people)
    quiet_cloud.broadcast()
    for person in people:
        (text,) = requests_to(quiet_cloud, person.phone)
        review = {"token": token_in(text), "rating": 4, "reviewText": "Came on time ❤"}
        assert quiet_cloud.door.post("/submit-review", json=review).status_code == 201
    expiring, deleted = (
        next(row for row in quiet_cloud.rows("reviews") if row["userId"] == person.user_id)
        for person in people
    )
    two_years = 730 * 24 * 3600
    assert expiring["expiresAt"] == expiring["createdAt"] + two_years

    table = quiet_cloud.outputs["tables"]["reviews"]
    quiet_cloud.dynamodb.delete_item(TableName=table, Key={"reviewId": {"S": deleted["reviewId"]}})
    expired_at = int(quiet_cloud.now().timestamp()) - 60
    quiet_cloud.dynamodb.update_item(
        TableName=table,
        Key={"reviewId": {"S": expiring["reviewId"]}},
        UpdateExpression="SET expiresAt = :past",
        ExpressionAttributeValues={":past": {"N": str(expired_at)}},
    )

    def arrived() -> dict[str, dict[str, Any]]:
        return {key: row for key, row in archived(quiet_cloud).items() if expiring["reviewId"] in key}

    ((key, row),) = eventually(arrived, what="the review in the archive").items()
    month = time.strftime("year=%Y/month=%m", time.gmtime(int(expiring["timestamp"]) // 1000))
    assert key == f"reviews/{month}/{expiring['reviewId']}.json"
    assert row == expiring | {"expiresAt": expired_at}
    assert expiring["reviewId"] not in {row["reviewId"] for row in quiet_cloud.rows("reviews")}
    assert not any(deleted["reviewId"] in key for key in archived(quiet_cloud))
