"""The JSON that other programs drive the embedded cloud by."""

import pytest

from sms_local.outputs import compose, output_value
from sms_local.places import Places

STACKS = {
    "local-Channel": {
        "InboundTopicArn": "arn:inbound",
        "EventTopicArn": "arn:events",
        "ContactsTableName": "contacts-1",
        "MessagesTableName": "messages-1",
        "BusArn": "arn:bus",
    },
    "local-Reviews": {
        "ApiId": "abc123",
        "AdminTopicArn": "arn:admin",
        "CustomersTableName": "customers-1",
        "ReviewsTableName": "reviews-1",
        "ReviewRequestsTableName": "requests-1",
        "ReviewBroadcastArn": "arn:broadcast",
        "LinkSecretArn": "arn:secret",
    },
    "local-Appointments": {
        "AppointmentsApiId": "def456",
        "ConversationsTableName": "conversations-1",
        "AppointmentFollowUpArn": "arn:follow-up",
        "CalendlySigningKeyArn": "arn:calendly",
        "CalcomSigningKeyArn": "arn:calcom",
        "HostTopicArn": "arn:host",
    },
}


def test_outputs_have_the_fixed_shape() -> None:
    composed = compose(STACKS, Places(port_base=4600))

    assert composed == {
        "aws_endpoint": "http://127.0.0.1:4600",
        "carrier_endpoint": "http://127.0.0.1:4601",
        "phone_url": "http://127.0.0.1:4602/",
        "region": "us-east-1",
        "stacks": STACKS,
        "urls": {
            "review_form": "http://127.0.0.1:4602/review",
            "submit_review": "http://127.0.0.1:4602/submit-review",
            "reviews_api": "http://127.0.0.1:4602/reviews",
            "admin_api": "http://127.0.0.1:4600/_aws/execute-api/abc123/$default/admin/reviews",
            "calendly_webhook": ("http://127.0.0.1:4600/_aws/execute-api/def456/$default/webhooks/calendly"),
            "calcom_webhook": "http://127.0.0.1:4600/_aws/execute-api/def456/$default/webhooks/calcom",
        },
        "topics": {"inbound": "arn:inbound", "events": "arn:events", "admin": "arn:admin"},
        "state_machines": {
            "review_broadcast": "arn:broadcast",
            "appointment_follow_up": "arn:follow-up",
        },
        "tables": {
            "customers": "customers-1",
            "reviews": "reviews-1",
            "review_requests": "requests-1",
            "messages": "messages-1",
            "contacts": "contacts-1",
            "conversations": "conversations-1",
        },
        "bus": "arn:bus",
        "secrets": {
            "review_token": "arn:secret",
            "calendly_signing_key": "arn:calendly",
            "calcom_signing_key": "arn:calcom",
        },
        "origination": "+12065550100",
    }


def test_keys_of_what_is_not_deployed_are_absent() -> None:
    composed = compose({}, Places())

    assert composed["urls"] == composed["topics"] == composed["tables"] == {}
    assert "bus" not in composed
    assert "stream" not in composed


def test_webhooks_are_absent_without_appointments_and_the_form_without_reviews() -> None:
    reviews = compose({"local-Reviews": STACKS["local-Reviews"]}, Places())
    appointments = compose({"local-Appointments": STACKS["local-Appointments"]}, Places())

    assert set(reviews["urls"]) == {"review_form", "submit_review", "reviews_api", "admin_api"}
    assert set(appointments["urls"]) == {"calendly_webhook", "calcom_webhook"}


def test_a_stack_output_is_found_whichever_stack_has_it() -> None:
    composed = compose(STACKS, Places())

    assert output_value(composed, "ApiId") == "abc123"
    assert output_value(composed, "Nothing") is None


@pytest.mark.parametrize("base", [0, 80, 65534])
def test_a_port_base_without_room_is_refused(base: int) -> None:
    with pytest.raises(ValueError, match="between 1024 and 65533"):
        Places(port_base=base)
