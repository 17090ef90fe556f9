"""The control API: what phones got, what they send, and what the carrier does with texts.

It is the fixed interface that other programs drive the embedded cloud by. Bodies are JSON objects; unknown
fields and wrong types get 400 and ``{"error": "<sentence>"}``.
"""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sms_local.carrier.account import Account
from sms_local.carrier.clock import (
    MAX_JUMP,
    BackwardsError,
    RestlessError,
    TimeMachine,
    UnreachableError,
)
from sms_local.carrier.cloud_faults import CloudFaults
from sms_local.carrier.errors import ServiceError, scripted
from sms_local.carrier.events import EVENT_TYPES
from sms_local.carrier.message_centre import InboundMessage, MessageCentre
from sms_local.carrier.operations.sending import TextSender
from sms_local.carrier.publisher import PublishError
from sms_local.carrier.script import EVERY_PHONE, Outcome, Script
from sms_local.carrier.service_model import errors_of, reasons_of

_MAX_DELAY_SECONDS: Final = 366 * 24 * 3600
_MAX_TOGETHER_SECONDS: Final = 3600
_MAX_DUPLICATES: Final = 100
_MAX_SEED: Final = 2**53

#: Faults of what the carrier tells and answers, of what happens in the cloud, and those that are of both.
_ON_THE_WAY: Final = frozenset({"seed", "duplicate", "reorder", "delay", "accept_crash"})
_IN_THE_CLOUD: Final = frozenset({"service_throttle", "function_crash"})
_IN_BOTH: Final = frozenset({"seed", "duplicate", "reorder"})


class ControlApi:
    """Serves ``/control/...``."""

    def __init__(
        self,
        account: Account,
        script: Script,
        centre: MessageCentre,
        sender: TextSender,
        time_machine: TimeMachine | None,
        cloud_faults: CloudFaults | None = None,
    ) -> None:
        self._account = account
        self._script = script
        self._centre = centre
        self._sender = sender
        self._time_machine = time_machine
        self._cloud_faults = cloud_faults

    def routes(self) -> list[Route]:
        """Return the routes of the control API."""
        return [
            Route("/control/health", self.health, methods=["GET"]),
            Route("/control/clock", self.clock, methods=["GET"]),
            Route("/control/clock", self.move_clock, methods=["POST"]),
            Route("/control/messages", self.messages, methods=["GET"]),
            Route("/control/messages", self.clear, methods=["DELETE"]),
            Route("/control/opt-outs", self.clear_opt_outs, methods=["DELETE"]),
            Route("/control/inbound", self.received, methods=["GET"]),
            Route("/control/inbound", self.inbound, methods=["POST"]),
            Route("/control/outcome", self.outcome, methods=["POST"]),
            Route("/control/fault", self.faults, methods=["GET"]),
            Route("/control/fault", self.fault, methods=["POST"]),
        ]

    async def health(self, request: Request) -> JSONResponse:  # noqa: ARG002 - Starlette passes the request
        """Answer that the simulator is ready."""
        return JSONResponse({"status": "ok"})

    async def clock(self, request: Request) -> JSONResponse:  # noqa: ARG002 - Starlette passes the request
        """Return ``{"now": "<ISO 8601, UTC>"}``."""
        return JSONResponse({"now": self._account.now().isoformat()})

    async def move_clock(self, request: Request) -> JSONResponse:
        """Let time pass in the whole embedded cloud: ``{"advance_seconds"}`` or ``{"at": "<ISO 8601>"}``.

        With ``"together_seconds"`` besides, what is due within so long happens at once, at the end of it.
        Answers when all that fell due on the way is done: ``{"now", "due": [{"at", "what", "name"}, …]}``. Of
        two jumps at once the second begins where the first one ended.
        """
        fields = await _fields(request, {"advance_seconds", "at", "together_seconds"})
        together = timedelta(seconds=_number(fields, "together_seconds", high=_MAX_TOGETHER_SECONDS))
        fields.pop("together_seconds", None)
        if [value is None for value in fields.values()] != [False]:
            raise _bad("The body must have one of `advance_seconds` and `at`.")
        if self._time_machine is None:
            raise HTTPException(HTTPStatus.CONFLICT, "This carrier runs on the machine's own clock.")
        try:
            if "at" in fields:
                due = await self._time_machine.go_to(self._instant(fields), together=together)
            else:
                duration = timedelta(
                    seconds=_number(fields, "advance_seconds", high=int(MAX_JUMP.total_seconds()))
                )
                due = await self._time_machine.advance(duration, together=together)
        except BackwardsError as exc:
            raise _bad(str(exc)) from exc
        except UnreachableError as exc:
            raise HTTPException(HTTPStatus.BAD_GATEWAY, str(exc)) from exc
        except RestlessError as exc:
            raise HTTPException(HTTPStatus.GATEWAY_TIMEOUT, str(exc)) from exc
        now = self._account.now().isoformat()
        return JSONResponse({"now": now, "due": [one.describe() for one in due]})

    async def _set_cloud_faults(self, fields: Mapping[str, Any]) -> None:
        assert self._cloud_faults is not None
        try:
            await self._cloud_faults.set(fields)
        except UnreachableError as exc:
            raise HTTPException(HTTPStatus.BAD_GATEWAY, str(exc)) from exc

    def _instant(self, fields: Mapping[str, Any]) -> datetime:
        text = _text(fields, "at") or ""
        try:
            at = datetime.fromisoformat(text)
        except ValueError as exc:
            raise _bad("`at` must be an instant in ISO 8601, as 2026-11-21T17:00:00Z.") from exc
        if at.tzinfo is None:
            raise _bad("`at` must have an offset from UTC, as 2026-11-21T17:00:00Z.")
        if at - self._account.now() > MAX_JUMP:
            raise _bad(f"`at` must be within {MAX_JUMP.days} days from now.")
        return at

    async def messages(self, request: Request) -> JSONResponse:
        """Return the texts that the service accepted, to ``?phone=`` or to all, in order.

        ``?after=N`` leaves out the first N, for whoever asks again and again.
        """
        messages = self._centre.messages(_phone_in(request, "after"))
        after = request.query_params.get("after", "0")
        if not after.isdecimal():
            raise _bad("`after` must be a whole number from 0 on.")
        return JSONResponse([message.describe() for message in messages[int(after) :]])

    async def received(self, request: Request) -> JSONResponse:
        """Return the texts that the carrier got, from ``?phone=`` or from all: each once, in order."""
        return JSONResponse([text.describe() for text in self._centre.received(_phone_in(request))])

    async def clear(self, request: Request) -> JSONResponse:  # noqa: ARG002 - Starlette passes the request
        """Forget messages with their events still to come, outcomes, faults and used rates."""
        self._script.clear()
        if self._cloud_faults is not None and self._cloud_faults.are_set:
            await self._set_cloud_faults({})
        self._sender.reset_rates()
        return JSONResponse({"cleared": self._centre.clear()})

    async def clear_opt_outs(self, request: Request) -> JSONResponse:  # noqa: ARG002 - as above
        """Empty every opt-out list, and forget who left one within the last 30 days."""
        return JSONResponse({"cleared": self._account.clear_opt_outs()})

    async def inbound(self, request: Request) -> JSONResponse:
        """Send a text from a phone to the account.

        Number and body may be any text or missing, to see what happens to such a message. Answers
        ``{"inbound_message_id", "topic_arn"}``, the latter null where the number has no two-way topic.
        """
        fields = await _fields(request, {"from", "body", "to", "inbound_message_id", "previous_message_id"})
        message = InboundMessage(
            origination=_text(fields, "from"),
            body=_text(fields, "body"),
            destination=_text(fields, "to"),
            id=_text(fields, "inbound_message_id"),
            previous_message_id=_text(fields, "previous_message_id"),
        )
        try:
            inbound_message_id, topic_arn = await self._centre.receive(message)
        except ServiceError as exc:
            raise _bad("`to` must be a phone number of the account.") from exc
        except PublishError as exc:
            raise HTTPException(HTTPStatus.BAD_GATEWAY, f"The two-way topic took no message: {exc}.") from exc
        return JSONResponse({"inbound_message_id": inbound_message_id, "topic_arn": topic_arn})

    async def outcome(self, request: Request) -> JSONResponse:
        """Set what becomes of texts to a phone, until it is set anew."""
        fields = await _fields(request, {"phone", "event_type", "delay_seconds", "duplicates", "error"})
        phone = _text(fields, "phone") or EVERY_PHONE
        event_type = _text(fields, "event_type") or Outcome().event_type
        if event_type not in EVENT_TYPES:
            raise _bad(f"`event_type` must be one of {', '.join(sorted(EVENT_TYPES))}.")
        outcome = Outcome(
            event_type=event_type,
            delay=timedelta(seconds=_number(fields, "delay_seconds", high=_MAX_DELAY_SECONDS)),
            duplicates=_count(fields, "duplicates", high=_MAX_DUPLICATES),
        )
        error = _text(fields, "error")
        self._script.set_outcome(phone, outcome, _scripted_error(error) if error else None)
        return JSONResponse({"phone": phone, "event_type": event_type})

    async def faults(self, request: Request) -> JSONResponse:  # noqa: ARG002 - Starlette passes the request
        """Return all faults as they are set, and under `done` how often each has happened."""
        found = self._script.describe_faults()
        if self._cloud_faults is not None:
            try:
                cloud = await self._cloud_faults.read()
            except UnreachableError as exc:
                raise HTTPException(HTTPStatus.BAD_GATEWAY, str(exc)) from exc
            done = {**found["done"], **{f"cloud_{kind}": count for kind, count in cloud["done"].items()}}
            found |= {**{name: cloud[name] for name in _IN_THE_CLOUD}, "done": done}
        return JSONResponse(found)

    async def fault(self, request: Request) -> JSONResponse:
        """Set faults of the service, of the way, and of the cloud; one that is not named stays as it is."""
        fields = await _fields(request, {"after_accept_crash", "throttle", *_ON_THE_WAY, *_IN_THE_CLOUD})
        crashes = _count(fields, "after_accept_crash", high=1_000_000)
        share = _number(fields, "throttle", high=1)
        way: dict[str, Any] = {
            name: _number(fields, name, high=_MAX_DELAY_SECONDS if name == "delay" else 1)
            for name in _ON_THE_WAY & set(fields) - {"seed"}
        }
        if "seed" in fields:
            way["seed"] = _count(fields, "seed", high=_MAX_SEED)
        cloud = {name: _number(fields, name, high=1) for name in _IN_THE_CLOUD & set(fields)}
        if cloud and self._cloud_faults is None:
            raise HTTPException(HTTPStatus.CONFLICT, "This carrier has no cloud whose faults it could set.")
        if self._cloud_faults is not None:
            shared = {name: way[name] for name in _IN_BOTH & set(way)}
            if cloud or shared:
                await self._set_cloud_faults({**shared, **cloud})
        if way:
            self._script.set_way_faults(replace(self._script.way_faults, **way))
        if "after_accept_crash" in fields:
            self._script.set_crashes(crashes)
        if "throttle" in fields:
            # By its decimal digits: 0.1 is a tenth of the calls, not the nearest binary fraction.
            self._script.set_throttled_share(Fraction(str(share)))
        return JSONResponse(fields)


def _scripted_error(text: str) -> ServiceError:
    code, _, reason = text.partition(":")
    known = errors_of("SendTextMessage")
    if code not in known:
        raise _bad(f"`error` must begin with one of {', '.join(sorted(known))}.")
    reasons = reasons_of(code)
    if reasons and reason not in reasons:
        raise _bad(f"`error` must be {code}: and one of {', '.join(reasons)}.")
    return scripted(code, reason or None)


def _phone_in(request: Request, *others: str) -> str | None:
    _only(request.query_params, {"phone", *others}, "query parameter")
    phone = request.query_params.get("phone")
    # An unescaped plus sign of a query string reads as a space.
    return None if phone is None else phone.replace(" ", "+", 1)


async def _fields(request: Request, known: Collection[str]) -> dict[str, Any]:
    try:
        fields = json.loads(await request.body())
        json.dumps(fields, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as exc:  # the latter for brackets in brackets in brackets
        raise _bad("The body must be JSON in UTF-8.") from exc
    if not isinstance(fields, dict):
        raise _bad("The body must be a JSON object.")
    _only(fields, known, "field")
    return fields


def _only(given: Mapping[str, Any], known: Collection[str], kind: str) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise _bad(f"Unknown {kind} {', '.join(unknown)}; known: {', '.join(sorted(known))}.")


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise _bad(f"`{name}` must be a string.")
    return value


def _number(fields: Mapping[str, Any], name: str, *, high: float) -> float:
    value = fields.get(name)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _bad(f"`{name}` must be a number.")
    if not 0 <= value <= high:
        raise _bad(f"`{name}` must be between 0 and {high}.")
    return value


def _count(fields: Mapping[str, Any], name: str, *, high: int) -> int:
    value = _number(fields, name, high=high)
    if not isinstance(value, int):
        raise _bad(f"`{name}` must be a whole number.")
    return value


def _bad(sentence: str) -> HTTPException:
    return HTTPException(HTTPStatus.BAD_REQUEST, sentence)
