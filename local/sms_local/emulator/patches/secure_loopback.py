"""Requests from this machine count as made over TLS.

Reason
    CDK buckets made with ``enforce_ssl``, the CDK's own asset bucket among them, deny requests whose
    ``aws:SecureTransport`` is false. Inside one machine there is nothing to encrypt, and certificates for
    loopback would have to be trusted by the CDK, Node, boto3 and every Lambda worker.
AWS
    Its endpoints speak TLS only, so ``aws:SecureTransport`` is true for every SDK call.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-securetransport
MiniStack 1.5.33
    Takes ``aws:SecureTransport`` from ``x-forwarded-proto``, which no SDK sends.
Hook
    The ASGI application is wrapped; a loopback client's request gets the header. The server binds loopback
    only, so there are no other clients.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from sms_local.emulator.patches._pinned import PatchSettings, require

type Scope = MutableMapping[str, Any]
type AsgiCallable = Callable[..., Awaitable[None]]

LOOPBACK = frozenset({"127.0.0.1", "::1"})
FORWARDED_PROTO = b"x-forwarded-proto"


def apply(_: PatchSettings) -> None:
    """Wrap MiniStack's ASGI application."""
    from ministack import app as gateway

    require(holds=callable(getattr(gateway, "app", None)), what="ASGI application ministack.app.app")
    gateway.app = _counted_as_secure(gateway.app)


def _counted_as_secure(application: AsgiCallable) -> AsgiCallable:
    async def application_over_tls(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket") and (scope.get("client") or ("",))[0] in LOOPBACK:
            kept = [(name, value) for name, value in scope["headers"] if name.lower() != FORWARDED_PROTO]
            scope = {**scope, "headers": [*kept, (FORWARDED_PROTO, b"https")]}
        await application(scope, receive, send)

    return application_over_tls
