"""The calls of End User Messaging that read and change a phone number or a pool."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import error_code
from sms_engagement_runtime.channel.adapters.origination_model import (
    Identity,
    IdentityKind,
    KeywordAnswer,
    OriginationError,
    TwoWaySettings,
)

if TYPE_CHECKING:
    from mypy_boto3_pinpoint_sms_voice_v2 import PinpointSMSVoiceV2Client
    from mypy_boto3_pinpoint_sms_voice_v2.literals import KeywordActionType


class IdentityApi:
    """Reads and changes one identity at a time; phone numbers and pools alike."""

    def __init__(self, client: "PinpointSMSVoiceV2Client") -> None:
        self._client = client

    def settings(self, identity: Identity) -> TwoWaySettings | None:
        """Present settings; ``None`` where the account has no such identity.

        Raises
        ------
        OriginationError
            The number belongs to a pool: then only the pool can be changed (PHONE_NUMBER_ASSOCIATED_TO_POOL).
        """
        found = self._describe(identity)
        if found is None:
            return None
        if identity.kind is IdentityKind.PHONE_NUMBER and found.get("PoolId"):
            raise OriginationError(
                f"phone number {identity.id} belongs to pool {found['PoolId']}; give the pool's ARN instead"
            )
        return TwoWaySettings(
            two_way_enabled=found["TwoWayEnabled"],
            topic_arn=found.get("TwoWayChannelArn"),
            role_arn=found.get("TwoWayChannelRole"),
            opt_out_list=found.get("OptOutListName"),
            self_managed_opt_outs=found["SelfManagedOptOutsEnabled"],
        )

    def update(self, identity: Identity, settings: TwoWaySettings) -> None:
        """Change all settings in one call."""
        changes: dict[str, Any] = {
            "TwoWayEnabled": settings.two_way_enabled,
            "SelfManagedOptOutsEnabled": settings.self_managed_opt_outs,
        }
        if settings.opt_out_list:
            changes["OptOutListName"] = settings.opt_out_list
        if settings.two_way_enabled and settings.topic_arn:
            changes["TwoWayChannelArn"] = settings.topic_arn
        if settings.two_way_enabled and settings.role_arn:
            changes["TwoWayChannelRole"] = settings.role_arn
        if identity.kind is IdentityKind.POOL:
            self._client.update_pool(PoolId=identity.id, **changes)
        else:
            self._client.update_phone_number(PhoneNumberId=identity.id, **changes)

    def keywords(self, identity: Identity) -> Mapping[str, KeywordAnswer]:
        """All keywords of the identity, in upper case."""
        pages = self._client.get_paginator("describe_keywords").paginate(OriginationIdentity=identity.id)
        return {
            keyword["Keyword"].upper(): KeywordAnswer(
                action=keyword["KeywordAction"], message=keyword["KeywordMessage"]
            )
            for page in pages
            for keyword in page["Keywords"]
        }

    def put_keyword(self, identity: Identity, keyword: str, answer: KeywordAnswer) -> None:
        """Create or replace a keyword."""
        self._client.put_keyword(
            OriginationIdentity=identity.id,
            Keyword=keyword,
            KeywordMessage=answer.message,
            KeywordAction=cast("KeywordActionType", answer.action),
        )

    def delete_keyword(self, identity: Identity, keyword: str) -> None:
        """Delete a keyword; one that is gone already is fine."""
        try:
            self._client.delete_keyword(OriginationIdentity=identity.id, Keyword=keyword)
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise

    def _describe(self, identity: Identity) -> Mapping[str, Any] | None:
        try:
            found: list[Any]
            if identity.kind is IdentityKind.POOL:
                found = [*self._client.describe_pools(PoolIds=[identity.id])["Pools"]]
            else:
                found = [*self._client.describe_phone_numbers(PhoneNumberIds=[identity.id])["PhoneNumbers"]]
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                return None
            raise
        return found[0] if found else None
