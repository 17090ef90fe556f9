import json

import pytest

from tests.support.carrier import PHONE_NUMBER_ARN, PHONE_NUMBER_ID, carrier_server
from tests.support.dynamodb_tables import CONTACTS, channel_tables
from tests.support.handlers import Context, fresh_handler
from tests.support.logs import captured_logs
from tests.support.raw_http_server import RawHttpServer, answer

TOPIC = "arn:aws:sns:us-east-1:000000000000:inbound"
FORMER_TOPIC = "arn:aws:sns:us-east-1:000000000000:somebody-else"
REVOKE = {"Keyword": "REVOKE", "Action": "OPT_OUT", "Message": "You are unsubscribed."}
INFO = {"Keyword": "Info", "Action": "AUTOMATIC_RESPONSE", "Message": "Ask us."}
UNKNOWN = PHONE_NUMBER_ARN.replace("local", "other")
SENDER_ID = "arn:aws:sms-voice:us-east-1:000000000000:sender-id/SHOP/GB"


@pytest.fixture(scope="module")
def server():
    with carrier_server() as server:
        yield server


@pytest.fixture
def sms(server):
    server.restart().client.create_opt_out_list(OptOutListName="channel")
    return server.client


@pytest.fixture
def cloudformation():
    with RawHttpServer(answer("200 OK")) as stack:
        yield stack


@pytest.fixture(scope="module")
def module(server):
    environment = {"CONTACTS_TABLE": CONTACTS, "AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2": server.url}
    with fresh_handler("sms_engagement_runtime.channel.handlers.origination", environment) as module:
        yield module


@pytest.fixture
def request_of(module, sms, cloudformation):
    """A function that sends a request of CloudFormation to the handler and returns the answer."""

    def send(request_type, properties, **members):
        event = {
            "RequestType": request_type,
            "ResponseURL": f"{cloudformation.url}/answer?signature=s",
            "StackId": "stack",
            "RequestId": "request",
            "LogicalResourceId": "Origination",
            "ResourceType": "Custom::SmsOrigination",
            "ResourceProperties": {"ServiceToken": "arn", **properties},
            **members,
        }
        module.handler(event, Context())
        return json.loads(cloudformation.requests[-1])

    with channel_tables() as dynamodb:
        send.dynamodb = dynamodb
        yield send


def properties(**fields):
    return {
        "OriginationIdentity": PHONE_NUMBER_ARN,
        "TwoWayTopicArn": TOPIC,
        "OptOutListName": "channel",
        "SelfManagedOptOuts": "true",
        "Keywords": [],
        **fields,
    }


def delete(request_of, applied, physical_id=PHONE_NUMBER_ARN):
    return request_of("Delete", applied, PhysicalResourceId=physical_id)


def number(sms, number_id=PHONE_NUMBER_ID):
    (found,) = sms.describe_phone_numbers(PhoneNumberIds=[number_id])["PhoneNumbers"]
    return (
        found["TwoWayEnabled"],
        found.get("TwoWayChannelArn"),
        found["OptOutListName"],
        found["SelfManagedOptOutsEnabled"],
    )


def keywords(sms, identity=PHONE_NUMBER_ID):
    found = sms.describe_keywords(OriginationIdentity=identity)["Keywords"]
    return {entry["Keyword"]: (entry["KeywordAction"], entry["KeywordMessage"]) for entry in found}


def test_a_number_is_connected_and_restored(request_of, sms):
    before = number(sms)

    created = request_of("Create", properties())

    assert (created["Status"], created["PhysicalResourceId"]) == ("SUCCESS", PHONE_NUMBER_ARN)
    assert (created["StackId"], created["RequestId"], created["LogicalResourceId"]) == (
        "stack",
        "request",
        "Origination",
    )
    assert number(sms) == (True, TOPIC, "channel", True)

    deleted = delete(request_of, properties())

    assert deleted["Status"] == "SUCCESS"
    two_way, _, opt_out_list, self_managed = number(sms)
    assert (two_way, opt_out_list, self_managed) == (before[0], before[2], before[3])
    assert request_of.dynamodb.scan(TableName=CONTACTS)["Count"] == 0


def test_settings_that_were_in_use_before_come_back(request_of, sms):
    sms.create_opt_out_list(OptOutListName="theirs")
    sms.update_phone_number(
        PhoneNumberId=PHONE_NUMBER_ID,
        TwoWayEnabled=True,
        TwoWayChannelArn=FORMER_TOPIC,
        OptOutListName="theirs",
    )
    request_of("Create", properties())

    delete(request_of, properties())

    assert number(sms) == (True, FORMER_TOPIC, "theirs", False)


def test_a_pool_is_connected_and_restored(request_of, sms):
    pool = sms.create_pool(
        OriginationIdentity=PHONE_NUMBER_ID, IsoCountryCode="US", MessageType="TRANSACTIONAL"
    )
    applied = properties(OriginationIdentity=pool["PoolArn"], SelfManagedOptOuts="false", Keywords=[REVOKE])

    created = request_of("Create", applied)

    (found,) = sms.describe_pools(PoolIds=[pool["PoolId"]])["Pools"]
    assert created["Status"] == "SUCCESS", created["Reason"]
    assert (found["TwoWayChannelArn"], found["OptOutListName"]) == (TOPIC, "channel")
    assert keywords(sms, pool["PoolId"])["REVOKE"] == ("OPT_OUT", "You are unsubscribed.")

    delete(request_of, applied, pool["PoolArn"])

    (found,) = sms.describe_pools(PoolIds=[pool["PoolId"]])["Pools"]
    assert (found["TwoWayEnabled"], found["OptOutListName"]) == (False, "Default")
    assert "REVOKE" not in keywords(sms, pool["PoolId"])


def test_keywords_are_set_and_what_they_were_before_comes_back(request_of, sms):
    sms.put_keyword(
        OriginationIdentity=PHONE_NUMBER_ID,
        Keyword="INFO",
        KeywordMessage="Theirs.",
        KeywordAction="AUTOMATIC_RESPONSE",
    )
    before = keywords(sms)
    applied = properties(SelfManagedOptOuts="false", Keywords=[REVOKE, INFO])

    request_of("Create", applied)

    assert keywords(sms)["REVOKE"] == ("OPT_OUT", "You are unsubscribed.")
    assert keywords(sms)["INFO"] == ("AUTOMATIC_RESPONSE", "Ask us.")

    delete(request_of, applied)

    assert keywords(sms) == before


def test_self_managed_opt_outs_get_no_opt_out_keywords(request_of, sms):
    request_of("Create", properties(Keywords=[REVOKE, INFO]))

    assert "REVOKE" not in keywords(sms)
    assert "INFO" in keywords(sms)


def test_a_keyword_that_is_not_wanted_any_more_goes_back_at_the_update(request_of, sms):
    former = properties(SelfManagedOptOuts="false", Keywords=[REVOKE, INFO])
    request_of("Create", former)

    request_of(
        "Update",
        properties(SelfManagedOptOuts="false", Keywords=[INFO]),
        PhysicalResourceId=PHONE_NUMBER_ARN,
        OldResourceProperties=former,
    )

    assert "REVOKE" not in keywords(sms)
    assert "INFO" in keywords(sms)


def test_a_repeated_create_does_not_take_its_own_work_for_what_was_there_before(request_of, sms):
    before = number(sms)[2]
    request_of("Create", properties())
    request_of("Create", properties())

    delete(request_of, properties())

    assert number(sms)[2] == before


def test_another_identity_is_connected_and_the_former_one_restored(request_of, sms):
    other = sms.request_phone_number(
        IsoCountryCode="US",
        MessageType="TRANSACTIONAL",
        NumberCapabilities=["SMS"],
        NumberType="SIMULATOR",
    )
    request_of("Create", properties())
    changed = properties(OriginationIdentity=other["PhoneNumberArn"])

    updated = request_of(
        "Update", changed, PhysicalResourceId=PHONE_NUMBER_ARN, OldResourceProperties=properties()
    )

    assert (updated["Status"], updated["PhysicalResourceId"]) == ("SUCCESS", other["PhoneNumberArn"])
    assert number(sms, other["PhoneNumberId"])[1:3] == (TOPIC, "channel")
    assert number(sms)[2] == "Default"
    assert delete(request_of, properties())["Status"] == "SUCCESS"


def test_an_update_that_fails_leaves_the_former_identity_connected(request_of, sms):
    request_of("Create", properties())

    updated = request_of(
        "Update",
        properties(OriginationIdentity=UNKNOWN),
        PhysicalResourceId=PHONE_NUMBER_ARN,
        OldResourceProperties=properties(),
    )

    assert (updated["Status"], updated["PhysicalResourceId"]) == ("FAILED", PHONE_NUMBER_ARN)
    assert number(sms) == (True, TOPIC, "channel", True)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"OriginationIdentity": UNKNOWN}, "there is no phone-number"),
        ({"OriginationIdentity": "phone-1"}, "'phone-1' is not an origination identity"),
        (
            {"OriginationIdentity": "arn:aws:sns:us-east-1:000000000000:pool/p"},
            "is not an origination identity",
        ),
        ({"OptOutListName": "missing"}, "UpdatePhoneNumber was refused: ResourceNotFoundException"),
    ],
)
def test_a_create_that_fails_says_why_and_can_be_deleted(request_of, sms, fields, reason):
    before = number(sms)

    created = request_of("Create", properties(**fields))

    assert created["Status"] == "FAILED"
    assert reason in created["Reason"]
    assert created["Reason"].count(". ") == 0
    assert delete(request_of, properties(**fields), created["PhysicalResourceId"])["Status"] == "SUCCESS"
    assert number(sms) == before


def test_a_number_of_a_pool_is_refused_with_the_way_out(request_of, sms):
    pool = sms.create_pool(
        OriginationIdentity=PHONE_NUMBER_ID, IsoCountryCode="US", MessageType="TRANSACTIONAL"
    )

    created = request_of("Create", properties())

    assert created["Status"] == "FAILED"
    assert f"belongs to pool {pool['PoolId']}; give the pool's ARN instead" in created["Reason"]


def test_a_create_that_broke_off_in_the_middle_is_undone(request_of, sms):
    before = keywords(sms)
    broken = properties(SelfManagedOptOuts="false", Keywords=[REVOKE, {**INFO, "Keyword": "x" * 31}])

    created = request_of("Create", broken)
    assert created["Status"] == "FAILED"
    assert number(sms)[1] == TOPIC

    assert delete(request_of, broken)["Status"] == "SUCCESS"
    assert keywords(sms) == before
    assert number(sms)[2] == "Default"


def test_what_somebody_else_has_changed_since_is_left_alone(request_of, sms):
    request_of("Create", properties())
    sms.update_phone_number(PhoneNumberId=PHONE_NUMBER_ID, TwoWayEnabled=True, TwoWayChannelArn=FORMER_TOPIC)

    delete(request_of, properties())

    assert number(sms)[1] == FORMER_TOPIC


def test_a_number_that_was_released_can_be_deleted(request_of, sms):
    other = sms.request_phone_number(
        IsoCountryCode="US",
        MessageType="TRANSACTIONAL",
        NumberCapabilities=["SMS"],
        NumberType="SIMULATOR",
    )
    applied = properties(OriginationIdentity=other["PhoneNumberArn"])
    request_of("Create", applied)
    sms.release_phone_number(PhoneNumberId=other["PhoneNumberId"])

    assert delete(request_of, applied, other["PhoneNumberArn"])["Status"] == "SUCCESS"


def test_a_sender_id_receives_nothing_so_there_is_nothing_to_do(request_of):
    applied = properties(OriginationIdentity=SENDER_ID)

    created = request_of("Create", applied)

    assert (created["Status"], created["PhysicalResourceId"]) == ("SUCCESS", SENDER_ID)
    assert delete(request_of, applied, SENDER_ID)["Status"] == "SUCCESS"


def test_cloudformation_is_answered_whatever_happens(request_of):
    broken = properties()
    del broken["TwoWayTopicArn"]

    with captured_logs() as logs:
        created = request_of("Create", broken)

    assert created["Status"] == "FAILED"
    assert created["Reason"] == "KeyError; the log of function says more."
    assert "TwoWayTopicArn" in logs.getvalue()


def test_an_answer_that_is_not_taken_is_put_again(request_of, cloudformation):
    refusals = [answer("503 Service Unavailable"), answer("200 OK")]
    cloudformation._behaviour = lambda connection: refusals.pop(0)(connection)

    request_of("Create", properties(OriginationIdentity=SENDER_ID))

    assert len(cloudformation.requests) == 2
    assert cloudformation.requests[0] == cloudformation.requests[1]
