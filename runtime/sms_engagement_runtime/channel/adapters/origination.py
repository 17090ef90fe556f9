"""Connects an origination identity that was bought outside the stack, and puts back what it had before.

CloudFormation can set two-way topic, opt-out list and keywords only on numbers and pools that it creates
itself (``AWS:: SMSVOICE::PhoneNumber`` and ``Pool`` have no import by ARN), so a custom resource does it.

What an identity had before is kept as a row of the contacts table (``control`` / ``origination#<ARN>``),
written before the first change. A call that breaks off in the middle is repeated by CloudFormation or
undone by its Delete; both find the row.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from sms_engagement_runtime.channel.adapters.origination_api import IdentityApi
from sms_engagement_runtime.channel.adapters.origination_memory import OriginationMemory
from sms_engagement_runtime.channel.adapters.origination_model import (
    Before,
    Connection,
    Identity,
    KeywordAnswer,
    OriginationError,
    TwoWaySettings,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_pinpoint_sms_voice_v2 import PinpointSMSVoiceV2Client


class OriginationConnector:
    """Applies a :class:`Connection` and undoes it. Every step may be repeated.

    Parameters
    ----------
    sms
        End User Messaging client that retries: the describe calls are limited to one a second.
    dynamodb, table
        Where the former settings are kept: the contacts table.
    """

    def __init__(self, *, sms: "PinpointSMSVoiceV2Client", dynamodb: "DynamoDBClient", table: str) -> None:
        self._api = IdentityApi(sms)
        self._memory = OriginationMemory(dynamodb, table)

    def connect(self, identity: Identity, wanted: Connection) -> None:
        """Set topic, opt-out list and keywords; keywords that are not wanted any more go back.

        Raises
        ------
        OriginationError
            The identity is unknown, or a number that belongs to a pool.
        """
        if not identity.has_two_way:
            return
        current = self._api.settings(identity)
        if current is None:
            raise OriginationError(f"there is no {identity.kind} {identity.id} in this account and Region")
        keywords = self._api.keywords(identity)
        before = self._remember(identity, current, keywords, wanted.keywords)
        if current != wanted.settings:
            self._api.update(identity, wanted.settings)
        for keyword, answer in wanted.keywords.items():
            if keywords.get(keyword) != answer:
                self._api.put_keyword(identity, keyword, answer)
        self._forget_keywords(identity, before, before.keywords.keys() - wanted.keywords.keys())

    def restore(self, identity: Identity, applied: Connection) -> None:
        """Put back what was there before :meth:`connect`.

        What somebody else has changed since is theirs and stays. Nothing remembered, or an identity that
        was released, leaves nothing to do.
        """
        before = self._memory.load(identity)
        if before is None:
            return
        try:
            current = self._api.settings(identity)
        except OriginationError:
            # The number has joined a pool meanwhile: its settings are the pool's now.
            current = None
        if current is not None:
            if current.topic_arn == applied.settings.topic_arn and current != before.settings:
                self._api.update(identity, before.settings)
            self._restore_keywords(identity, before, applied)
        self._memory.delete(identity)

    def _remember(
        self,
        identity: Identity,
        current: TwoWaySettings,
        keywords: Mapping[str, KeywordAnswer],
        wanted: Iterable[str],
    ) -> Before:
        known = self._memory.load(identity) or Before(settings=current)
        before = Before(
            settings=known.settings,
            keywords={**{keyword: keywords.get(keyword) for keyword in wanted}, **known.keywords},
        )
        self._memory.save(identity, before)
        return before

    def _forget_keywords(self, identity: Identity, before: Before, unwanted: Iterable[str]) -> None:
        dropped = set(unwanted)
        if not dropped:
            return
        self._put_back(identity, {keyword: before.keywords[keyword] for keyword in dropped})
        kept = {keyword: answer for keyword, answer in before.keywords.items() if keyword not in dropped}
        self._memory.save(identity, Before(settings=before.settings, keywords=kept))

    def _restore_keywords(self, identity: Identity, before: Before, applied: Connection) -> None:
        current = self._api.keywords(identity)
        ours = {
            keyword: answer
            for keyword, answer in before.keywords.items()
            if keyword in applied.keywords and current.get(keyword) == applied.keywords[keyword] != answer
        }
        self._put_back(identity, ours)

    def _put_back(self, identity: Identity, keywords: Mapping[str, KeywordAnswer | None]) -> None:
        for keyword, answer in keywords.items():
            if answer is None:
                self._api.delete_keyword(identity, keyword)
            else:
                self._api.put_keyword(identity, keyword, answer)
