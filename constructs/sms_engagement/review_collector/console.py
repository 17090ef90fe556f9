"""The routes of moderators and of readers: the console behind IAM, and the public reviews."""

from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from sms_engagement._acknowledge import acknowledge
from sms_engagement.channel.base import grant_actions
from sms_engagement.functions import FunctionOptions, RuntimeFunction, grant_key

_GET: Final = apigateway.HttpMethod.GET
_HEAD: Final = apigateway.HttpMethod.HEAD
_POST: Final = apigateway.HttpMethod.POST

_READING: Final = ("/admin/reviews", "/admin/reviews/{id}", "/admin/figures")
_DECIDING: Final = ("/admin/reviews/{id}/approve", "/admin/reviews/{id}/reject")

_INDEXES: Final = ("status-timestamp-index", "userId-timestamp-index")


class ReviewConsole(Construct):
    """``/admin/…`` behind the IAM authoriser; ``GET /reviews``, ``POST /reviews/{id}/helpful`` for everybody.

    Nobody may call the console by default: whoever is to moderate needs `grant_moderate`, who is only to
    look `grant_read`, on the role that signs their requests.

    Parameters
    ----------
    api
        Gets the routes.
    encryption_key
        Of the tables; None for keys of AWS.
    time_zone
        IANA zone of the figures' days and of the times on the pages.
    public_concurrency
        Reserved for each of the two public functions; None reserves none.

    Attributes
    ----------
    read, moderate
        The functions of the console.
    public_reviews, helpful
        The functions for everybody.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        api: apigateway.HttpApi,
        reviews_table: dynamodb.ITable,
        figures_table: dynamodb.ITable,
        encryption_key: kms.IKey | None,
        time_zone: str,
        public_concurrency: int | None,
        function_options: FunctionOptions,
    ) -> None:
        super().__init__(scope, id)
        self._api = api
        self._options = function_options
        self._key = encryption_key
        reviews = {"REVIEWS_TABLE": reviews_table.table_name}
        figures = {"FIGURES_TABLE": figures_table.table_name}
        zone = {"REPORTING_TIME_ZONE": time_zone}
        self.read = self._function(
            "Read", "console", "Shows moderators reviews and figures", reviews | figures | zone
        )
        self.moderate = self._function("Moderate", "moderate", "Takes moderators' decisions", reviews | zone)
        self.public_reviews = self._function(
            "PublicReviews", "public_reviews", "Shows everybody what is approved", reviews, public_concurrency
        )
        self.helpful = self._function(
            "Helpful", "helpful", "Counts votes for reviews", reviews | figures, public_concurrency
        )
        by_status, by_customer = (f"{reviews_table.table_arn}/index/{index}" for index in _INDEXES)
        row = reviews_table.table_arn
        grant_actions(self.read, ["dynamodb:GetItem"], [row])
        grant_actions(self.read, ["dynamodb:Query"], [by_status, by_customer, figures_table.table_arn])
        grant_actions(self.moderate, ["dynamodb:GetItem", "dynamodb:UpdateItem"], [row])
        grant_actions(self.public_reviews, ["dynamodb:Query"], [by_status])
        grant_actions(self.helpful, ["dynamodb:UpdateItem"], [row])
        grant_actions(self.helpful, ["dynamodb:PutItem"], [figures_table.table_arn])
        self._add_routes()

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow looking at reviews and figures."""
        return self._grant_invoke(grantee, ["GET"])

    def grant_moderate(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow looking at reviews and figures, and approving and rejecting reviews."""
        return self._grant_invoke(grantee, ["GET", "POST"])

    def _grant_invoke(self, grantee: iam.IGrantable, methods: list[str]) -> iam.Grant:
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["execute-api:Invoke"],
            resource_arns=[self._api.arn_for_execute_api(method, "/admin/*") for method in methods],
        )

    def _add_routes(self) -> None:
        only_signed = authorizers.HttpIamAuthorizer()
        for name, function, paths, method in (
            ("ReadIntegration", self.read, _READING, _GET),
            ("ModerateIntegration", self.moderate, _DECIDING, _POST),
        ):
            integration = integrations.HttpLambdaIntegration(name, function)
            for path in paths:
                self._api.add_routes(
                    path=path, methods=[method], integration=integration, authorizer=only_signed
                )
        for name, function, path, methods in (
            ("PublicReviewsIntegration", self.public_reviews, "/reviews", [_GET, _HEAD]),
            ("HelpfulIntegration", self.helpful, "/reviews/{id}/helpful", [_POST]),
        ):
            integration = integrations.HttpLambdaIntegration(name, function)
            for route in self._api.add_routes(path=path, methods=methods, integration=integration):
                acknowledge(route, "APIG4", "approved reviews are for everybody, and so are votes for them")

    def _function(
        self,
        id: str,
        handler: str,
        description: str,
        environment: dict[str, str],
        reserved_concurrency: int | None = None,
    ) -> RuntimeFunction:
        function = RuntimeFunction(
            self,
            id,
            handler=f"review_collector.handlers.{handler}",
            service="review-collector",
            description=description,
            options=self._options,
            environment=environment,
            timeout=Duration.seconds(10),
            # A person waits for each of them.
            memory_size=1024,
            reserved_concurrency=reserved_concurrency,
        )
        grant_key(function, self._key)
        return function
