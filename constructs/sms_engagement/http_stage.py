"""The stage of an HTTP API that the public can call: throttled, and logged without what people sent."""

import json
from typing import Final

from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_logs as logs
from constructs import Construct

from sms_engagement.functions import FunctionOptions

# Never the path, the query or the referrer: they hold the links' tokens.
_ACCESS_LOG_FIELDS: Final = {
    "requestId": "$context.requestId",
    "requestTime": "$context.requestTime",
    "routeKey": "$context.routeKey",
    "status": "$context.status",
    "responseLength": "$context.responseLength",
    "responseLatency": "$context.responseLatency",
    "integrationError": "$context.integrationErrorMessage",
}


def public_stage(
    scope: Construct,
    *,
    api: apigateway.HttpApi,
    requests_per_second: int,
    options: FunctionOptions,
    domain: apigateway.IDomainName | None = None,
) -> tuple[apigateway.HttpStage, logs.LogGroup]:
    """Make the default stage of an API, and its access log.

    Parameters
    ----------
    requests_per_second
        Rate over which API Gateway answers 429; the burst is twice that.
    options
        For the retention of the log.
    domain
        Custom domain name that leads to this stage, and to no other.
    """
    access_log = logs.LogGroup(
        scope, "AccessLog", retention=options.log_retention, removal_policy=options.removal_policy
    )
    stage = apigateway.HttpStage(
        scope,
        "Stage",
        http_api=api,
        stage_name="$default",
        auto_deploy=True,
        # At its root: below a mapping key the paths that the functions see would begin with the key.
        domain_mapping=None if domain is None else apigateway.DomainMappingOptions(domain_name=domain),
        throttle=apigateway.ThrottleSettings(
            rate_limit=requests_per_second, burst_limit=2 * requests_per_second
        ),
    )
    resource = stage.node.default_child
    assert isinstance(resource, apigateway.CfnStage)
    resource.access_log_settings = apigateway.CfnStage.AccessLogSettingsProperty(
        destination_arn=access_log.log_group_arn, format=json.dumps(_ACCESS_LOG_FIELDS)
    )
    return stage, access_log


def own_address(api: apigateway.HttpApi, domain: apigateway.IDomainName | None) -> str:
    """Return the address at which people and providers reach an API: its domain's, or its own."""
    return api.api_endpoint if domain is None else f"https://{domain.name}"
