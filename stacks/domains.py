"""Custom domain names of the public APIs."""

from aws_cdk import CfnOutput
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from constructs import Construct

from stacks.settings import Domains


def api_domain(scope: Construct, domains: Domains | None, name: str | None) -> apigateway.DomainName | None:
    """Make a domain name and its record; None where there is no name.

    Without a hosted zone the record is made by its owner, to the output ``<stack>.DomainTarget``.
    """
    if domains is None or name is None:
        return None
    domain = apigateway.DomainName(
        scope,
        "Domain",
        certificate=acm.Certificate.from_certificate_arn(scope, "Certificate", domains.certificate_arn),
        domain_name=name,
    )
    if domains.hosted_zone_id is None or domains.hosted_zone_name is None:
        CfnOutput(scope, "DomainTarget", value=domain.regional_domain_name)
        return domain
    zone = route53.HostedZone.from_hosted_zone_attributes(
        scope, "Zone", hosted_zone_id=domains.hosted_zone_id, zone_name=domains.hosted_zone_name
    )
    route53.ARecord(
        scope,
        "Record",
        zone=zone,
        # With a dot at its end it is a whole name, also that of the zone itself.
        record_name=f"{name}.",
        target=route53.RecordTarget.from_alias(
            targets.ApiGatewayv2DomainProperties(domain.regional_domain_name, domain.regional_hosted_zone_id)
        ),
    )
    return domain
