"""Webhooks of booking providers: verified, recorded, answered at once; the texts come later.

A caller learns 401 for a signature that is none, 2xx for whatever is authentic, and 503 where it shall try
again; why something authentic leads to nothing is in the log and counted. Calendly disables a webhook that is
answered otherwise for a day (*Webhook subscriptions*), so what cannot be used is never an error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from sms_engagement_runtime import settings
from sms_engagement_runtime.appointment_follow_up.adapters import calcom, calendly
from sms_engagement_runtime.appointment_follow_up.adapters.dynamodb_conversations import DynamoConversations
from sms_engagement_runtime.appointment_follow_up.adapters.signing_keys import SigningKeys
from sms_engagement_runtime.appointment_follow_up.adapters.workflow import StepFunctionsWorkflow
from sms_engagement_runtime.appointment_follow_up.domain.bookings import BookingEvent, Provider, Unusable
from sms_engagement_runtime.appointment_follow_up.domain.bookings_reading import (
    DEFAULT_PHONE_QUESTIONS,
    ReadingOptions,
)
from sms_engagement_runtime.appointment_follow_up.domain.intake import BookingIntake
from sms_engagement_runtime.appointment_follow_up.domain.signatures import (
    SignatureResult,
    verify_calcom,
    verify_calendly,
)
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.clock import build_clock
from sms_engagement_runtime.channel.adapters.phone_numbers import LibPhoneNumberParser
from sms_engagement_runtime.channel.adapters.secrets import SecretCache
from sms_engagement_runtime.channel.domain.errors import EngagementError
from sms_engagement_runtime.http_api import (
    STRICT_TRANSPORT_SECURITY,
    HttpRequest,
    Response,
    UndecodableBodyError,
    write_log,
)

WEBHOOK_TAKEN: Final = "Webhook taken"
WEBHOOK_UNUSABLE: Final = "Webhook cannot be used"
WEBHOOK_REFUSED: Final = "Webhook refused"
WEBHOOK_FAILED: Final = "Webhook could not be taken"

_MOST_BYTES: Final = 6 * 1024 * 1024
"""What Lambda hands over at the most (Lambda, quotas); the signature decides before the length does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """Environment of this function.

    Attributes
    ----------
    signing_keys
        Provider to ARN of the secret with its signing key; a provider that is not here is not served.
    phone_questions, language_questions
        ``{"questions": [...]}``: questions of the booking form that ask for a phone number or a language.
    retention_seconds
        Of rows, after the appointment.
    powertools_service_name
        Under which webhooks are counted, in metrics that are made of the log.
    """

    conversations_table: str
    state_machine_arn: str
    subscriber_key_secret_arn: str
    signing_keys: Mapping[str, str]
    default_country: str = "US"
    phone_questions: Mapping[str, Any] = field(default_factory=dict)
    language_questions: Mapping[str, Any] = field(default_factory=dict)
    retention_seconds: int = 90 * 24 * 3600
    powertools_service_name: str = "appointments"


type Verify = Callable[[HttpRequest, bytes, Sequence[bytes]], SignatureResult]
type Read = Callable[[bytes, ReadingOptions], Sequence[BookingEvent] | Unusable]


@dataclass(frozen=True, slots=True)
class _Hook:
    """How one provider signs and writes."""

    keys: SigningKeys
    verify: Verify
    read: Read


def _verify_calendly(request: HttpRequest, body: bytes, keys: Sequence[bytes]) -> SignatureResult:
    # On the machine's clock, as the provider signs by its own: a clock of tests that jumps is none of both.
    return verify_calendly(request.header("calendly-webhook-signature"), body, keys, time.time())


def _verify_calcom(request: HttpRequest, body: bytes, keys: Sequence[bytes]) -> SignatureResult:
    return verify_calcom(request.header("x-cal-signature-256"), body, keys)


_PROVIDERS: Final[Mapping[Provider, tuple[Verify, Read]]] = {
    Provider.CALENDLY: (_verify_calendly, calendly.read),
    Provider.CALCOM: (_verify_calcom, calcom.read),
}

_settings = settings.load(WebhookSettings)
_clock = build_clock()
_secrets = clients.secrets_client(clients.ANSWERING)
_hooks = {
    provider.value: _Hook(SigningKeys(_secrets, _settings.signing_keys[provider]), *_PROVIDERS[provider])
    for provider in Provider
    if provider in _settings.signing_keys
}
# Never rotated, so it is read once a process.
_subscriber_key = SecretCache(_secrets, _settings.subscriber_key_secret_arn, max_age_seconds=float("inf"))
_intake = BookingIntake(
    conversations=DynamoConversations(
        clients.dynamodb_client(config=clients.ANSWERING),
        table=_settings.conversations_table,
        retention=timedelta(seconds=_settings.retention_seconds),
    ),
    workflow=StepFunctionsWorkflow(
        clients.stepfunctions_client(clients.ANSWERING), state_machine_arn=_settings.state_machine_arn
    ),
    parser=LibPhoneNumberParser(_settings.default_country),
    subscriber_key=_subscriber_key.key,
    clock=_clock,
)


def handler(event: Mapping[str, Any], _context: object) -> Response:
    """Answer one webhook.

    Parameters
    ----------
    event
        HTTP API event of ``POST /webhooks/{provider}``.

    Returns
    -------
    dict
        200 ``{"status": "accepted"}``, 200 ``{"status": "ignored"}``, 401, 404 or 503 with ``{"message"}``.
    """
    request = HttpRequest(event)
    provider = request.path_parameter("provider") or request.route.rpartition("/")[2]
    hook = _hooks.get(provider)
    if hook is None:
        return _answer(404, message="Not found")
    try:
        return _take(request, provider, hook)
    except EngagementError as error:
        # The provider tries again; all of it can be repeated.
        write_log("ERROR", WEBHOOK_FAILED, provider=provider, reason=str(error), **_keys(request))
        return _answer(503, message="Try again later")


def _take(request: HttpRequest, provider: str, hook: _Hook) -> Response:
    try:
        body = request.body(_MOST_BYTES) or b""
    except UndecodableBodyError:
        body = b""
    result = _verified(request, body, hook)
    if result is SignatureResult.INVALID:
        write_log("WARNING", WEBHOOK_REFUSED, provider=provider, reason=result.value, **_keys(request))
        return _answer(401, message="Unauthorized")
    options = ReadingOptions(
        received_at=_clock.now(),
        phone_questions=_questions(_settings.phone_questions, DEFAULT_PHONE_QUESTIONS),
        language_questions=_questions(_settings.language_questions, ()),
    )
    events = hook.read(body, options)
    is_stale = result is SignatureResult.STALE
    if is_stale and (isinstance(events, Unusable) or not _intake.was_seen(events)):
        write_log("WARNING", WEBHOOK_REFUSED, provider=provider, reason=result.value, **_keys(request))
        return _answer(401, message="Unauthorized")
    if isinstance(events, Unusable):
        reason = events.reason.value
        write_log("INFO", WEBHOOK_UNUSABLE, provider=provider, reason=reason, **_keys(request))
        return _answer(200, status="ignored")
    # What was taken before is taken again: the attempt may have been cut off before the machine was started.
    for conversation in _intake.take(events):
        write_log(
            "INFO",
            WEBHOOK_TAKEN,
            provider=provider,
            appointment_id=conversation.appointment_id,
            status=conversation.status.value,
            reason=conversation.reason,
            **_keys(request),
        )
    return _answer(200, status="accepted")


def _verified(request: HttpRequest, body: bytes, hook: _Hook) -> SignatureResult:
    """Verify the signature; one that does not fit may be made with a key that is newer than ours."""
    result = hook.verify(request, body, hook.keys.keys())
    if result is not SignatureResult.INVALID:
        return result
    newer = hook.keys.reread()
    return result if newer is None else hook.verify(request, body, newer)


def _questions(given: Mapping[str, Any], default: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(given["questions"]) if given else default


def _keys(request: HttpRequest) -> dict[str, str]:
    # The service is the dimension of the metrics that are made of these lines.
    return {"service": _settings.powertools_service_name, "api_request_id": request.api_request_id}


def _answer(code: int, **content: str) -> Response:
    body = ", ".join(f'"{name}": "{text}"' for name, text in content.items())
    return {
        "statusCode": code,
        "headers": {
            "content-type": "application/json",
            "cache-control": "no-store",
            "strict-transport-security": STRICT_TRANSPORT_SECURITY,
            "x-content-type-options": "nosniff",
        },
        "body": f"{{{body}}}",
    }
