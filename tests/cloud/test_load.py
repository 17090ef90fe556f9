"""The load script against the embedded cloud: bookings are taken, and only simulated numbers are texted."""

import json
from datetime import timedelta

import pytest

from examples.load import run as load
from sms_local.testing import Cloud, eventually

pytestmark = pytest.mark.cloud

BOOKINGS = 4


def test_a_few_bookings_are_taken_and_texted_to_nobody(cloud: Cloud, tmp_path, capsys) -> None:
    secrets = cloud.client("secretsmanager")
    key = secrets.get_secret_value(SecretId=cloud.outputs["secrets"]["calendly_signing_key"])["SecretString"]
    key_file = tmp_path / "key"
    key_file.write_text(key)
    simulated = load.SIMULATORS["success"]

    status = load.main(
        [
            "bookings",
            *("--stage", "local", "--url", cloud.outputs["urls"]["calendly_webhook"]),
            *("--key-file", str(key_file), "--count", str(BOOKINGS), "--rate", "2", "--yes"),
            *("--starts-at", (cloud.now() + timedelta(days=3)).isoformat()),
        ]
    )

    assert status == 0
    assert json.loads(capsys.readouterr().out)["statuses"] == {"200": BOOKINGS}
    rows = eventually(
        lambda: (rows := cloud.rows("conversations")) and len(rows) == BOOKINGS and rows, what="four rows"
    )
    assert len(rows) == BOOKINGS
    eventually(lambda: cloud.texts(simulated), what="a confirmation")
    assert len(cloud.texts()) == len(cloud.texts(simulated))
    # What is under way ends here, not in the next test's cloud.
    cloud.advance(timedelta(0))
