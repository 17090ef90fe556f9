"""What phones send: to the two-way topic, and what a number answers by itself."""

import pytest
from botocore.exceptions import ClientError

US, CA = "+14255550182", "+16135550123"
NUMBER, NUMBER_ID = "+12065550100", "phone-local0000000000000000000000000"
TOPIC = "arn:aws:sns:us-east-1:000000000000:inbound"


def connect(carrier, *, self_managed: bool, topic: str = TOPIC) -> None:
    carrier.sms.update_phone_number(
        PhoneNumberId=NUMBER_ID,
        TwoWayEnabled=True,
        TwoWayChannelArn=topic,
        SelfManagedOptOutsEnabled=self_managed,
    )


def opted_out(carrier, name: str = "Default") -> dict[str, bool]:
    numbers = carrier.sms.describe_opted_out_numbers(OptOutListName=name)["OptedOutNumbers"]
    return {entry["OptedOutNumber"]: entry["EndUserOptedOut"] for entry in numbers}


def test_an_inbound_text_reaches_the_topic_in_the_real_shape(carrier, sample):
    connect(carrier, self_managed=True)
    message_id = carrier.sms.send_text_message(DestinationPhoneNumber=US, MessageBody="Coming?")["MessageId"]

    answer = carrier.control("POST", "inbound", **{"from": US, "body": "Yes"})

    [payload] = carrier.topics.on(TOPIC)
    assert payload == {
        "originationNumber": US,
        "destinationNumber": NUMBER,
        "messageKeyword": "KEYWORD_000000000000",
        "messageBody": "Yes",
        "inboundMessageId": answer["inbound_message_id"],
        "previousPublishedMessageId": message_id,
    }
    assert list(payload) == list(sample("eum-inbound-YES"))
    assert answer["topic_arn"] == TOPIC


@pytest.mark.parametrize("body", ["STOP", "stop", " Stop ", "STOP please"])
def test_a_keyword_is_named_in_any_case(carrier, sample, body):
    connect(carrier, self_managed=True)

    carrier.control("POST", "inbound", **{"from": US, "body": body})

    [payload] = carrier.topics.on(TOPIC)
    assert payload["messageKeyword"] == sample("eum-inbound-STOP")["messageKeyword"]
    assert payload["messageBody"] == body


def test_a_longer_word_is_not_the_keyword_that_it_begins_with(carrier):
    connect(carrier, self_managed=False)

    carrier.control("POST", "inbound", **{"from": US, "body": "Stopping by at five"})

    assert carrier.topics.on(TOPIC)[0]["messageKeyword"] == "KEYWORD_000000000000"
    assert opted_out(carrier) == {}


def test_ids_are_those_given_and_a_repetition_is_published_again(carrier):
    connect(carrier, self_managed=True)
    fields = {
        "from": US,
        "body": "Hi",
        "to": NUMBER,
        "inbound_message_id": "in-1",
        "previous_message_id": "foreign",
    }

    for _ in range(2):
        carrier.control("POST", "inbound", **fields)

    first, second = carrier.topics.on(TOPIC)
    assert first == second
    assert (first["inboundMessageId"], first["previousPublishedMessageId"]) == ("in-1", "foreign")


@pytest.mark.parametrize(
    ("fields", "absent", "present"),
    [
        ({"from": US}, {"messageBody", "previousPublishedMessageId"}, {"originationNumber": US}),
        ({"body": "Hi"}, {"originationNumber", "previousPublishedMessageId"}, {"messageBody": "Hi"}),
        (
            {"from": "", "body": ""},
            {"previousPublishedMessageId"},
            {"originationNumber": "", "messageBody": ""},
        ),
        ({"from": "abc", "body": None}, {"messageBody"}, {"originationNumber": "abc"}),
        ({"from": US, "body": "x" * 1600}, set(), {"messageBody": "x" * 1600}),
    ],
)
def test_broken_inbound_texts_are_published_as_they_are(carrier, fields, absent, present):
    connect(carrier, self_managed=True)

    carrier.control("POST", "inbound", **fields)

    [payload] = carrier.topics.on(TOPIC)
    assert absent.isdisjoint(payload)
    assert payload | present == payload


def test_managed_opt_outs_are_answered_recorded_and_still_forwarded(carrier):
    connect(carrier, self_managed=False)
    carrier.sms.put_keyword(OriginationIdentity=NUMBER_ID, Keyword="STOP", KeywordMessage="You are out.")

    carrier.control("POST", "inbound", **{"from": US, "body": "Stop"})

    assert [(m["from"], m["body"], m["context"]) for m in carrier.messages(US)] == [
        (NUMBER, "You are out.", {})
    ]
    assert opted_out(carrier) == {US: True}
    assert len(carrier.topics.on(TOPIC)) == 1
    with pytest.raises(ClientError, match="opted out"):
        carrier.sms.send_text_message(DestinationPhoneNumber=US, MessageBody="Hi")


@pytest.mark.parametrize(
    "word", ["arret", "cancel", "end", "opt-out", "optout", "quit", "remove", "td", "unsubscribe"]
)
def test_the_service_knows_more_words_for_stop(carrier, word):
    connect(carrier, self_managed=False)

    carrier.control("POST", "inbound", **{"from": US, "body": word})

    assert opted_out(carrier) == {US: True}


def test_managed_help_is_answered_and_opts_nobody_out(carrier):
    connect(carrier, self_managed=False)
    carrier.sms.put_keyword(OriginationIdentity=NUMBER_ID, Keyword="HELP", KeywordMessage="Call 555-0100.")

    carrier.control("POST", "inbound", **{"from": US, "body": "HELP me"})

    assert [m["body"] for m in carrier.messages(US)] == ["Call 555-0100."]
    assert opted_out(carrier) == {}


def test_keywords_of_ones_own_opt_out_and_in(carrier):
    connect(carrier, self_managed=False)
    for word, action in [("revoke", "OPT_OUT"), ("opt out", "OPT_OUT"), ("START", "OPT_IN")]:
        carrier.sms.put_keyword(
            OriginationIdentity=NUMBER_ID, Keyword=word, KeywordMessage=f"re {word}", KeywordAction=action
        )

    carrier.control("POST", "inbound", **{"from": US, "body": "Opt out"})
    carrier.control("POST", "inbound", **{"from": CA, "body": "REVOKE"})
    between = opted_out(carrier)
    carrier.control("POST", "inbound", **{"from": US, "body": "Start"})

    assert between == {US: True, CA: True}
    assert opted_out(carrier) == {CA: True}
    assert [m["body"] for m in carrier.messages()] == ["re opt out", "re revoke", "re START"]


def test_a_redelivered_stop_is_answered_once(carrier):
    connect(carrier, self_managed=False)

    for _ in range(2):
        carrier.control("POST", "inbound", **{"from": US, "body": "STOP", "inbound_message_id": "in-1"})

    assert len(carrier.messages(US)) == 1
    assert len(carrier.topics.on(TOPIC)) == 2


def test_self_managed_opt_outs_are_only_forwarded(carrier):
    connect(carrier, self_managed=True)

    for body in ("STOP", "HELP", "CANCEL"):
        carrier.control("POST", "inbound", **{"from": US, "body": body})

    assert carrier.messages() == []
    assert opted_out(carrier) == {}
    assert [p["messageKeyword"] for p in carrier.topics.on(TOPIC)] == ["STOP", "HELP", "CANCEL"]


def test_the_answer_goes_to_the_number_that_texted_last(carrier):
    other = carrier.sms.request_phone_number(
        IsoCountryCode="US", MessageType="TRANSACTIONAL", NumberCapabilities=["SMS"], NumberType="TEN_DLC"
    )
    carrier.sms.update_phone_number(
        PhoneNumberId=other["PhoneNumberId"], TwoWayEnabled=True, TwoWayChannelArn=f"{TOPIC}-2"
    )
    connect(carrier, self_managed=True)
    carrier.sms.send_text_message(
        DestinationPhoneNumber=US, MessageBody="from one", OriginationIdentity=NUMBER
    )
    carrier.sms.send_text_message(
        DestinationPhoneNumber=US, MessageBody="from two", OriginationIdentity=other["PhoneNumber"]
    )

    carrier.control("POST", "inbound", **{"from": US, "body": "Hi"})
    carrier.control("POST", "inbound", **{"from": CA, "body": "Hello"})

    assert [p["destinationNumber"] for p in carrier.topics.on(f"{TOPIC}-2")] == [other["PhoneNumber"]]
    assert [p["originationNumber"] for p in carrier.topics.on(TOPIC)] == [CA]


def test_a_number_in_a_pool_answers_by_the_pools_settings(carrier):
    pool = carrier.sms.create_pool(OriginationIdentity=NUMBER_ID, MessageType="TRANSACTIONAL")["PoolId"]
    carrier.sms.create_opt_out_list(OptOutListName="pooled")
    carrier.sms.update_pool(
        PoolId=pool, TwoWayEnabled=True, TwoWayChannelArn=f"{TOPIC}-pool", OptOutListName="pooled"
    )

    carrier.control("POST", "inbound", **{"from": US, "body": "STOP"})

    assert len(carrier.topics.on(f"{TOPIC}-pool")) == 1
    assert opted_out(carrier, "pooled") == {US: True}
    with pytest.raises(ClientError, match="opted out"):
        carrier.sms.send_text_message(DestinationPhoneNumber=US, MessageBody="Hi", OriginationIdentity=pool)


def test_without_a_two_way_topic_the_text_reaches_nobody(carrier):
    answer = carrier.control("POST", "inbound", **{"from": US, "body": "Hi"})

    assert answer["topic_arn"] is None
    assert carrier.topics.published == []


def test_a_topic_that_is_gone_is_told_to_the_caller(carrier):
    connect(carrier, self_managed=True)
    carrier.topics.refusing.add(TOPIC)

    response = carrier.http.post("/control/inbound", json={"from": US, "body": "Hi"})

    assert response.status_code == 502
    assert "NotFound" in response.json()["error"]


def test_a_number_that_the_account_does_not_have_is_refused(carrier):
    response = carrier.http.post("/control/inbound", json={"from": US, "body": "Hi", "to": "+12065550177"})

    assert response.status_code == 400
    assert response.json() == {"error": "`to` must be a phone number of the account."}
