"""``SendTextMessage``: everything that the service checks before it accepts a text."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import uuid4

from sms_engagement_runtime.channel.domain.encoding import Measured, measure
from sms_local.carrier.account import Account
from sms_local.carrier.destinations import Destination, parse_destination
from sms_local.carrier.errors import conflict, throttled, validation_error
from sms_local.carrier.message_centre import MessageCentre
from sms_local.carrier.messages import Message
from sms_local.carrier.rates import RateLimits
from sms_local.carrier.resources import ConfigurationSet, PhoneNumber, Pool, ProtectConfiguration, SenderId
from sms_local.carrier.script import Script

_DRY_RUN_PARTS_PER_SECOND: Final = 5.0
_SENDER_ID_PARTS_PER_SECOND: Final = 10.0
RECIPIENT_TEXTS_PER_SECOND: Final = 1.0
"""Of one recipient, whichever identity sends; not adjustable (AWS End User Messaging SMS user guide, quotas).

That the request beyond it is refused as throttled is assumed: the guide names the quota and no answer.
"""

_DEFAULT_MESSAGE_TYPE: Final = "TRANSACTIONAL"

type Originator = PhoneNumber | SenderId


class TextSender:
    """Sends texts: checks, rate, then hands them to the message centre.

    Parameters
    ----------
    requests_per_second
        The account's rate of ``SendTextMessage`` requests. None, the default, applies no such limit: its
        documented default is 1 a second and the first thing that every production account has raised.
    recipient_texts_per_second
        None for tests that write to one phone as fast as they can.
    """

    def __init__(
        self,
        account: Account,
        script: Script,
        centre: MessageCentre,
        *,
        requests_per_second: float | None = None,
        recipient_texts_per_second: float | None = RECIPIENT_TEXTS_PER_SECOND,
    ) -> None:
        self._account = account
        self._script = script
        self._centre = centre
        self._requests_per_second = requests_per_second
        self._recipient_texts_per_second = recipient_texts_per_second
        self._limits = RateLimits()

    def reset_rates(self) -> None:
        """Start again with unused rates."""
        self._limits.clear()

    def send_text_message(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Accept a text, or refuse it as the service does; see `ServiceError` for what is raised.

        A body above 1,530 GSM or 630 other characters is accepted like any other and fails afterwards with
        ``TEXT_INVALID_MESSAGE``; a missing body is refused.
        """
        dry_run = request.get("DryRun", False)
        body = _body_in(request)
        destination = parse_destination(request["DestinationPhoneNumber"])
        if not dry_run and (error := self._script.take_error(destination.e164)) is not None:
            raise error
        configuration_set = self._configuration_set(request)
        message_type = request.get("MessageType") or _default_message_type(configuration_set)
        originator, pool = self._originator(request, configuration_set, destination, message_type)
        protect = self._protect_configuration(request, configuration_set)
        _check_country(protect, destination)
        self._check_opted_out(originator, pool, destination)
        message = Message(
            id=str(uuid4()),
            origination=originator.e164 if isinstance(originator, PhoneNumber) else originator.name,
            destination=destination,
            body=body,
            measured=measure(body),
            message_type=message_type,
            context=request.get("Context", {}),
            configuration_set_name=configuration_set.name if configuration_set else None,
            accepted_at=self._account.now(),
            protect_configuration_id=protect.id if protect else None,
        )
        _check_price(request, destination, message.measured)
        self._check_rate(originator, message.measured.parts, dry_run=dry_run)
        if not dry_run:
            self._check_recipient(destination)
            self._centre.submit(message)
        return {"MessageId": message.id}

    def _configuration_set(self, request: Mapping[str, Any]) -> ConfigurationSet | None:
        if "ConfigurationSetName" not in request:
            return None
        return self._account.configuration_set(request["ConfigurationSetName"])

    def _originator(
        self,
        request: Mapping[str, Any],
        configuration_set: ConfigurationSet | None,
        destination: Destination,
        message_type: str,
    ) -> tuple[Originator, Pool | None]:
        reference = request.get("OriginationIdentity")
        if reference is None and configuration_set is not None:
            reference = configuration_set.default_sender_id
        if reference is None:
            return self._any_originator(destination, message_type), None
        identity = self._account.origination_identity(reference, country=None)
        if isinstance(identity, Pool):
            members = self._account.members_of(identity)
            return self._fitting(members, destination, message_type), identity
        if isinstance(identity, SenderId):
            # One name may be registered for several countries, and the destination picks.
            named = [s for s in self._account.sender_ids.values() if s.name == identity.name]
            return self._fitting(named, destination, message_type), None
        if message_type not in identity.accepted_message_types:
            raise conflict(
                "MESSAGE_TYPE_MISMATCH",
                "The origination identity does not send this message type.",
                resource_type="phone-number",
                resource_id=identity.id,
            )
        return identity, None

    def _any_originator(self, destination: Destination, message_type: str) -> Originator:
        owned: list[Originator] = [*self._account.phone_numbers.values(), *self._account.sender_ids.values()]
        return self._fitting(owned, destination, message_type)

    def _fitting(
        self, candidates: Sequence[Originator], destination: Destination, message_type: str
    ) -> Originator:
        for candidate in candidates:
            if isinstance(candidate, SenderId):
                fits = candidate.iso_country_code == destination.iso_country_code
                types: frozenset[str] = frozenset(candidate.message_types)
            else:
                fits = "SMS" in candidate.number_capabilities
                types = candidate.accepted_message_types
            if fits and message_type in types:
                return candidate
        raise conflict("NO_ORIGINATION_IDENTITIES_FOUND", "No origination identity reaches this destination.")

    def _protect_configuration(
        self, request: Mapping[str, Any], configuration_set: ConfigurationSet | None
    ) -> ProtectConfiguration | None:
        if "ProtectConfigurationId" in request:
            return self._account.protect_configuration(request["ProtectConfigurationId"])
        if configuration_set is not None and configuration_set.protect_configuration_id is not None:
            return self._account.protect_configuration(configuration_set.protect_configuration_id)
        defaults = (p for p in self._account.protect_configurations.values() if p.account_default)
        return next(defaults, None)

    def _check_opted_out(self, originator: Originator, pool: Pool | None, destination: Destination) -> None:
        if pool is not None:
            settings = pool.settings
        elif isinstance(originator, PhoneNumber):
            settings = self._account.settings_of(originator)
        else:
            return
        if destination.e164 in self._account.opt_out_list(settings.opt_out_list_name).entries:
            raise conflict("DESTINATION_PHONE_NUMBER_OPTED_OUT", "The destination phone number is opted out.")

    def _check_rate(self, originator: Originator, parts: int, *, dry_run: bool) -> None:
        now = self._account.now()
        if self._requests_per_second is not None and not self._limits.take(
            "requests", 1, per_second=self._requests_per_second, now=now
        ):
            raise throttled()
        rate = _SENDER_ID_PARTS_PER_SECOND
        if isinstance(originator, PhoneNumber):
            rate = originator.parts_per_second
        name = originator.arn
        if dry_run:
            rate, name = min(rate, _DRY_RUN_PARTS_PER_SECOND), f"{name} dry run"
        if not self._limits.take(name, parts, per_second=rate, now=now):
            raise throttled()

    def _check_recipient(self, destination: Destination) -> None:
        # Last of all: what is refused for another reason is no text to this recipient.
        rate = self._recipient_texts_per_second
        if rate is None:
            return
        if not self._limits.take(
            f"recipient {destination.e164}", 1, per_second=rate, now=self._account.now()
        ):
            raise throttled()


def _body_in(request: Mapping[str, Any]) -> str:
    # Optional in the model, for messages of other kinds; the service refuses a text without.
    if "MessageBody" not in request:
        raise validation_error(
            "MISSING_PARAMETER", "MessageBody is required", fields=[("MessageBody", "is required")]
        )
    return str(request["MessageBody"])


def _default_message_type(configuration_set: ConfigurationSet | None) -> str:
    default = configuration_set.default_message_type if configuration_set else None
    return default or _DEFAULT_MESSAGE_TYPE


def _check_country(protect: ProtectConfiguration | None, destination: Destination) -> None:
    if protect is not None and protect.status("SMS", destination.iso_country_code) == "BLOCK":
        raise conflict(
            "DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION",
            "The protect configuration blocks the destination country.",
            resource_type="protect-configuration",
            resource_id=protect.id,
        )


def _check_price(request: Mapping[str, Any], destination: Destination, measured: Measured) -> None:
    """Refuse a text dearer than ``MaxPrice``, by the service's price without the carrier's fee."""
    if "MaxPrice" in request and destination.tariff.price * measured.parts > Decimal(request["MaxPrice"]):
        raise validation_error(
            "PRICE_OVER_THRESHOLD",
            "The message costs more than MaxPrice.",
            fields=[("MaxPrice", "is below the price of the message")],
        )
