"""Constructs with what somebody's own app has already: tables, bus, topics, stream, key, domain."""

from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from sms_engagement import (
    AppointmentFollowUp,
    JourneyEngine,
    Provider,
    ReviewCollector,
    SmsAnalyticsPipeline,
    SmsChannel,
)
from sms_engagement.appointment_follow_up.construct import _CONVERSATIONS_KEYS
from sms_engagement.channel.base import CONTACTS_KEYS, MESSAGES_KEYS
from sms_engagement.journeys.engine import _ENROLMENTS_KEYS, _SUBSCRIBERS_KEYS
from sms_engagement.review_collector.construct import _CUSTOMERS_KEYS, _REQUESTS_KEYS, _REVIEWS_KEYS
from sms_engagement.sms_analytics_pipeline.construct import _RESPONSES_KEYS
from sms_engagement.tables import TableKeys, add_time_index, check_table
from tests.infrastructure.synthesis import (
    ATTRIBUTES,
    IDENTITY,
    channel_in,
    nag_findings,
    new_app,
    new_stack,
    resources_of,
    template_of,
    warnings_of,
)

CERTIFICATE = "arn:aws:acm:us-east-1:111122223333:certificate/11111111-2222-3333-4444-555555555555"


def table_of(
    scope: Construct,
    id: str,
    keys: TableKeys,
    *,
    projection: dynamodb.ProjectionType = dynamodb.ProjectionType.ALL,
    **props: Any,
) -> dynamodb.TableV2:
    """A table of somebody's own, with such keys."""
    string = dynamodb.AttributeType.STRING
    return dynamodb.TableV2(
        scope,
        id,
        partition_key=dynamodb.Attribute(name=keys.partition_key, type=string),
        sort_key=dynamodb.Attribute(name=keys.sort_key, type=string) if keys.sort_key else None,
        global_secondary_indexes=[
            dynamodb.GlobalSecondaryIndexPropsV2(
                index_name=name,
                partition_key=dynamodb.Attribute(name=partition_key, type=string),
                sort_key=dynamodb.Attribute(name=sort_key, type=type_),
                projection_type=projection,
            )
            for name, (partition_key, sort_key, type_) in keys.indexes.items()
        ],
        time_to_live_attribute=keys.time_to_live,
        point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
            point_in_time_recovery_enabled=True
        ),
        **props,
    )


def old_table(scope: Construct, id: str, key: str) -> dynamodb.Table:
    """A table of somebody's own with a number for its only key, by the older construct."""
    return dynamodb.Table(
        scope, id, partition_key=dynamodb.Attribute(name=key, type=dynamodb.AttributeType.NUMBER)
    )


def with_channel(stack: cdk.Stack, **props: Any) -> Construct:
    return channel_in(stack, **props)


def with_reviews(stack: cdk.Stack, **props: Any) -> Construct:
    return ReviewCollector(stack, "Reviews", channel=channel_in(stack), **props)


def with_appointments(stack: cdk.Stack, **props: Any) -> Construct:
    return AppointmentFollowUp(stack, "Appointments", channel=channel_in(stack), **props)


def with_analytics(stack: cdk.Stack, **props: Any) -> Construct:
    return SmsAnalyticsPipeline(stack, "Analytics", channel=channel_in(stack), **props)


def with_journeys(stack: cdk.Stack, **props: Any) -> Construct:
    given = {"subscribers": dynamodb.TableV2.from_table_name(stack, "Subscribers", "subscribers"), **props}
    return JourneyEngine(stack, "Journeys", channel=channel_in(stack), **given)


type Make = Callable[..., Construct]

TABLES: list[Any] = [
    pytest.param(make, prop, keys, id=prop)
    for make, prop, keys in (
        (with_channel, "contacts_table", CONTACTS_KEYS),
        (with_channel, "messages_table", MESSAGES_KEYS),
        (with_reviews, "customers_table", _CUSTOMERS_KEYS),
        (with_reviews, "reviews_table", _REVIEWS_KEYS),
        (with_reviews, "review_requests_table", _REQUESTS_KEYS),
        (with_appointments, "conversations_table", _CONVERSATIONS_KEYS),
        (with_analytics, "responses_table", _RESPONSES_KEYS),
        (with_analytics, "subscribers_table", _SUBSCRIBERS_KEYS),
        (with_journeys, "enrolments_table", _ENROLMENTS_KEYS),
        (with_journeys, "subscribers", _SUBSCRIBERS_KEYS),
    )
]


@pytest.mark.parametrize(("make", "prop", "keys"), TABLES)
def test_a_table_with_its_keys_is_used_and_none_is_made(make: Make, prop: str, keys: TableKeys) -> None:
    without = new_stack()
    make(without)
    stack = new_stack()
    theirs = table_of(stack, "TheirTable", keys)

    construct = make(stack, **{prop: theirs})

    assert getattr(construct, prop) is theirs
    mine, given = (resources_of(template_of(each), "AWS::DynamoDB::GlobalTable") for each in (without, stack))
    # Of the subscribers a journey only reads, none is ever made for it.
    assert len(given) == len(mine) + (prop == "subscribers")


@pytest.mark.parametrize(("make", "prop", "keys"), TABLES)
def test_a_table_with_other_keys_is_refused(make: Make, prop: str, keys: TableKeys) -> None:
    stack = new_stack()
    theirs = old_table(stack, "Theirs", "orderNumber")

    with pytest.raises(ValueError, match=rf"{prop} \(Test/Theirs\) must have the keys ") as refused:
        make(stack, **{prop: theirs})

    assert f"must have the keys {keys}, got 'orderNumber' (number); give a table" in str(refused.value)


@pytest.mark.parametrize(
    ("make", "prop", "keys"),
    # That of a journey's subscribers is never made.
    [each for each in TABLES if each.id != "subscribers"],
)
def test_a_table_that_is_made_would_be_taken(make: Make, prop: str, keys: TableKeys) -> None:
    made = getattr(make(new_stack()), prop)

    assert check_table(prop, made, keys) == []


def test_a_missing_index_is_named() -> None:
    stack = new_stack()
    theirs = table_of(stack, "Theirs", TableKeys(partition_key="messageKey"))

    with pytest.raises(
        ValueError,
        match=r"messages_table \(Test/Theirs\) must have the index 'subscriberId-claimedAt-index', got none; "
        r"add it before the table is handed over",
    ):
        with_channel(stack, messages_table=theirs)


def test_an_index_by_a_text_where_an_instant_is_a_number_is_refused() -> None:
    stack = new_stack()
    wrong = {
        name: (key, sort, dynamodb.AttributeType.STRING)
        for name, (key, sort, _) in _REQUESTS_KEYS.indexes.items()
    }
    theirs = table_of(stack, "Theirs", TableKeys(partition_key="requestId", indexes=wrong))

    with pytest.raises(
        ValueError, match=r"'recordedAt' \(number\), got 'userId' \(string\) and 'recordedAt' \(s"
    ):
        with_reviews(stack, review_requests_table=theirs)


@pytest.mark.parametrize(
    ("make", "prop", "keys"),
    [
        (with_reviews, "reviews_table", _REVIEWS_KEYS),
        (with_reviews, "review_requests_table", _REQUESTS_KEYS),
        (with_appointments, "conversations_table", _CONVERSATIONS_KEYS),
    ],
    ids=["reviews", "requests", "conversations"],
)
def test_an_index_of_keys_alone_is_refused_where_rows_are_read_by_it(
    make: Make, prop: str, keys: TableKeys
) -> None:
    stack = new_stack()
    theirs = table_of(stack, "Theirs", keys, projection=dynamodb.ProjectionType.KEYS_ONLY)

    with pytest.raises(
        ValueError,
        match=rf"{prop} \(Test/Theirs\) must have the index '.*' with the projection ALL, .* got KEYS_ONLY",
    ):
        make(stack, **{prop: theirs})


@pytest.mark.parametrize("is_there", [False, True])
def test_requests_that_cannot_be_found_by_person_are_warned_of(is_there: bool) -> None:
    app = new_app()
    stack = new_stack(app)
    theirs = table_of(stack, "Theirs", _REQUESTS_KEYS)
    if is_there:
        add_time_index(theirs, "subscriberId", "recordedAt")

    with_reviews(stack, review_requests_table=theirs)

    doubts = [text for text in warnings_of(app, stack) if "subscriberId-recordedAt-index" in text]
    assert len(doubts) == (0 if is_there else 1)


def test_rows_that_would_never_end_are_warned_of() -> None:
    app = new_app()
    stack = new_stack(app)
    keys = TableKeys(partition_key="subscriberId", sort_key="record", time_to_live=None)

    with_channel(stack, contacts_table=table_of(stack, "Theirs", keys))

    assert any(
        "its rows end by 'expiresAt': they will be kept for ever" in text for text in warnings_of(app, stack)
    )


def test_an_imported_table_is_taken_as_it_is() -> None:
    stack = new_stack()
    theirs = dynamodb.Table.from_table_name(stack, "Theirs", "contacts-of-theirs")

    channel = SmsChannel(stack, "Channel", origination_identity=IDENTITY, contacts_table=theirs)

    assert channel.contacts_table is theirs


def test_a_table_under_another_key_is_refused() -> None:
    stack = new_stack()
    key = kms.Key(stack, "Key")
    theirs = table_of(
        stack, "Theirs", CONTACTS_KEYS, encryption=dynamodb.TableEncryptionV2.customer_managed_key(key)
    )

    with pytest.raises(
        ValueError, match=r"contacts_table must be under .* got the key Test/Key and none for"
    ):
        with_channel(stack, contacts_table=theirs)


def test_a_table_under_the_key_of_the_channel_is_taken() -> None:
    stack = new_stack()
    key = kms.Key(stack, "Key")
    theirs = table_of(
        stack, "Theirs", CONTACTS_KEYS, encryption=dynamodb.TableEncryptionV2.customer_managed_key(key)
    )

    channel = SmsChannel(
        stack, "Channel", origination_identity=IDENTITY, contacts_table=theirs, encryption_key=key
    )

    assert channel.contacts_table is theirs


def test_a_bus_and_topics_that_exist_are_used_and_none_is_made() -> None:
    app = new_app()
    stack = new_stack(app)
    bus = events.EventBus(stack, "Bus")
    key = kms.Key(stack, "TheirKey", enable_key_rotation=True)
    topic = sns.Topic(stack, "Topic", master_key=key, enforce_ssl=True)

    channel = channel_in(stack, bus=bus, attention_topic=topic)
    ReviewCollector(stack, "Reviews", channel=channel, admin_topic=topic)
    SmsAnalyticsPipeline(stack, "Analytics", channel=channel, response_topic=topic)
    AppointmentFollowUp(stack, "Appointments", channel=channel, host_topic=topic)

    template = template_of(stack)
    assert channel.bus is bus
    assert channel.attention_topic is topic
    assert list(resources_of(template, "AWS::Events::EventBus")) == ["BusEA82B648"]
    # Their own one, and the two that End User Messaging publishes to.
    assert len(resources_of(template, "AWS::SNS::Topic")) == 3
    assert nag_findings(stack) == []


def test_a_stream_that_exists_is_used_with_its_key() -> None:
    stack = new_stack()
    key = kms.Key(stack, "TheirKey")
    stream = kinesis.Stream(stack, "Theirs", encryption=kinesis.StreamEncryption.KMS, encryption_key=key)

    SmsAnalyticsPipeline(stack, "Analytics", channel=channel_in(stack), stream=stream)

    template = template_of(stack)
    assert len(resources_of(template, "AWS::Kinesis::Stream")) == 1
    (policy,) = (
        policy
        for name, policy in resources_of(template, "AWS::IAM::Policy").items()
        if name.startswith("AnalyticsIngestRole")
    )
    allowed = [
        statement["Action"]
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Resource"] == {"Fn::GetAtt": ["TheirKey1BBB8C2D", "Arn"]}
        or "kms:" in str(statement["Action"])
    ]
    assert any("kms:GenerateDataKey*" in actions for actions in allowed)


@pytest.mark.parametrize(
    "options", [{"stream_retention": cdk.Duration.days(7)}, {"provisioned_shards": 4}], ids=str
)
def test_options_of_a_stream_beside_a_stream_are_refused(options: dict[str, Any]) -> None:
    stack = new_stack()
    stream = kinesis.Stream(stack, "Theirs")

    with pytest.raises(
        ValueError, match=r"stream_retention and provisioned_shards .* leave them out, or leave"
    ):
        SmsAnalyticsPipeline(stack, "Analytics", channel=channel_in(stack), stream=stream, **options)


def test_reviews_cannot_be_archived_from_a_table_without_a_stream() -> None:
    stack = new_stack()
    theirs = table_of(stack, "Theirs", _REVIEWS_KEYS)

    with pytest.raises(
        ValueError, match=r"stream with old images, which review_retention reads, got the stream none"
    ):
        with_reviews(stack, reviews_table=theirs, review_retention=cdk.Duration.days(365))


def domain_in(stack: cdk.Stack, name: str) -> apigateway.DomainName:
    certificate = acm.Certificate.from_certificate_arn(stack, f"{name}Certificate", CERTIFICATE)
    return apigateway.DomainName(stack, f"{name}Name", certificate=certificate, domain_name=name)


def test_links_and_webhooks_lead_to_the_domains_that_were_given() -> None:
    stack = new_stack()
    channel = channel_in(stack)

    reviews = ReviewCollector(stack, "Reviews", channel=channel, api_domain=domain_in(stack, "r.example.com"))
    appointments = AppointmentFollowUp(
        stack, "Appointments", channel=channel, api_domain=domain_in(stack, "hooks.example.com")
    )

    template = template_of(stack)
    urls = [
        function["Environment"]["Variables"]["LINK_BASE_URL"]
        for function in resources_of(template, "AWS::Lambda::Function").values()
        if "LINK_BASE_URL" in function["Environment"]["Variables"]
    ]
    reviews_domain, hooks_domain = resources_of(template, "AWS::ApiGatewayV2::DomainName")
    assert stack.resolve(reviews.link_base_url) == _url(reviews_domain)
    assert urls
    assert all(url == _url(reviews_domain) for url in urls)
    assert stack.resolve(appointments.webhook_urls[Provider.CALENDLY]) == _url(
        hooks_domain, "/webhooks/calendly"
    )
    mappings = resources_of(template, "AWS::ApiGatewayV2::ApiMapping").values()
    assert sorted(mapping["ApiId"]["Ref"][:10] for mapping in mappings) == ["Appointmen", "ReviewsApi"]
    assert all("ApiMappingKey" not in mapping for mapping in mappings)


def _url(domain: str, path: str = "") -> object:
    return {"Fn::Join": ["", ["https://", {"Ref": domain}, *([path] if path else [])]]}


def test_an_identity_of_another_region_is_refused() -> None:
    with pytest.raises(
        ValueError,
        match=r"origination_identity must be in the Region of its stack, us-east-1, got 'arn:.*eu-west-1; "
        r"give the stack env=Environment\(region='eu-west-1'\), or an identity of us-east-1",
    ):
        channel_in(new_stack(), origination_identity=IDENTITY.replace("us-east-1", "eu-west-1"))


def test_an_identity_of_another_account_is_warned_of() -> None:
    app = new_app()
    stack = new_stack(app)

    channel_in(stack, origination_identity=IDENTITY.replace("111122223333", "444455556666"))

    assert any("belongs to account 444455556666" in text for text in warnings_of(app, stack))


@pytest.mark.parametrize(
    "make",
    [
        lambda stack, channel: ReviewCollector(stack, "System", channel=channel),
        lambda stack, channel: AppointmentFollowUp(stack, "System", channel=channel),
        lambda stack, channel: SmsAnalyticsPipeline(stack, "System", channel=channel),
        lambda stack, channel: JourneyEngine(
            stack,
            "System",
            channel=channel,
            subscribers=dynamodb.TableV2.from_table_name(stack, "Theirs", "subscribers"),
        ),
    ],
    ids=["reviews", "appointments", "analytics", "journeys"],
)
def test_a_channel_of_another_region_is_refused(make: Callable[[cdk.Stack, SmsChannel], Construct]) -> None:
    app = new_app()
    channel = channel_in(new_stack(app, "Ours"))
    elsewhere = cdk.Stack(
        app, "Elsewhere", env=cdk.Environment(account="111122223333", region="eu-central-1")
    )

    with pytest.raises(
        ValueError,
        match=r"channel Ours/Channel must be in the Region of the stack that uses it, got us-east-1 for the "
        r"channel and eu-central-1 for Elsewhere; a number sends from one Region: make the system in us-",
    ):
        make(elsewhere, channel)


def test_an_imported_channel_of_another_region_is_refused() -> None:
    app = new_app()
    elsewhere = cdk.Stack(
        app, "Elsewhere", env=cdk.Environment(account="111122223333", region="eu-central-1")
    )

    with pytest.raises(
        ValueError, match=r"origination_identity must be in the Region of its stack, eu-central-1"
    ):
        SmsChannel.from_attributes(elsewhere, "Imported", ATTRIBUTES)


@pytest.mark.parametrize("view", [None, dynamodb.StreamViewType.NEW_AND_OLD_IMAGES])
def test_reviews_of_a_table_without_stream_are_not_counted_and_that_is_said(
    view: dynamodb.StreamViewType | None,
) -> None:
    app = new_app()
    stack = new_stack(app)
    theirs = table_of(stack, "Theirs", _REVIEWS_KEYS, dynamo_stream=view)

    reviews = ReviewCollector(stack, "Reviews", channel=channel_in(stack), reviews_table=theirs)

    doubts = [warning for warning in warnings_of(app, stack) if "no stream of new images" in warning]
    assert len(doubts) == (0 if view else 1)
    assert len(reviews.figures.sources) == (2 if view else 1)
