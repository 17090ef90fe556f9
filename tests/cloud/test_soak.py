"""All three systems at once, with every fault on, for a few people: the books balance."""

import pytest

from benchmarks.soak import FAULTS, Soak
from benchmarks.soak_people import people
from sms_local import aws
from sms_local.places import REGION
from sms_local.testing import Cloud

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(1200)]

PEOPLE = 30
SEED = 11


def test_the_books_balance_after_everything_went_wrong(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**aws.CREDENTIALS, "AWS_DEFAULT_REGION": REGION}.items():
        monkeypatch.setenv(name, value)
    soak = Soak(
        cloud,
        persons=people(PEOPLE, seed=SEED),
        seed=SEED,
        minutes=5,
        faults=FAULTS,
        say=lambda _: None,
    )

    lines = soak.run()

    assert [f"{line.name}: {line.findings}" for line in lines if not line.balances] == []
    assert soak.tally.done["phones reached"] >= PEOPLE * 0.9
    assert {"cloud_duplicate", "cloud_reorder", "cloud_function_crash"} <= set(soak.tally.faults)
