"""ReviewCollector: asks customers for reviews by SMS, and collects what they write."""

import json
from collections.abc import Mapping
from typing import Final

from aws_cdk import Annotations, Duration, RemovalPolicy, Stack
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from constructs import Construct

from sms_engagement._acknowledge import acknowledge
from sms_engagement.alarms import index_names
from sms_engagement.channel.base import SmsChannelBase, check_range, grant_actions
from sms_engagement.channel.broadcast import (
    Broadcast,
    run_bucket,
)
from sms_engagement.channel.later import Later
from sms_engagement.checks import add_doubts, check_key
from sms_engagement.data import place_of_data
from sms_engagement.durations import check_duration, span
from sms_engagement.functions import FunctionOptions, RuntimeFunction, grant_key
from sms_engagement.http_stage import own_address, public_stage
from sms_engagement.metrics import business_metric, count_messages
from sms_engagement.queues import dead_letter_queue
from sms_engagement.review_collector.alarms import review_alarms
from sms_engagement.review_collector.archive import ReviewArchive
from sms_engagement.review_collector.console import ReviewConsole
from sms_engagement.review_collector.figures import ReviewFigures
from sms_engagement.review_collector.monitoring import review_dashboard, review_queries
from sms_engagement.review_collector.schedule import BroadcastSchedule, call_daily, start_daily
from sms_engagement.review_collector.texts import ReviewTexts, as_setting
from sms_engagement.tables import (
    TableKeys,
    add_time_index,
    check_stream,
    check_table,
    has_new_images,
    on_demand_table,
)
from sms_engagement_runtime.channel.domain.broadcast.stop_rules import StopRules
from sms_engagement_runtime.review_collector.domain.notices import UNANNOUNCED
from sms_engagement_runtime.review_collector.domain.occasions import OccasionPolicy
from sms_engagement_runtime.review_collector.domain.reasons import NOT_ASKED

STATUS_INDEX: Final = "status-timestamp-index"
"""Of the reviews: those of a status, by time."""

REQUESTS_INDEX: Final = "userId-recordedAt-index"
"""Of ``review_requests``: everything that a customer was or may be asked about, by time."""

_CUSTOMERS_KEYS: Final = TableKeys(partition_key="userId", time_to_live=None)
_REVIEWS_KEYS: Final = TableKeys(
    partition_key="reviewId",
    indexes={
        "userId-timestamp-index": ("userId", "timestamp", dynamodb.AttributeType.NUMBER),
        STATUS_INDEX: ("status", "timestamp", dynamodb.AttributeType.NUMBER),
    },
    whole_rows=True,
)
_REQUESTS_KEYS: Final = TableKeys(
    partition_key="requestId",
    indexes={REQUESTS_INDEX: ("userId", "recordedAt", dynamodb.AttributeType.NUMBER)},
    whole_rows=True,
)

_PERSON_INDEX: Final = "subscriberId-recordedAt-index"
"""Of the same table: what a person was asked, for timelines and erasures."""

_SEND_PART_TIMEOUT: Final = Duration.seconds(280)

_UNANNOUNCED_METRIC: Final = "ReviewsUnannounced"
_NOT_ASKED_METRIC: Final = "PeopleNotAsked"

_DIGEST_HOUR: Final = 8


class ReviewCollector(Construct):
    """Asks customers for reviews by SMS, shows the form behind the link, and keeps the reviews.

    Every day at 10:00, whoever has something to be asked about is asked: an ``OccasionRecorded`` event on the
    bus, or the registration where nothing was ever recorded. Between two requests to a person lies the
    cooldown; one reminder follows unless they answer. A ``ReviewRequested`` event asks one customer at once.
    What falls into quiet hours or a pause waits for its time.

    Parameters
    ----------
    channel
        Sends the texts, made here or imported. One collector a channel, since the channel's ledger holds whom
        it asked.
    customers_table
        A table of customers that exists already: partition key ``userId``, with ``phoneNumber``, ``name``,
        ``status`` and ``createdAt``. Left out, one is made.
    reviews_table, review_requests_table
        Tables that exist already: the key ``reviewId`` with the indexes ``userId-timestamp-index`` and
        ``status-timestamp-index``, and the key ``requestId`` with the index ``userId-recordedAt-index``, the
        instants numbers; both with time to live ``expiresAt``, and the first with a stream of old images
        where there is a `review_retention`. Both need a stream of new images to be counted in the figures; a
        warning says where there is none. Made when left out. Timelines and erasures of a person read
        ``subscriberId-recordedAt-index`` of the second, keys only.
    add_customers_from_events
        Whether a customer whom a ``ReviewRequested`` event brings, such as the invitee of an appointment, is
        added to that table where it has nobody of the id: then this collector writes to it. Nobody's row is
        ever changed. With False, the event of somebody unknown is a recorded skip.
    link_base_url
        Short address before ``/r/<token>``, as ``https://r.example.com``; the API's own when left out.
    link_lifetime
        How long a link can be used, 1 hour to 30 days.
    edit_window
        How long a review can be edited after it was submitted, 0 to 30 days.
    review_retention
        After which a review leaves the table for the archive; kept for good when left out. It counts for
        reviews that are written from then on. DynamoDB deletes within a few days after, so whoever reads the
        table leaves out rows whose ``expiresAt`` (epoch seconds) has passed.
    archive_bucket
        Where those reviews go, below ``reviews/``; one is made when left out. Needs `review_retention`.
    texts
        Template by locale, with ``{{name}}`` and ``{{link}}``; one must be ``en``. A name that does not fit
        into the one part is left out. The standard text, in English, Spanish, French, German and Portuguese,
        when left out.
    schedule
        When everybody who is due is asked; daily at 10:00 in New York when left out.
    cooldown
        Between two requests of broadcasts to the same person, 1 to 3650 days; 90 days when left out.
    occasion_lifetime
        How long after it happened an occasion may be asked about, 1 to 90 days; 30 days when left out.
    remind
        Whether a request that is not answered is followed by one reminder.
    reminder_delay
        After which it follows, 1 to 14 days; 3 days when left out. Needs `remind`.
    reminder_texts
        As `texts`, of the reminder. Needs `remind`.
    digest
        Whether the admin topic gets a digest of the day's reviews, at 8:00 in the zone of the schedule.
    confirm_to_customer
        Whether a customer is thanked by text for a new review, once, through the same gate and ledger as
        every text. Off by default: the page says it already, and every text has its price.
    confirmation_texts
        Template by locale of that text, with ``{{name}}``; ``Thank you for your review, {{name}}!`` when left
        out. Needs `confirm_to_customer`.
    admin_topic
        Told of every new review, and of the day's; one is made when left out.
    rotate_link_key_after
        Age at which a new key signs links; the keys before it stay valid while their links live.
    api_domain
        Custom domain name of form and links, of this API alone, as ``r.example.com``: a
        ``apigatewayv2.DomainName`` with its certificate, whose DNS record is its owner's. Links lead there
        unless `link_base_url` says otherwise. The API's own address when left out.
    public_concurrency
        Concurrent calls of form and submission, each reserved; None reserves none, as an account with a
        quota of ten concurrent calls needs it.
    public_requests_per_second
        Rate of each, over which API Gateway answers 429; the burst is twice that.
    broadcast_concurrency, broadcast_stop_rules, broadcast_expires_after
        `max_concurrency`, `stop_rules` and `expires_after` of :class:`Broadcast`.
    data_scope
        Where tables, buckets and the keys of the links are made; inside this construct when left out.
    dashboard
        Whether to make one in CloudWatch ($3 a month from the fourth on in an account).
    function_options, alarm_topic, removal_policy
        As for :class:`SmsChannel`, whose function options are the default.

    Attributes
    ----------
    customers_table, reviews_table, review_requests_table
        Data; ``owns_customers_table`` says whether the first was made here.
    api, api_stage
        HTTP API: ``GET /review``, ``GET /r/{token}``, ``POST /submit-review``, ``POST /new-link``; approved
        reviews at ``GET /reviews``, votes for them at ``POST /reviews/{id}/helpful``; the moderators' console
        below ``/admin/``, behind the IAM authoriser.
    access_log
        Log group of the API: routes and times, nothing of what people sent.
    occasion_policy
        Cooldown, lifetime of occasions and delay of the reminder.
    link_secret
        Keys of the links, rotated.
    admin_topic
        New reviews.
    broadcast_bucket
        Audiences and results of broadcasts, kept for 90 days.
    broadcast_engine, broadcast
        What asks everybody who is due, and its state machine.
    schedule
        Starts it.
    later
        Where single texts wait for their hour, and reminders for their day.
    digest_schedule
        Calls the digest; None without one.
    figures
        What keeps ratings, sentiment and response rate by day.
    console
        The moderators' console and the public reviews.
    archive, review_archive
        The way of old reviews, and the bucket at its end; None without `review_retention`.
    audience, plan, send_part, summary, review_requested, form, submit, digest, rotate_link_key
        The functions, each with a role of its own.
    dead_letter_queue
        Events from the bus that failed three times, waits that failed, and calls of the schedules that did
        not arrive.
    alarms, dashboard, saved_queries
        Alarms on functions, queue, tables, broadcast and API. None for what is left out.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        channel: SmsChannelBase,
        customers_table: dynamodb.ITable | None = None,
        reviews_table: dynamodb.ITable | None = None,
        review_requests_table: dynamodb.ITable | None = None,
        add_customers_from_events: bool = True,
        link_base_url: str | None = None,
        link_lifetime: Duration | None = None,
        edit_window: Duration | None = None,
        review_retention: Duration | None = None,
        archive_bucket: s3.IBucket | None = None,
        texts: Mapping[str, str] | None = None,
        schedule: BroadcastSchedule | None = None,
        cooldown: Duration | None = None,
        occasion_lifetime: Duration | None = None,
        remind: bool = True,
        reminder_delay: Duration | None = None,
        reminder_texts: Mapping[str, str] | None = None,
        digest: bool = True,
        confirm_to_customer: bool = False,
        confirmation_texts: Mapping[str, str] | None = None,
        admin_topic: sns.ITopic | None = None,
        rotate_link_key_after: Duration | None = None,
        api_domain: apigateway.IDomainName | None = None,
        public_concurrency: int | None = 20,
        public_requests_per_second: int = 50,
        broadcast_concurrency: int | None = None,
        broadcast_stop_rules: StopRules | None = None,
        broadcast_expires_after: Duration | None = None,
        dashboard: bool = True,
        function_options: FunctionOptions | None = None,
        alarm_topic: sns.ITopic | None = None,
        data_scope: Construct | None = None,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        link_lifetime = link_lifetime or Duration.days(7)
        edit_window = edit_window or Duration.hours(24)
        check_duration("link_lifetime", link_lifetime, Duration.hours(1), Duration.days(30))
        check_duration("edit_window", edit_window, Duration.seconds(0), Duration.days(30))
        if review_retention is not None:
            check_duration("review_retention", review_retention, Duration.days(1), Duration.days(3650))
        elif archive_bucket is not None:
            raise ValueError(
                "archive_bucket needs review_retention, the age at which reviews go there; set it"
            )
        if public_concurrency is not None:
            check_range("public_concurrency", public_concurrency, 1, 1000)
        # The quota of an HTTP API in the smaller Regions (API Gateway, quotas).
        check_range("public_requests_per_second", public_requests_per_second, 1, 2500)
        if broadcast_concurrency is not None:
            check_range("broadcast_concurrency", broadcast_concurrency, 1, channel.policy.parts_per_second)
        if broadcast_expires_after is not None:
            check_duration(
                "broadcast_expires_after", broadcast_expires_after, Duration.hours(1), Duration.days(30)
            )
        occasion_policy = _occasion_policy(cooldown, occasion_lifetime, reminder_delay, remind=remind)
        _check_needed("reminder_texts", reminder_texts, "remind", needed=remind)
        _check_needed(
            "confirmation_texts", confirmation_texts, "confirm_to_customer", needed=confirm_to_customer
        )
        all_texts = ReviewTexts(
            requests=texts or {},
            reminders=(reminder_texts or {}) if remind else None,
            confirmations=(confirmation_texts or {}) if confirm_to_customer else None,
        )
        doubts = list(
            all_texts.check(
                link_base_url=link_base_url,
                region=Stack.of(scope).region,
                max_parts=channel.policy.max_parts,
            )
        )
        table_doubts = [
            *check_table("customers_table", customers_table, _CUSTOMERS_KEYS),
            *check_table("reviews_table", reviews_table, _REVIEWS_KEYS),
            *check_table("review_requests_table", review_requests_table, _REQUESTS_KEYS),
            *_check_counted("reviews_table", reviews_table),
            *_check_counted("review_requests_table", review_requests_table),
            *_check_found_by_person(review_requests_table),
        ]
        check_key("reviews_table", reviews_table, channel.encryption_key)
        check_key("review_requests_table", review_requests_table, channel.encryption_key)
        if reviews_table is not None and review_retention is not None:
            check_stream("reviews_table", reviews_table, "review_retention")
        channel.check_region(scope)
        channel.serve_alone("collector", "/".join(part for part in (scope.node.path, id) if part))
        super().__init__(scope, id)
        for number, doubt in enumerate(doubts):
            Annotations.of(self).add_warning_v2(f"sms-engagement:review-text-{number}", doubt)

        self.channel = channel
        self.link_lifetime = link_lifetime
        self.edit_window = edit_window
        self.review_retention = review_retention
        self.occasion_policy = occasion_policy
        self.texts = all_texts
        self.function_options = function_options or channel.function_options
        self._removal_policy = removal_policy
        self._data = place_of_data(self, data_scope)
        add_doubts(self, table_doubts)
        self._public_concurrency = public_concurrency

        self.owns_customers_table = customers_table is None
        self.customers_table = customers_table or self._table("Customers", partition_key="userId")
        self.reviews_table = reviews_table or self._reviews_table()
        self.review_requests_table = review_requests_table or self._requests_table()
        self.admin_topic = admin_topic or sns.Topic(
            self, "AdminTopic", display_name="New reviews", master_key=channel.topic_key, enforce_ssl=True
        )
        self._build_link_secret(rotate_link_key_after or Duration.days(90))
        self._build_public_functions()
        self.archive = self._build_archive(archive_bucket) if review_retention else None
        self.review_archive = self.archive.bucket if self.archive else None
        when = schedule or BroadcastSchedule()
        self._build_api(public_requests_per_second, api_domain)
        self._build_console(when.time_zone)
        self.link_base_url = (link_base_url or own_address(self.api, api_domain)).rstrip("/")
        self.dead_letter_queue = dead_letter_queue(
            self, of="a rule, a function and schedules", encryption_key=channel.encryption_key
        )
        self._build_broadcast(
            max_concurrency=broadcast_concurrency,
            stop_rules=broadcast_stop_rules,
            expires_after=broadcast_expires_after,
        )
        self._build_review_requested(adds_customers=add_customers_from_events)
        self.schedule = start_daily(
            self, "Schedule", when, broadcast=self.broadcast, dead_letter_queue=self.dead_letter_queue
        )
        self.digest: RuntimeFunction | None = None
        self.digest_schedule: scheduler.Schedule | None = None
        if digest:
            self._build_digest(when.time_zone)
        self.alarms = review_alarms(self, alarm_topic or channel.alarm_topic)
        self.saved_queries = review_queries(self) if self.function_options.saved_queries else None
        self.dashboard = review_dashboard(self).dashboard if dashboard else None

    def grant_start_broadcast(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow asking everybody who is due, now."""
        return self.broadcast.grant_start_execution(grantee)

    def grant_moderate(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow looking at reviews and figures in the console, and approving and rejecting reviews."""
        return self.console.grant_moderate(grantee)

    def metric_requests_sent(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Review requests that a broadcast sent."""
        return self._metric("ReviewRequestsSent", period, statistic)

    def metric_malformed_events(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Count events of the bus that could not be read, and were left out."""
        return self._metric("MalformedEvents", period, statistic)

    def metric_sending_disabled(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Count requests that had to wait since AWS disabled sending."""
        return self._metric("SendingDisabled", period, statistic)

    def metric_texts_refused(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Count texts of events that could not be sent: those requests went out in the standard words."""
        return self._metric("ReviewTextsRefused", period, statistic)

    def metric_reviews_unannounced(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Reviews that are stored and of which the admins were not told."""
        return self._metric(_UNANNOUNCED_METRIC, period, statistic)

    def metric_people_not_asked(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Count the times that asking somebody in a broadcast failed in a way that nobody foresaw."""
        return self._metric(_NOT_ASKED_METRIC, period, statistic)

    def _metric(self, name: str, period: Duration | None, statistic: str | None) -> cloudwatch.Metric:
        return business_metric(self, "review-collector", name, period=period, statistic=statistic)

    def _reviews_table(self) -> dynamodb.TableV2:
        table = self._table(
            "ReviewRows",
            partition_key="reviewId",
            # The archive needs the row as it was, the figures need it as it is.
            stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES
            if self.review_retention
            else dynamodb.StreamViewType.NEW_IMAGE,
        )
        for partition_key in ("userId", "status"):
            add_time_index(table, partition_key, "timestamp")
        return table

    def _requests_table(self) -> dynamodb.TableV2:
        table = self._table("Requests", partition_key="requestId", stream=dynamodb.StreamViewType.NEW_IMAGE)
        add_time_index(table, "userId", "recordedAt")
        # Whose requests they were, for a timeline and an erasure: customers have no index by phone.
        table.add_global_secondary_index(
            index_name=_PERSON_INDEX,
            partition_key=dynamodb.Attribute(name="subscriberId", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="recordedAt", type=dynamodb.AttributeType.NUMBER),
            projection_type=dynamodb.ProjectionType.KEYS_ONLY,
        )
        return table

    def _table(
        self, id: str, *, partition_key: str, stream: dynamodb.StreamViewType | None = None
    ) -> dynamodb.TableV2:
        return on_demand_table(
            self._data,
            id,
            partition_key=partition_key,
            encryption_key=self.channel.encryption_key,
            removal_policy=self._removal_policy,
            stream=stream,
        )

    def _build_link_secret(self, rotate_after: Duration) -> None:
        self.link_secret = secretsmanager.Secret(
            self._data,
            "LinkKeys",
            description="Keys that sign review links",
            encryption_key=self.channel.encryption_key,
            generate_secret_string=secretsmanager.SecretStringGenerator(
                secret_string_template=json.dumps({"active": 1}),
                generate_string_key="k1",
                password_length=64,
                exclude_punctuation=True,
            ),
            removal_policy=self._removal_policy,
        )
        self.rotate_link_key = self._function(
            "RotateLinkKey",
            description="Makes a new key for review links and keeps the ones before it",
            environment={},
            timeout=Duration.seconds(30),
        )
        grant_key(self.rotate_link_key, self.channel.encryption_key)
        # As the L2 does it for a secret that is rotated: whoever deletes it has to change this policy first.
        self.link_secret.deny_account_root_delete()
        is_apart = self._data is not self
        if is_apart:
            acknowledge(self.link_secret, "SMG4", "its rotation is in the stack of the function that does it")
        # Brings the function's rights to the secret with it. By reference, since the L2 writes the function's
        # role into the policy of the secret's key, whose stack would then need this one; and below the
        # construct where the secret is apart, since the secret's stack would then need the function.
        secretsmanager.RotationSchedule(
            self if is_apart else self.link_secret,
            "Rotation",
            secret=secretsmanager.Secret.from_secret_complete_arn(
                self, "LinkKeysReference", self.link_secret.secret_arn
            ),
            rotation_lambda=self.rotate_link_key,
            automatically_after=rotate_after,
            # The first key is as new as its secret.
            rotate_immediately_on_update=False,
        )
        # The L2 lets Secrets Manager in for secrets of any account.
        for child in self.rotate_link_key.node.children:
            if isinstance(child, lambda_.CfnPermission):
                child.source_account = Stack.of(self).account

    def _build_public_functions(self) -> None:
        self.form = self._function(
            "Form",
            description="Shows the review form behind a link",
            environment={
                "LINK_SECRET_ARN": self.link_secret.secret_arn,
                "LINK_LIFETIME_SECONDS": str(int(self.link_lifetime.to_seconds())),
            },
            timeout=Duration.seconds(10),
            # A person waits for it: a whole vCPU halves the cold start.
            memory_size=1769,
            reserved_concurrency=self._public_concurrency,
        )
        self._grant_link_keys(self.form)
        self.submit = self._function(
            "Submit",
            description="Takes a submitted review, and requests for a new link",
            environment={
                **self._link_environment(),
                "REVIEW_REQUESTS_TABLE": self.review_requests_table.table_name,
                "REVIEWS_TABLE": self.reviews_table.table_name,
                "ADMIN_TOPIC_ARN": self.admin_topic.topic_arn,
                "BUS_NAME": self.channel.bus.event_bus_name,
                "LINK_LIFETIME_SECONDS": str(int(self.link_lifetime.to_seconds())),
                "EDIT_WINDOW_SECONDS": str(int(self.edit_window.to_seconds())),
                "RETENTION_DAYS": str(int(self.review_retention.to_days()) if self.review_retention else 0),
            },
            timeout=Duration.seconds(10),
            memory_size=1024,
            reserved_concurrency=self._public_concurrency,
        )
        self._grant_link_keys(self.submit)
        grant_actions(
            self.submit, ["dynamodb:GetItem", "dynamodb:UpdateItem"], [self.review_requests_table.table_arn]
        )
        grant_actions(
            self.submit,
            ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
            [self.reviews_table.table_arn],
        )
        self.channel.grant_publish(self.submit, self.admin_topic)
        self.channel.bus.grant_put_events_to(self.submit)
        grant_key(self.submit, self.channel.encryption_key)
        count_messages(
            self, "Unannounced", self.submit.log_group, message=UNANNOUNCED, metric=_UNANNOUNCED_METRIC
        )

    def _build_archive(self, bucket: s3.IBucket | None) -> ReviewArchive:
        return ReviewArchive(
            self,
            "Archive",
            reviews_table=self.reviews_table,
            bucket=bucket,
            data_scope=None if self._data is self else self._data,
            encryption_key=self.channel.encryption_key,
            function_options=self.function_options,
            removal_policy=self._removal_policy,
        )

    def _build_api(self, requests_per_second: int, domain: apigateway.IDomainName | None) -> None:
        self.api = apigateway.HttpApi(
            self, "Api", description="Review form and submission", create_default_stage=False
        )
        show = integrations.HttpLambdaIntegration("FormIntegration", self.form)
        take = integrations.HttpLambdaIntegration("SubmitIntegration", self.submit)
        get, head, post = apigateway.HttpMethod.GET, apigateway.HttpMethod.HEAD, apigateway.HttpMethod.POST
        for path, methods, integration in (
            ("/review", [get, head], show),
            ("/r/{token}", [get, head], show),
            ("/submit-review", [post], take),
            ("/new-link", [post], take),
        ):
            for route in self.api.add_routes(path=path, methods=methods, integration=integration):
                acknowledge(
                    route, "APIG4", "the signed link is the authorisation; its holder needs no account"
                )
        self.api_stage, self.access_log = public_stage(
            self,
            api=self.api,
            requests_per_second=requests_per_second,
            options=self.function_options,
            domain=domain,
        )

    def _build_console(self, time_zone: str) -> None:
        self.figures = ReviewFigures(
            self,
            "Figures",
            reviews_table=self.reviews_table,
            requests_table=self.review_requests_table,
            encryption_key=self.channel.encryption_key,
            time_zone=time_zone,
            function_options=self.function_options,
            removal_policy=self._removal_policy,
            data_scope=None if self._data is self else self._data,
        )
        self.console = ReviewConsole(
            self,
            "Console",
            api=self.api,
            reviews_table=self.reviews_table,
            figures_table=self.figures.table,
            encryption_key=self.channel.encryption_key,
            time_zone=time_zone,
            public_concurrency=self._public_concurrency,
            function_options=self.function_options,
        )

    def _build_broadcast(
        self, *, max_concurrency: int | None, stop_rules: StopRules | None, expires_after: Duration | None
    ) -> None:
        self.broadcast_bucket = bucket = run_bucket(
            self._data,
            "BroadcastBucket",
            encryption_key=self.channel.encryption_key,
            removal_policy=self._removal_policy,
        )
        self.audience = self._function(
            "Audience",
            description="Takes the snapshot of who is asked in a broadcast",
            environment={
                "CUSTOMERS_TABLE": self.customers_table.table_name,
                "REVIEW_REQUESTS_TABLE": self.review_requests_table.table_name,
                "DEFAULT_COUNTRY": self.channel.policy.default_country,
                "SUBSCRIBER_KEY_SECRET_ARN": self.channel.subscriber_key_secret.secret_arn,
                "OCCASION_POLICY": self.occasion_policy.to_settings(),
            },
            timeout=Duration.minutes(15),
            memory_size=1769,
        )
        self._grant_customers(self.audience, "dynamodb:Scan")
        grant_actions(self.audience, ["dynamodb:Scan"], [self.review_requests_table.table_arn])
        grant_actions(
            self.audience,
            ["secretsmanager:GetSecretValue"],
            [self.channel.subscriber_key_secret.secret_arn],
        )

        self.send_part = self._function(
            "SendPart",
            description="Sends one part of a broadcast",
            environment=self._request_environment(),
            timeout=_SEND_PART_TIMEOUT,
            memory_size=1769,
        )
        self._grant_request(self.send_part)
        count_messages(
            self, "NotAsked", self.send_part.log_group, message=NOT_ASKED, metric=_NOT_ASKED_METRIC
        )
        reminder_delay = self.occasion_policy.reminder_delay
        self.broadcast_engine = Broadcast(
            self,
            "Broadcast",
            channel=self.channel,
            snapshot=self.audience,
            send_part=self.send_part,
            bucket=bucket,
            max_concurrency=max_concurrency,
            stop_rules=stop_rules,
            expires_after=expires_after,
            follow_up_delay=None
            if reminder_delay is None
            else Duration.seconds(reminder_delay.total_seconds()),
            service="review-collector",
            function_options=self.function_options,
            removal_policy=self.function_options.removal_policy,
        )
        self.broadcast = self.broadcast_engine.state_machine
        self.plan = self.broadcast_engine.plan
        self.summary = self.broadcast_engine.summary

    def _build_review_requested(self, *, adds_customers: bool) -> None:
        self.review_requested = self._function(
            "ReviewRequested",
            description="Asks one customer for a review, when the bus says so",
            environment={
                **self._request_environment(),
                **self._confirmation_environment(),
                "ADD_CUSTOMERS_FROM_EVENTS": str(adds_customers).lower(),
            },
            timeout=Duration.seconds(60),
            memory_size=1024,
        )
        self._grant_request(self.review_requested)
        if adds_customers:
            self._grant_add_customers(self.review_requested)
        # An occasion that is recorded is a new row.
        grant_actions(self.review_requested, ["dynamodb:PutItem"], [self.review_requests_table.table_arn])
        self.later = Later(
            self,
            "Later",
            dead_letter_queue=self.dead_letter_queue,
            log_retention=self.function_options.log_retention,
            removal_policy=self.function_options.removal_policy,
        )
        self.later.serve(self.review_requested)
        self.review_requested.configure_async_invoke(
            max_event_age=Duration.hours(6),
            retry_attempts=2,
            on_failure=destinations.SqsDestination(self.dead_letter_queue),
        )
        # A review that is submitted is one more reason for a text, where its customer is to be thanked.
        confirmed = [] if self.texts.confirmations is None else ["ReviewSubmitted"]
        rule = events.Rule(
            self,
            "Requested",
            description="An occasion, one review request, or a new link in place of an expired one",
            event_bus=self.channel.bus,
            event_pattern=events.EventPattern(
                source=["sms-engagement"],
                detail_type=["ReviewRequested", "OccasionRecorded", "ReviewLinkRequested", *confirmed],
            ),
        )
        rule.add_target(
            targets.LambdaFunction(self.review_requested, dead_letter_queue=self.dead_letter_queue)
        )

    def _build_digest(self, time_zone: str) -> None:
        self.digest = self._function(
            "Digest",
            description="Tells the admins once a day what came in",
            environment={
                "REVIEWS_TABLE": self.reviews_table.table_name,
                "ADMIN_TOPIC_ARN": self.admin_topic.topic_arn,
                "DIGEST_TIME_ZONE": time_zone,
                "DIGEST_HOUR": str(_DIGEST_HOUR),
            },
            timeout=Duration.minutes(2),
        )
        index = f"{self.reviews_table.table_arn}/index/{STATUS_INDEX}"
        grant_actions(self.digest, ["dynamodb:Query"], [index])
        grant_key(self.digest, self.channel.encryption_key)
        self.channel.grant_publish(self.digest, self.admin_topic)
        self.digest_schedule = call_daily(
            self,
            "DigestSchedule",
            BroadcastSchedule(hour=_DIGEST_HOUR, time_zone=time_zone),
            function=self.digest,
            dead_letter_queue=self.dead_letter_queue,
        )

    def _request_environment(self) -> dict[str, str]:
        return {
            "CUSTOMERS_TABLE": self.customers_table.table_name,
            "REVIEW_REQUESTS_TABLE": self.review_requests_table.table_name,
            **self._link_environment(),
            "LINK_BASE_URL": self.link_base_url,
            "REVIEW_TEXTS": as_setting(self.texts.requests),
            "REVIEW_REMINDERS": as_setting(self.texts.reminders or {}),
            "OCCASION_POLICY": self.occasion_policy.to_settings(),
        }

    def _confirmation_environment(self) -> dict[str, str]:
        if self.texts.confirmations is None:
            return {}
        return {"CONFIRMATION_TEXTS": as_setting(self.texts.confirmations)}

    def _link_environment(self) -> dict[str, str]:
        return {
            "LINK_SECRET_ARN": self.link_secret.secret_arn,
            "LINK_LIFETIME_SECONDS": str(int(self.link_lifetime.to_seconds())),
        }

    def _grant_link_keys(self, function: RuntimeFunction) -> None:
        grant_actions(function, ["secretsmanager:GetSecretValue"], [self.link_secret.secret_arn])
        grant_key(function, self.channel.encryption_key)

    def _grant_customers(self, function: RuntimeFunction, action: str) -> None:
        grant_actions(function, [action], [self.customers_table.table_arn])
        key = self.customers_table.encryption_key
        if key is not None and key is not self.channel.encryption_key:
            # A table that was given may have a key of its own: who reads the table needs it too (DynamoDB
            # developer guide, customer managed keys).
            key.grant_decrypt(function)

    def _grant_add_customers(self, function: RuntimeFunction) -> None:
        grant_actions(function, ["dynamodb:PutItem"], [self.customers_table.table_arn])
        # Our own tables' key comes with the right to send.
        if self.customers_table.encryption_key is not self.channel.encryption_key:
            grant_key(function, self.customers_table.encryption_key)

    def _grant_request(self, function: RuntimeFunction) -> None:
        self.channel.grant_send(function)
        self._grant_customers(function, "dynamodb:BatchGetItem")
        requests = self.review_requests_table.table_arn
        grant_actions(function, ["dynamodb:GetItem", "dynamodb:UpdateItem"], [requests])
        # What the customer was asked about before.
        grant_actions(function, ["dynamodb:Query"], [f"{requests}/index/{REQUESTS_INDEX}"])
        self._grant_link_keys(function)

    def _function(
        self,
        id: str,
        *,
        description: str,
        environment: Mapping[str, str],
        timeout: Duration,
        memory_size: int = 512,
        reserved_concurrency: int | None = None,
    ) -> RuntimeFunction:
        return RuntimeFunction(
            self,
            id,
            handler=f"review_collector.handlers.{_snake_case(id)}",
            service="review-collector",
            description=description,
            options=self.function_options,
            environment=environment,
            timeout=timeout,
            memory_size=memory_size,
            reserved_concurrency=reserved_concurrency,
        )


def _occasion_policy(
    cooldown: Duration | None,
    occasion_lifetime: Duration | None,
    reminder_delay: Duration | None,
    *,
    remind: bool,
) -> OccasionPolicy:
    cooldown = cooldown or Duration.days(90)
    occasion_lifetime = occasion_lifetime or Duration.days(30)
    _check_needed("reminder_delay", reminder_delay, "remind", needed=remind)
    reminder_delay = reminder_delay or Duration.days(3)
    check_duration("cooldown", cooldown, Duration.days(1), Duration.days(3650))
    check_duration("occasion_lifetime", occasion_lifetime, Duration.days(1), Duration.days(90))
    check_duration("reminder_delay", reminder_delay, Duration.days(1), Duration.days(14))
    return OccasionPolicy(
        cooldown=span(cooldown),
        lifetime=span(occasion_lifetime),
        reminder_delay=span(reminder_delay) if remind else None,
    )


def _check_counted(name: str, table: dynamodb.ITable | None) -> list[str]:
    if table is None or has_new_images(table):
        return []
    return [
        f"{name} has no stream of new images, so that what it holds is missing in the console's figures; "
        "give it a stream NEW_AND_OLD_IMAGES, or count from time to time with sms-engagement repair reviews"
    ]


def _check_found_by_person(table: dynamodb.ITable | None) -> list[str]:
    names = [] if table is None else index_names(table)
    # Of an imported table nobody knows its indexes; one that was checked has one at least.
    if not names or _PERSON_INDEX in names:
        return []
    return [
        f"review_requests_table has no index {_PERSON_INDEX!r}, so that timeline, export and erase of "
        "sms-engagement fail at it; add the index (subscriberId, a string; recordedAt, a number; keys only)"
    ]


def _check_needed(name: str, value: object, switch: str, *, needed: bool) -> None:
    if value is not None and not needed:
        raise ValueError(f"{name} needs {switch}=True; set it, or leave both out")


def _snake_case(id: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in id).lstrip("_")
