"""AWS End User Messaging SMS (``sms-voice``) is a service of the emulator, played by the carrier simulator.

Reason
    It is the service this product is about, and MiniStack has none.
AWS
    JSON 1.0 with ``x-amz-target: PinpointSMSVoiceV2.<Operation>``, signed and authorised as ``sms-voice``.
    Which resource types IAM evaluates for an operation is in the service authorisation reference; for the
    configuration set and the protect configuration of ``SendTextMessage`` it is not certain, and both are
    evaluated here, so that a policy which passes here passes there in either case.
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsendusermessagingsmsandvoicev2.html
MiniStack 1.5.33
    Answers 400 for the service.
Hook
    The service is registered with the router, the IAM tables and the Step Functions SDK integrations. A
    request goes to the carrier as it is, after IAM has allowed it, and status, headers and body of the answer
    come back as they are. When the carrier drops the connection, the caller's connection is dropped: an
    answer made up here would tell the caller that a text was refused which may have been sent.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from sms_local.emulator.patches._carrier import TARGET_PREFIX
from sms_local.emulator.patches._evaluated import Headers, evaluate_resource
from sms_local.emulator.patches._pinned import PatchSettings, require

type Answer = tuple[int, dict[str, str], bytes]

SERVICE = "sms-voice"

HANG_SECONDS = 120.0
"""How long a silent carrier is waited for; longer than botocore's default read time-out of 60 s, so that the
caller's own time-out decides."""

DROPPED = "x-sms-local-connection-dropped"
"""Header by which the service's handler tells the ASGI layer to close the connection without an answer."""

HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "date", "server"}
)

IDENTITY_KINDS = {"phone": "phone-number", "pool": "pool", "rcs": "rcs-agent"}
"""Resource type in the ARN by the first word of an identity's id (``phone-…``, ``pool-…``, ``rcs-…``)."""

RESOURCE_FIELDS: Mapping[str, str] = {
    "OriginationIdentity": "",
    "PhoneNumberId": "phone-number",
    "PhoneNumberIds": "phone-number",
    "PoolId": "pool",
    "PoolIds": "pool",
    "ConfigurationSetName": "configuration-set",
    "ConfigurationSetNames": "configuration-set",
    "OptOutListName": "opt-out-list",
    "OptOutListNames": "opt-out-list",
    "ProtectConfigurationId": "protect-configuration",
    "ProtectConfigurationIds": "protect-configuration",
    "ResourceArn": "",
}
"""Request members that name a resource IAM evaluates, with the resource type in its ARN.

In order of precedence: of ``UpdatePhoneNumber`` the number is evaluated, not the opt-out list it is given.
"""

ALL_EVALUATED = frozenset(
    {"SendTextMessage", "SendMediaMessage", "SendVoiceMessage", "AssociateProtectConfiguration"}
)
"""Operations for which every named resource is evaluated, not just the first kind."""

CREATED_BY = frozenset({"CreateConfigurationSet", "CreateOptOutList", "CreateProtectConfiguration"})
"""Operations that name what does not exist yet; IAM evaluates ``*``."""


def apply(settings: PatchSettings) -> None:
    """Register the service and wrap the pieces that know services by name."""
    from ministack import app as gateway
    from ministack.core import iam_actions, router
    from ministack.services import stepfunctions

    require(holds=SERVICE not in gateway.SERVICE_HANDLERS, what=f"gap where {SERVICE} would be")
    require(holds=hasattr(gateway, "_enforce_data_plane"), what="app._enforce_data_plane")
    router.SERVICE_PATTERNS[SERVICE] = {
        "target_prefixes": [TARGET_PREFIX],
        "host_patterns": [r"^sms-voice\."],
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE[SERVICE] = SERVICE
    stepfunctions._AWS_SDK_SERVICE_MAP["pinpointsmsvoicev2"] = {
        "target_prefix": TARGET_PREFIX,
        "protocol": "json",
        "service_key": SERVICE,
    }
    gateway.SERVICE_HANDLERS[SERVICE] = _handler(settings.carrier_url)
    evaluate_resource(iam_actions, _resource_of)
    _let_connections_drop(gateway)


def resource_arns(operation: str, body: bytes, region: str, account_id: str) -> list[str]:
    """ARNs of the resources that IAM evaluates for a request; ``["*"]`` where it names none.

    An origination identity given as an E.164 number stays one in the ARN, so that only a wildcard allows it:
    policies name numbers by id, and the code under test is to send them by ARN or id.
    """
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return ["*"]
    if operation in CREATED_BY or not isinstance(request, dict):
        return ["*"]
    found: list[str] = []
    for member, kind in RESOURCE_FIELDS.items():
        named = request.get(member)
        names = named if isinstance(named, list) else [named]
        found += [_arn(kind, name, region, account_id) for name in names if isinstance(name, str) and name]
        if found and operation not in ALL_EVALUATED:
            break
    return found or ["*"]


def _arn(kind: str, name: str, region: str, account_id: str) -> str:
    if name.startswith("arn:"):
        return name
    if not kind:
        first_word = name.partition("-")[0]
        kind = "phone-number" if name.startswith("+") else IDENTITY_KINDS.get(first_word, "sender-id")
    return f"arn:aws:sms-voice:{region}:{account_id}:{kind}/{name}"


def _resource_of(service: str, headers: Headers, body: bytes, region: str, account_id: str) -> str | None:
    if service != SERVICE:
        return None
    return resource_arns(_operation(headers), body, region, account_id)[0]


def _operation(headers: Mapping[str, str]) -> str:
    return headers.get("x-amz-target", "").rpartition(".")[2]


def _handler(carrier_url: str) -> Any:
    async def handle_request(
        _method: str, _path: str, headers: dict[str, str], body: bytes | str, query_params: dict[str, Any]
    ) -> Answer:
        # Step Functions' SDK integration, which calls from within, has the body as text.
        body = body.encode() if isinstance(body, str) else body
        denied = _denied_other_resources(headers, body, query_params)
        if denied is not None:
            return denied
        try:
            async with asyncio.timeout(HANG_SECONDS):
                return await _forward(carrier_url, headers, body)
        except (OSError, EOFError, ValueError, TimeoutError):
            return 502, {DROPPED: "true"}, b""

    return handle_request


def _denied_other_resources(
    headers: dict[str, str], body: bytes, query_params: dict[str, Any]
) -> Answer | None:
    """MiniStack's router has evaluated the first resource; the others of the request follow here."""
    from ministack import app as gateway
    from ministack.core.responses import get_account_id, get_region, new_uuid

    operation = _operation(headers)
    for arn in resource_arns(operation, body, get_region(), get_account_id())[1:]:
        denied: Answer | None = gateway._enforce_data_plane(
            SERVICE,
            f"{SERVICE}:{operation}",
            headers,
            query_params,
            new_uuid(),
            resource_arn=arn,
            named_resource=arn,
        )
        if denied:
            return denied
    return None


async def _forward(carrier_url: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """One request on a connection of its own, without any retry.

    Raises
    ------
    EOFError, OSError, ValueError
        When the carrier closes the connection before its answer is complete, or answers something else than
        HTTP.
    """
    address = urlsplit(carrier_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(_request_head(address.netloc, headers, len(body)) + body)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ", 2)[1])
        answered = dict(_header_lines(head[1:]))
        if "chunked" in answered.get("transfer-encoding", ""):
            content = await _read_chunks(reader)
        elif "content-length" in answered:
            content = await reader.readexactly(int(answered["content-length"]))
        else:
            content = await reader.read()
    finally:
        writer.close()
    return status, {name: value for name, value in answered.items() if name not in HOP_BY_HOP}, content


def _request_head(host: str, headers: Mapping[str, str], length: int) -> bytes:
    kept = {
        name: value
        for name, value in headers.items()
        if name not in HOP_BY_HOP | {"expect", "x-forwarded-proto"}
    }
    lines = ["POST / HTTP/1.1", f"host: {host}", f"content-length: {length}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in kept.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _header_lines(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, separator, value = line.partition(":")
        if separator:
            yield name.strip().lower(), value.strip()


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    content = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        content += await reader.readexactly(size)
        await reader.readexactly(2)
    return content


def _let_connections_drop(gateway: Any) -> None:
    """Close the caller's connection, without a byte, where the handler's answer says so.

    ASGI has no word for that: Hypercorn answers 500 when an application ends without an answer, so that
    answer is held back for the connections concerned.
    """
    from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream

    require(
        holds=hasattr(HTTPStream, "_send_error_response"), what="HTTPStream._send_error_response of Hypercorn"
    )
    original = HTTPStream._send_error_response

    async def send_error_response(self: Any, status_code: int) -> None:
        if DROPPED in self.scope["extensions"]:
            self.state = ASGIHTTPState.CLOSED
            return
        await original(self, status_code)

    HTTPStream._send_error_response = send_error_response
    application = gateway.app
    marker = DROPPED.encode()

    async def application_that_can_drop(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return

        async def send_unless_dropped(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and any(
                name.lower() == marker for name, _ in message["headers"]
            ):
                scope["extensions"][DROPPED] = {}
            if DROPPED not in scope["extensions"]:
                await send(message)

        await application(scope, receive, send_unless_dropped)

    gateway.app = application_that_can_drop
