"""The load script: what it signs is taken, nobody is texted, and nothing is sent that was not allowed."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from examples.load import run as load
from sms_engagement_runtime.review_collector.domain.link_keys import parse_keys

EVENTS = Path(__file__).parents[1] / "events"
LINK_KEYS = json.dumps({"active": 1, "k1": "a link key of the tests"})


@pytest.fixture
def server():
    taken = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers.get("content-length") or 0)
            taken.append((self.path, dict(self.headers.items()), self.rfile.read(length)))
            self.send_response(404 if "submit" in self.path else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def do_GET(self):
            self.do_POST()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", taken
    server.shutdown()
    server.server_close()


@pytest.fixture
def key_file(tmp_path):
    def write(text):
        path = tmp_path / "key"
        path.write_text(text + "\n")
        return str(path)

    return write


def run(what, url, key_file, *options, stage="dev"):
    return load.main(
        [what, "--stage", stage, "--url", url, "--key-file", key_file, "--rate", "500", *options]
    )


def test_bookings_are_signed_all_different_and_for_a_simulated_number(server, key_file, capsys):
    url, taken = server

    assert run("bookings", f"{url}/hook", key_file("secret"), "--count", "6", "--yes") == 0

    report = json.loads(capsys.readouterr().out)
    assert (report["calls"], report["statuses"]) == (6, {"200": 6})
    payloads = [json.loads(body)["payload"] for _, _, body in taken]
    assert len({payload["uri"] for payload in payloads}) == 6
    assert {payload["text_reminder_number"] for payload in payloads} == {load.SIMULATORS["success"]}
    for _, headers, body in taken:
        given = {name.lower(): value for name, value in headers.items()}["calendly-webhook-signature"]
        at = int(given.partition(",")[0].removeprefix("t="))
        assert given == load.signature(b"secret", body, at=at)


def test_the_signature_is_calendlys():
    vector = json.loads((EVENTS / "calendly-signature-vector.json").read_text(encoding="utf-8"))

    signed = load.signature(vector["signing_key"].encode(), vector["raw_body"].encode(), at=int(vector["t"]))

    assert f"Calendly-Webhook-Signature: {signed}" == vector["header"]


def test_the_form_is_asked_for_with_links_that_are_signed(server, key_file, capsys):
    url, taken = server

    assert run("form", url, key_file(LINK_KEYS), "--count", "4", "--yes") == 0

    assert json.loads(capsys.readouterr().out)["statuses"] == {"200": 2, "404": 2}
    assert parse_keys(LINK_KEYS)
    assert sorted(path[:3] for path, _, _ in taken) == ["/r/", "/r/", "/su", "/su"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--count", "100", "--yes"], "400 texts cost up to $3.52, which is more than --max-usd 1.00"),
        (["--stage", "prod", "--yes"], "prod is for people"),
        (["--url", "http://example.com", "--yes"], "must begin with https://"),
        (["--url", "file:///etc/passwd", "--yes"], "must begin with https://"),
    ],
)
def test_what_is_not_allowed_sends_nothing(server, key_file, capsys, options, message):
    url, taken = server

    assert run("bookings", url, key_file("secret"), *options) == 1

    assert message in capsys.readouterr().err
    assert taken == []


def test_nothing_is_sent_before_somebody_says_yes(server, key_file, capsys, monkeypatch):
    url, taken = server
    monkeypatch.setattr("builtins.input", lambda _: "no")

    assert run("bookings", url, key_file("secret")) == 1

    assert "nothing was sent" in capsys.readouterr().err
    assert taken == []


def test_a_stage_that_does_not_answer_is_counted(key_file, capsys):
    assert run("bookings", "http://127.0.0.1:9", key_file("secret"), "--count", "2", "--yes") == 0

    assert json.loads(capsys.readouterr().out)["statuses"] == {"0": 2}
