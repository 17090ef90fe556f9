"""``sms-engagement console``: the moderators' pages in a browser on this machine.

The pages are behind IAM, and a browser cannot sign. So this passes a browser's requests on, signed with the
credentials of whoever started it, and nothing else: it listens on the loopback address alone, takes only what
is below ``/admin/``, and refuses what another web site makes a browser send. What a moderator may do, and
whose name stands beside a decision, is decided by these credentials alone.
"""

from __future__ import annotations

import argparse
import hmac
import secrets
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

from sms_engagement_runtime.commands.exits import ExitStatus, fail

if TYPE_CHECKING:
    from botocore.session import Session

HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8765
MAX_BODY_LENGTH: Final = 64 * 1024

_PREFIX: Final = "/admin/"
_COOKIE: Final = "sms-engagement-console"
_NAMES: Final = (HOST, "localhost")
_TIMEOUT_SECONDS: Final = 30

# What of a browser's request matters to the pages; the rest would only be noise in a signature.
_PASSED_ON: Final[tuple[str, ...]] = ("accept", "content-type")
_PASSED_BACK: Final[tuple[str, ...]] = (
    "cache-control",
    "content-security-policy",
    "content-type",
    "location",
    "permissions-policy",
    "referrer-policy",
    "vary",
    "x-content-type-options",
    "x-robots-tag",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a browser gets."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Console:
    """Checks a browser's requests, and passes them on signed.

    Parameters
    ----------
    admin_api
        Address of the list of reviews: the output ``AdminApiUrl``.
    session
        Whose credentials sign; they are looked up at every request, so that a session that was renewed goes
        on.
    port
        On which the browser sees this.
    key
        What the browser has to bring along, once as ``?key=`` and as a cookie from then on; None where
        everybody on this machine may use the console, as in the embedded cloud.
    region
        Of the API; that of the session when left out.
    """

    def __init__(
        self,
        admin_api: str,
        *,
        session: Session,
        port: int,
        key: str | None = None,
        region: str | None = None,
    ) -> None:
        self._base = base_of(admin_api)
        self._session = session
        self._hosts = frozenset(f"{name}:{port}" for name in _NAMES)
        self._key = key
        self._region = region or _region_of(self._base) or session.get_config_variable("region")

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Answer one request.

        Parameters
        ----------
        target
            Path and query, as the browser sent them.
        headers
            Names in lower case.
        """
        refusal = self._refusal(method, target, headers)
        if refusal is not None:
            return refusal
        parts = urlsplit(target)
        if parts.path in ("/", _PREFIX, _PREFIX.rstrip("/")):
            return self._welcome(parts.query, headers)
        if not self._is_let_in(headers):
            return _words(403, "Open the address that the command has printed.")
        return self._pass_on(method, target, headers, body)

    def _refusal(self, method: str, target: str, headers: Mapping[str, str]) -> Answer | None:
        # A foreign page can make its own name resolve to this machine (DNS rebinding), and can send a form
        # here; a browser says in Host and Origin whose the page is.
        if headers.get("host") not in self._hosts:
            return _words(421, "This address serves 127.0.0.1 and localhost only.")
        if method not in ("GET", "POST"):
            return _words(405, "Only GET and POST are taken.")
        path = urlsplit(target).path
        # Two slashes at the beginning, or a whole address, name another host.
        if not target.startswith("/") or target.startswith("//"):
            return _words(404, "There is nothing here.")
        if path not in ("/", _PREFIX.rstrip("/")) and (not path.startswith(_PREFIX) or ".." in path):
            return _words(404, "There is nothing here.")
        site = headers.get("sec-fetch-site")
        if method == "GET":
            # Links from elsewhere change nothing; pages of ours are framed and fetched by nobody else.
            is_visit = headers.get("sec-fetch-mode", "navigate") == "navigate"
            is_own = site in (None, "none", "same-origin")
            return None if is_own or is_visit else _words(403, "Only the page on this address may do that.")
        origin = headers.get("origin")
        is_own = origin in {f"http://{host}" for host in self._hosts}
        if not is_own or site not in (None, "same-origin"):
            return _words(403, "Only the page on this address may do that.")
        return None

    def _welcome(self, query: str, headers: Mapping[str, str]) -> Answer:
        given = parse_qs(query).get("key", [""])[0]
        more = {}
        if self._key is not None and not self._is_let_in(headers):
            if not hmac.compare_digest(given.encode(), self._key.encode()):
                return _words(403, "Open the address that the command has printed.")
            # Not by the port: cookies of one host are shared by all its ports, so the name says whose it is.
            more = {"set-cookie": f"{_COOKIE}={self._key}; Path=/; HttpOnly; SameSite=Lax"}
        return Answer(303, {"location": f"{_PREFIX}reviews", "cache-control": "no-store", **more}, b"")

    def _is_let_in(self, headers: Mapping[str, str]) -> bool:
        if self._key is None:
            return True
        cookies = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
        given = next((value for name, _, value in cookies if name == _COOKIE), "")
        return hmac.compare_digest(given.encode(), self._key.encode())

    def _pass_on(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        # Here, since botocore comes with the extra only, and ``--help`` needs it not.
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import BotoCoreError
        from botocore.httpsession import URLLib3Session

        credentials = self._session.get_credentials()
        if credentials is None:
            return _words(502, "There are no AWS credentials; log in, and load this page again.")
        request = AWSRequest(
            method=method,
            url=self._base + target.removeprefix(_PREFIX),
            data=body,
            headers={name: headers[name] for name in _PASSED_ON if name in headers},
        )
        try:
            SigV4Auth(credentials, "execute-api", self._region).add_auth(request)
            answer = URLLib3Session(timeout=_TIMEOUT_SECONDS).send(request.prepare())
            content = answer.content
        except BotoCoreError as error:
            return _words(502, f"The API does not answer ({type(error).__name__}).")
        passed = {name.lower(): value for name, value in answer.headers.items()}
        kept = {name: passed[name] for name in _PASSED_BACK if name in passed}
        return Answer(answer.status_code, kept, content)


def base_of(admin_api: str) -> str:
    """Return the address up to ``/admin/``; ValueError where it is no address of the console."""
    parts = urlsplit(admin_api)
    path, found, _ = parts.path.partition(_PREFIX)
    if not found or parts.scheme not in ("https", "http") or not parts.netloc:
        raise ValueError(f"{admin_api!r} is not the output AdminApiUrl, as https://…/admin/reviews")
    if parts.scheme == "http" and (parts.hostname or "") not in _NAMES:
        # The signature would not hide what is read and written.
        raise ValueError(f"{admin_api!r} must begin with https")
    return urlunsplit((parts.scheme, parts.netloc, path + _PREFIX, "", ""))


def add_console_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``console`` to the commands."""
    parser = commands.add_parser(
        "console", help="look at reviews and decide about them, in a browser on this machine"
    )
    parser.add_argument("--admin-api", metavar="URL", required=True, help="the output AdminApiUrl")
    parser.add_argument("--port", type=_port, default=DEFAULT_PORT, help=f"default: {DEFAULT_PORT}")
    parser.set_defaults(run=run, place="console of {admin_api}")


def run(options: argparse.Namespace) -> ExitStatus:
    """Serve until Ctrl-C."""
    from botocore.session import Session

    key = secrets.token_urlsafe(24)
    try:
        console = Console(options.admin_api, session=Session(), port=options.port, key=key)
    except ValueError as error:
        return fail(str(error))
    try:
        server = serve(console, options.port)
    except OSError as error:
        return fail(f"port {options.port} cannot be used: {error.strerror}; give another --port")
    print(f"Open http://{HOST}:{options.port}/?key={key} (Ctrl-C ends it)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.stderr.write("\n")
    finally:
        server.server_close()
    return ExitStatus.DONE


def serve(console: Console, port: int) -> ThreadingHTTPServer:
    """Listen on the loopback address."""

    class Handler(BaseHTTPRequestHandler):
        server_version = "sms-engagement"
        sys_version = ""
        timeout = _TIMEOUT_SECONDS

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            length = self.headers.get("content-length") or "0"
            if not length.isdecimal() or int(length) > MAX_BODY_LENGTH:
                self.close_connection = True
                self._send(_words(413, "The body is too large."))
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(length))
            self._send(console.answer(self.command, self.path, headers, body))

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing: paths name customers."""

    return ThreadingHTTPServer((HOST, port), Handler)


def _words(status: int, sentence: str) -> Answer:
    headers = {
        "cache-control": "no-store",
        "content-type": "text/plain; charset=utf-8",
        "x-content-type-options": "nosniff",
    }
    return Answer(status, headers, f"{sentence}\n".encode())


def _region_of(base: str) -> str | None:
    """Return the Region in ``https://<id>.execute-api.<region>.amazonaws.com``; None of other names."""
    labels: Iterable[str] = (urlsplit(base).hostname or "").split(".")
    match list(labels):
        case [_, "execute-api", region, *_]:
            return region
    return None


def _port(text: str) -> int:
    if not text.isdecimal() or not 1024 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 1024 to 65535")
    return int(text)
