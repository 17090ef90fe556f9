"""Keys of archived reviews: the same in every attempt, foldered by the month of writing."""

from datetime import UTC, datetime

import pytest

from sms_engagement_runtime.review_collector.domain.archive import archive_key

DELETED_AT = datetime(2028, 11, 20, 17, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("milliseconds", "folder"),
    [
        (1_795_280_400_123, "year=2026/month=11"),
        (1_798_761_599_999, "year=2026/month=12"),
        (1_798_761_600_000, "year=2027/month=01"),
        (0, "year=1970/month=01"),
        (253_402_300_799_999, "year=9999/month=12"),
    ],
)
def test_the_folder_is_the_month_in_which_the_review_was_written(milliseconds, folder):
    key = archive_key({"reviewId": "AAECAwQFBgcICQoL", "timestamp": milliseconds}, deleted_at=DELETED_AT)

    assert key == f"reviews/{folder}/AAECAwQFBgcICQoL.json"


@pytest.mark.parametrize("timestamp", [None, "yesterday", 1.5, -1, 253_402_300_800_000, 10**40])
def test_a_row_without_a_usable_time_goes_to_the_month_of_its_deletion(timestamp):
    key = archive_key({"reviewId": "r", "timestamp": timestamp}, deleted_at=DELETED_AT)

    assert key == "reviews/year=2028/month=11/r.json"


def test_an_id_never_leads_out_of_its_folder():
    key = archive_key({"reviewId": "../../é x"}, deleted_at=DELETED_AT)

    assert key == "reviews/year=2028/month=11/..%2F..%2F%C3%A9%20x.json"
