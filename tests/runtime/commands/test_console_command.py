"""``sms-engagement console``: signs what its own page asks for, and nothing else."""

import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.session import Session

from sms_engagement_runtime.commands import console as command
from sms_engagement_runtime.commands.console import Console, base_of, serve
from sms_engagement_runtime.commands.exits import ExitStatus
from sms_engagement_runtime.commands.main import main

KEY = "a-key-that-nobody-guesses"
OWN = {"host": "127.0.0.1:8765"}
INSIDE = OWN | {"cookie": f"other=1; sms-engagement-console={KEY}"}
SAME = {"origin": "http://127.0.0.1:8765", "sec-fetch-site": "same-origin"}


@pytest.fixture
def api():
    """An API that answers everything with a page, and remembers what it was asked."""
    asked = []

    class Api(BaseHTTPRequestHandler):
        def do_GET(self):
            length = int(self.headers.get("content-length") or 0)
            asked.append((self.command, self.path, dict(self.headers.items()), self.rfile.read(length)))
            self.send_response(303 if self.command == "POST" else 200)
            for name, value in {
                "content-type": "text/html",
                "content-security-policy": "default-src 'none'",
                "location": "../../reviews",
                "set-cookie": "theirs=1",
                "content-length": "4",
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"page")

        do_POST = do_GET  # noqa: N815

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/stage/admin/reviews", asked
    server.shutdown()
    server.server_close()


def session():
    made = Session()
    made.set_credentials("AKIDEXAMPLE", "secret")
    return made


@pytest.fixture
def console(api):
    return Console(api[0], session=session(), port=8765, key=KEY, region="eu-west-1")


def test_a_request_of_the_page_is_passed_on_signed(console, api):
    target = "/admin/reviews?userId=a%20b&cursor=x-_"
    answer = console.answer("GET", target, INSIDE | {"accept": "text/html", "accept-language": "fr"})

    assert (answer.status, answer.body) == (200, b"page")
    ((method, path, headers, _),) = api[1]
    assert (method, path) == ("GET", "/stage/admin/reviews?userId=a%20b&cursor=x-_")
    assert headers["accept"] == "text/html"
    assert "accept-language" not in {name.lower() for name in headers}
    assert "cookie" not in {name.lower() for name in headers}
    assert "/eu-west-1/execute-api/aws4_request" in headers["Authorization"]
    # The signature is that of the request that arrived.
    again = AWSRequest(method="GET", url=api[0].removesuffix("/stage/admin/reviews") + path)
    again.headers["accept"] = "text/html"
    again.context["timestamp"] = headers["X-Amz-Date"]
    signer = SigV4Auth(Credentials("AKIDEXAMPLE", "secret"), "execute-api", "eu-west-1")
    again.headers["X-Amz-Date"] = headers["X-Amz-Date"]
    expected = signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
    assert headers["Authorization"].endswith(f"Signature={expected}")


def test_a_decision_goes_with_its_body_and_the_browser_is_led_back(console, api):
    headers = INSIDE | SAME | {"content-type": "application/x-www-form-urlencoded"}

    answer = console.answer("POST", "/admin/reviews/r1/approve", headers, b"version=1")

    assert (answer.status, answer.headers["location"]) == (303, "../../reviews")
    assert api[1][0][3] == b"version=1"
    assert answer.headers["content-security-policy"] == "default-src 'none'"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("method", "target", "headers", "status"),
    [
        # Another name that resolves to this machine.
        ("GET", "/admin/reviews", INSIDE | {"host": "attacker.example:8765"}, 421),
        ("GET", "/admin/reviews", INSIDE | {"host": "127.0.0.1:9999"}, 421),
        ("GET", "/admin/reviews", {"cookie": INSIDE["cookie"]}, 421),
        # Another site's form, frame or script.
        ("POST", "/admin/reviews/r1/approve", INSIDE | {"origin": "https://attacker.example"}, 403),
        ("POST", "/admin/reviews/r1/approve", INSIDE | {"origin": "null"}, 403),
        ("POST", "/admin/reviews/r1/approve", INSIDE | {"origin": "http://127.0.0.1:9999"}, 403),
        ("POST", "/admin/reviews/r1/approve", INSIDE, 403),
        ("POST", "/admin/reviews/r1/approve", INSIDE | SAME | {"sec-fetch-site": "cross-site"}, 403),
        ("GET", "/admin/reviews", INSIDE | {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}, 403),
        # Somebody else on this machine.
        ("GET", "/admin/reviews", OWN, 403),
        ("GET", "/admin/reviews", OWN | {"cookie": "sms-engagement-console=guess"}, 403),
        ("GET", "/?key=guess", OWN, 403),
        ("GET", "/?key=%C3%A9", OWN, 403),
        ("POST", "/admin/reviews/r1/approve", OWN | SAME, 403),
        # What is not the console's.
        ("GET", "/submit-review", INSIDE, 404),
        ("GET", "/admin/../submit-review", INSIDE, 404),
        ("GET", "http://attacker.example/admin/reviews", INSIDE, 404),
        ("GET", "//attacker.example/admin/reviews", INSIDE, 404),
        ("PUT", "/admin/reviews", INSIDE | SAME, 405),
        ("OPTIONS", "/admin/reviews", INSIDE, 405),
    ],
)
def test_nobody_elses_request_is_signed(console, api, method, target, headers, status):
    answer = console.answer(method, target, headers, b"version=1")

    assert answer.status == status
    assert api[1] == []


def test_the_printed_address_lets_a_browser_in(console):
    answer = console.answer("GET", f"/?key={KEY}", OWN)

    assert (answer.status, answer.headers["location"]) == (303, "/admin/reviews")
    assert answer.headers["set-cookie"].startswith(f"sms-engagement-console={KEY}; ")
    assert "HttpOnly" in answer.headers["set-cookie"]


def test_without_credentials_it_is_said(api):
    class Nobody(Session):
        def get_credentials(self):
            return None

    console = Console(api[0], session=Nobody(), port=8765)

    answer = console.answer("GET", "/admin/reviews", OWN)

    assert (answer.status, api[1]) == (502, [])
    assert b"no AWS credentials" in answer.body


def test_an_api_that_does_not_answer_is_said():
    console = Console("http://127.0.0.1:9/admin/reviews", session=session(), port=8765, region="eu-west-1")

    assert console.answer("GET", "/admin/reviews", OWN).status == 502


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("https://abc.execute-api.eu-west-1.amazonaws.com/admin/reviews", None),
        ("https://r.example.com/admin/figures?days=3", "https://r.example.com/admin/"),
        ("http://127.0.0.1:4570/_aws/execute-api/a/$default/admin/reviews", None),
    ],
)
def test_the_address_is_that_of_the_output(given, base):
    assert base_of(given) == (base or given.removesuffix("reviews"))


@pytest.mark.parametrize(
    "given", ["", "reviews", "https://r.example.com/reviews", "ftp://x/admin/", "http://r.example.com/admin/"]
)
def test_another_address_is_refused(given, capsys):
    assert main(["console", "--admin-api", given]) == ExitStatus.FAILED
    assert given in capsys.readouterr().err


def test_the_region_is_in_the_address_of_the_api():
    api = "https://abc.execute-api.ap-southeast-2.amazonaws.com/admin/reviews"

    assert Console(api, session=session(), port=8765)._region == "ap-southeast-2"


def test_it_listens_on_this_machine_alone_and_takes_no_large_body(console):
    server = serve(console, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        assert server.server_address[0] == "127.0.0.1"
        connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        connection.request("POST", "/admin/reviews/r1/approve", headers={"content-length": "999999999"})
        assert connection.getresponse().status == 413
        connection.close()
    finally:
        server.shutdown()
        server.server_close()


def test_a_port_that_is_taken_is_said(api, capsys):
    taken = api[0].split(":")[2].split("/")[0]

    assert main(["console", "--admin-api", api[0], "--port", taken]) == ExitStatus.FAILED
    assert f"port {taken} cannot be used" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "80", "70000", "abc"])
def test_a_port_that_is_none_is_wrong_usage(port, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["console", "--admin-api", "https://r.example.com/admin/reviews", "--port", port])

    assert ended.value.code == 2
    assert command.HOST == "127.0.0.1"
