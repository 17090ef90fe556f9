"""Contacts and the opt-out list of the service are put in step by the daily schedule; a file adds consent."""

from datetime import timedelta
from pathlib import Path

from sms_local.testing import Cloud
from tests.support.cloud_drive import client, command, consents_of, inbound, new_phone


def test_a_day_puts_contacts_and_the_opt_out_list_in_step(quiet_cloud: Cloud, tmp_path: Path) -> None:
    channel = quiet_cloud.outputs["stacks"]["local-Channel"]
    name = channel["OptOutListName"]
    carrier = client(quiet_cloud, "pinpoint-sms-voice-v2")
    listed_only, out_only, agreed, new = (new_phone() for _ in range(4))
    inbound(quiet_cloud, from_=out_only, body="STOP")
    inbound(quiet_cloud, from_=agreed, body="STOP")
    carrier.delete_opted_out_number(OptOutListName=name, OptedOutNumber=out_only)
    carrier.put_opted_out_number(OptOutListName=name, OptedOutNumber=listed_only)

    # Long enough for the confirmation of the STOP to be settled, and for the schedule after that.
    quiet_cloud.advance(timedelta(days=2))

    assert consents_of(quiet_cloud, listed_only) == {"OPTED_OUT"}
    answer = carrier.describe_opted_out_numbers(
        OptOutListName=name, OptedOutNumbers=[listed_only, out_only, agreed]
    )
    assert len(answer["OptedOutNumbers"]) == 3

    file = tmp_path / "contacts.csv"
    rows = [f"{phone},marketing,web form,2026-01-05,Yes please" for phone in (listed_only, out_only, new)]
    file.write_text("\n".join(["phone,scope,source,date,wording", *rows]))
    command(
        quiet_cloud,
        "import-contacts",
        str(file),
        *("--subscriber-key-secret", channel["SubscriberKeySecretArn"]),
        *("--opt-out-list", name),
        *("--bus", channel["BusArn"]),
    )

    assert consents_of(quiet_cloud, new) == {"ACTIVE"}
    assert consents_of(quiet_cloud, listed_only) == consents_of(quiet_cloud, out_only) == {"OPTED_OUT"}
