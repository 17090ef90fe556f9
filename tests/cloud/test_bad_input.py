"""What people, programs and tables may hand in, and the answer that each gets."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest

from sms_engagement_runtime.review_collector.domain import tokens
from sms_engagement_runtime.review_collector.domain.link_keys import LinkKeys
from sms_local.testing import Cloud, eventually
from tests.support.cloud_drive import (
    Customer,
    link_keys,
    new_customers,
    new_phone,
    replace_customers,
    report_of,
    requests_to,
    token_in,
)

pytestmark = pytest.mark.cloud

JSON = {"accept": "application/json"}
HTML = {"accept": "text/html"}
FORM_TYPE = "application/x-www-form-urlencoded"

NOT_WORKING = "This link does not work"
EXPIRED = "This link has expired"
GONE = "This review is no longer open"
REQUIRED = "Rating is required"
NOT_A_NUMBER = "Rating must be a number"
OUT_OF_RANGE = "Rating must be between 1 and 5"
TOO_LONG = "Review text exceeds 5000 character limit"

_INTERNAL = re.compile(
    r"Traceback|File \"|\.py\b|Exception|Error\b|arn:|sms_engagement|dynamodb|lambda|boto|botocore|"
    r"local-Reviews|local-Channel|requestId|null\b|None\b",
    re.IGNORECASE,
)
_SCRIPT = "<script>alert('x')</script><img src=x onerror=alert(1)>"


@dataclass(frozen=True, slots=True)
class Desk:
    """One person's open request, and what tokens of it can be made."""

    cloud: Cloud
    keys: LinkKeys = field(repr=False)
    token: str = field(repr=False)

    @property
    def reference(self) -> bytes:
        verified = tokens.verify(
            self.token, keys=self.keys.by_id, now=self.cloud.now(), max_lifetime=timedelta(days=8)
        )
        assert isinstance(verified, tokens.Verified)
        return verified.reference

    def mint(self, *, days: float, reference: bytes | None = None) -> str:
        expires_at = self.cloud.now() + timedelta(days=days)
        return self.keys.mint(reference or self.reference, expires_at=expires_at)

    def spoilt(self, kind: str) -> str:
        """Return a token of one of the kinds that open nothing."""
        match kind:
            case "forged":
                return self.token[:-1] + ("A" if self.token[-1] != "A" else "B")
            case "other reference":
                return self.token[:8] + ("A" if self.token[8] != "A" else "B") + self.token[9:]
            case "cut":
                return self.token[:-7]
            case "prolonged":
                return self.token + "A"
            case "padded":
                return self.token[:-1] + "="
            case "future":
                return self.mint(days=60)
            case "foreign":
                expires_at = self.cloud.now() + timedelta(days=3)
                foreign = b"the key of another installation"
                return tokens.mint(
                    self.reference, expires_at=expires_at, key_id=self.keys.active, key=foreign
                )
            case "unknown key":
                expires_at = self.cloud.now() + timedelta(days=3)
                unknown = next(number for number in range(1, 16) if number not in self.keys.by_id)
                return tokens.mint(self.reference, expires_at=expires_at, key_id=unknown, key=b"k" * 32)
            case "words":
                return "../../etc/passwd"
            case "signs":
                return "é☃\x00" * 13 + "x"
        raise LookupError(kind)

    def post(self, fields: Any, accept: Mapping[str, str] = JSON) -> httpx.Response:
        """Post fields: as JSON when JSON is wanted, else as a form."""
        if accept is JSON:
            return self.cloud.door.post("/submit-review", json=fields, headers=accept)
        return self.cloud.door.post("/submit-review", data=fields, headers=accept)

    def raw(self, body: bytes | str, content_type: str | None, accept: Mapping[str, str]) -> httpx.Response:
        headers = {**accept, **({"content-type": content_type} if content_type else {})}
        return self.cloud.door.post("/submit-review", content=body, headers=headers)


@pytest.fixture(scope="module")
def people(running_cloud: Cloud) -> dict[str, str]:
    """Tokens of forty people who were all asked a moment ago; a test takes one for itself."""
    running_cloud.carrier.delete("/control/messages").raise_for_status()
    replace_customers(running_cloud, new_customers(40, name="Ada Quill"))
    running_cloud.broadcast()
    return {text["to"]: token_in(text) for text in requests_to(running_cloud)}


@pytest.fixture(scope="module")
def keys(running_cloud: Cloud) -> LinkKeys:
    """What links are signed with."""
    return link_keys(running_cloud)


@pytest.fixture
def desk(running_cloud: Cloud, keys: LinkKeys, people: dict[str, str]) -> Desk:
    """Somebody who has not answered yet."""
    _, token = people.popitem()
    return Desk(running_cloud, keys, token)


@pytest.fixture(scope="module")
def unanswered(running_cloud: Cloud, keys: LinkKeys, people: dict[str, str]) -> Desk:
    """Somebody who never gets a review in: for tests of what is refused."""
    _, token = people.popitem()
    return Desk(running_cloud, keys, token)


def assert_refused(answer: httpx.Response, status: int, *words: str) -> None:
    """Assert status and words, in the format that was asked for, and that nothing internal shows."""
    assert answer.status_code == status, answer.text[:300]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    if answer.headers["content-type"].startswith("application/json"):
        assert answer.json() == {"errors": list(words)}
        visible = answer.text
    else:
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        page = unescape(answer.text)
        for word in words:
            assert word in page
        visible = re.sub(r"<(script|style|textarea)\b[^>]*>.*?</\1>", "", answer.text, flags=re.DOTALL)
    assert not _INTERNAL.search(visible), _INTERNAL.search(visible)


def reviews_of(desk: Desk) -> list[dict[str, Any]]:
    posted = desk.post({"token": desk.token})  # refused, and says nothing of the id
    assert posted.status_code == 400
    from sms_engagement_runtime.review_collector.domain.requests import reference_to_id

    review_id = reference_to_id(desk.reference)
    return [row for row in desk.cloud.rows("reviews") if row["reviewId"] == review_id]


KINDS = (
    "forged", "other reference", "cut", "prolonged", "padded", "future", "foreign", "unknown key", "words",
    "signs",
)  # fmt: skip


@pytest.mark.parametrize("accept", [JSON, HTML], ids=["json", "html"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_token_that_is_not_ours_opens_nothing(
    unanswered: Desk, kind: str, accept: Mapping[str, str]
) -> None:
    token = unanswered.spoilt(kind)

    posted = unanswered.post({"token": token, "rating": 5, "reviewText": "x"}, accept)
    page = unanswered.cloud.door.get("/review", params={"token": token}, headers=accept)
    new_link = unanswered.cloud.door.post("/new-link", data={"token": token}, headers=accept)

    for answer in (posted, page, new_link):
        assert_refused(answer, 403, NOT_WORKING)
    assert reviews_of(unanswered) == []


@pytest.mark.parametrize("kind", ["forged", "cut", "future", "foreign", "words"])
def test_a_short_link_that_is_not_ours_opens_nothing(unanswered: Desk, kind: str) -> None:
    token = quote(unanswered.spoilt(kind), safe="")

    get = unanswered.cloud.door.get(f"/r/{token}", headers=HTML)
    head = unanswered.cloud.door.head(f"/r/{token}", headers=HTML)

    # A slash in the path is another path to the HTTP API, and no route.
    if kind != "words":
        assert_refused(get, 403, NOT_WORKING)
    assert get.status_code in (403, 404)
    assert head.status_code == get.status_code


@pytest.mark.parametrize("accept", [JSON, HTML], ids=["json", "html"])
def test_an_expired_token_is_told_so_and_can_have_a_new_link_once(
    desk: Desk, accept: Mapping[str, str]
) -> None:
    expired = desk.mint(days=-1)

    posted = desk.post({"token": expired, "rating": "5"}, accept)
    page = desk.cloud.door.get(f"/r/{expired}", headers=accept)

    assert_refused(posted, 410, EXPIRED)
    assert_refused(page, 410, EXPIRED)
    if accept is HTML:
        for answer in (posted, page):
            assert "Text me a new link" in answer.text
            assert f'value="{expired}"' in answer.text
    assert reviews_of(desk) == []


def test_a_new_link_comes_once_and_works(desk: Desk) -> None:
    expired = desk.mint(days=-1)
    phone = next(text["to"] for text in requests_to(desk.cloud) if desk.token in text["body"])

    asked = [desk.cloud.door.post("/new-link", data={"token": expired}, headers=HTML) for _ in range(3)]

    assert [answer.status_code for answer in asked] == [202, 202, 202]
    assert all("A new link is on its way" in answer.text for answer in asked)
    texts = eventually(
        lambda: found if len(found := desk.cloud.texts(phone)) > 1 else [], what="the new link"
    )
    assert len(texts) == 2
    renewed = token_in(texts[1])
    assert desk.post({"token": renewed, "rating": 3}).status_code == 201
    # Answered: neither another link nor a second row.
    again = desk.cloud.door.post("/new-link", data={"token": expired}, headers=JSON)
    assert_refused(again, 410, GONE)
    assert len(desk.cloud.texts(phone)) == 2
    assert len(reviews_of(desk)) == 1


@pytest.mark.parametrize("accept", [JSON, HTML], ids=["json", "html"])
def test_a_token_for_which_nobody_was_asked_is_gone(unanswered: Desk, accept: Mapping[str, str]) -> None:
    token = unanswered.mint(days=3, reference=b"nobody-asked")

    assert_refused(unanswered.post({"token": token, "rating": "5"}, accept), 410, GONE)


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"rating": 5}, ["Token is required"]),
        ({"reviewText": "x"}, ["Token is required", REQUIRED]),
        ({"token": "", "rating": 7}, ["Token is required", OUT_OF_RANGE]),
    ],
)
def test_a_missing_token_is_named_with_all_other_errors(
    unanswered: Desk, body: dict[str, Any], errors: list[str]
) -> None:
    answer = unanswered.post(body)

    assert_refused(answer, 400, *errors)
    assert_refused(unanswered.post(body, HTML), 400, "Part of the link is missing")
    assert_refused(unanswered.cloud.door.get("/review", headers=HTML), 400, "Part of the link is missing")


@pytest.mark.parametrize("accept", [JSON, HTML], ids=["json", "html"])
def test_a_token_given_twice_is_refused(unanswered: Desk, accept: Mapping[str, str]) -> None:
    token = unanswered.token

    posted = unanswered.raw(f"token={token}&token={token}&rating=5", FORM_TYPE, accept)
    page = unanswered.cloud.door.get(f"/review?token={token}&token={token}", headers=accept)

    assert_refused(posted, 403, NOT_WORKING)
    assert_refused(page, 403, NOT_WORKING)
    assert reviews_of(unanswered) == []


def test_a_token_used_again_edits_and_adds_no_row(desk: Desk) -> None:
    answers = [desk.post({"token": desk.token, "rating": rating}) for rating in (1, 1, 4)]

    assert [answer.status_code for answer in answers] == [201, 200, 200]
    (review,) = reviews_of(desk)
    assert review["rating"] == 4


@pytest.mark.parametrize(
    ("rating", "error"),
    [
        (0, OUT_OF_RANGE), (6, OUT_OF_RANGE), (-1, OUT_OF_RANGE), (10**30, OUT_OF_RANGE), ("0", OUT_OF_RANGE),
        (4.5, NOT_A_NUMBER), ("4.5", NOT_A_NUMBER), ("five", NOT_A_NUMBER), ("٥", NOT_A_NUMBER),
        (True, NOT_A_NUMBER), ([5], NOT_A_NUMBER), ({"value": 5}, NOT_A_NUMBER), (_SCRIPT, NOT_A_NUMBER),
        (None, REQUIRED), ("", REQUIRED), ("  ", REQUIRED),
    ],
)  # fmt: skip
def test_a_rating_that_is_none_is_refused(unanswered: Desk, rating: Any, error: str) -> None:
    token = unanswered.token

    assert_refused(unanswered.post({"token": token, "rating": rating}), 400, error)
    if isinstance(rating, str | int) and not isinstance(rating, bool):
        assert_refused(unanswered.post({"token": token, "rating": str(rating)}, HTML), 400, error)
    assert reviews_of(unanswered) == []


@pytest.mark.parametrize("accept", [JSON, HTML], ids=["json", "html"])
def test_a_missing_and_a_double_rating_are_refused(unanswered: Desk, accept: Mapping[str, str]) -> None:
    token = unanswered.token

    missing = unanswered.raw(urlencode({"token": token}), FORM_TYPE, accept)
    twice = unanswered.raw(f"token={token}&rating=4&rating=5", FORM_TYPE, accept)
    twice_json = unanswered.raw(
        f'{{"token": "{token}", "rating": 4, "rating": 5}}', "application/json", accept
    )

    assert_refused(missing, 400, REQUIRED)
    assert_refused(twice, 400, NOT_A_NUMBER)
    assert_refused(twice_json, 400, NOT_A_NUMBER)
    assert reviews_of(unanswered) == []


def test_all_errors_come_at_once_and_what_was_typed_is_kept(unanswered: Desk) -> None:
    text = "One sentence too many. " + "y" * 4978
    assert len(text) == 5001

    as_json = unanswered.post({"token": unanswered.token, "rating": 9, "reviewText": text})
    page = unanswered.post({"token": unanswered.token, "rating": "9", "reviewText": text}, HTML)

    assert_refused(as_json, 400, OUT_OF_RANGE, TOO_LONG)
    assert_refused(page, 400, OUT_OF_RANGE, TOO_LONG)
    assert text in page.text
    assert f'value="{unanswered.token}"' in page.text


@pytest.mark.parametrize("accept", [JSON, HTML], ids=["json", "html"])
def test_5000_characters_with_2500_line_breaks_are_taken(desk: Desk, accept: Mapping[str, str]) -> None:
    text = "a" * 1250 + "\n" * 2500 + "b" * 1250

    # As browsers send line breaks.
    answer = desk.post({"token": desk.token, "rating": "5", "reviewText": text.replace("\n", "\r\n")}, accept)

    assert answer.status_code == 201
    assert "Thank you for your review!" in answer.text
    (review,) = [row for row in desk.cloud.rows("reviews") if row["reviewText"] == text][-1:]
    assert len(review["reviewText"]) == 5000


@pytest.mark.parametrize(
    "text", ["🎉" * 5000, "‏شكرا جزيلا على القهوة‏ ☕", "'; DROP TABLE reviews; --", _SCRIPT]
)
def test_any_words_are_stored_as_they_are(desk: Desk, text: str) -> None:
    answer = desk.post({"token": desk.token, "rating": 5, "reviewText": text}, HTML)

    assert answer.status_code == 201
    (review,) = reviews_of(desk)
    assert review["reviewText"] == text


def test_script_in_the_text_is_shown_as_text(unanswered: Desk) -> None:
    page = unanswered.post({"token": unanswered.token, "rating": "", "reviewText": _SCRIPT}, HTML)

    assert_refused(page, 400, REQUIRED)
    assert _SCRIPT not in page.text
    assert "&lt;script&gt;" in page.text
    closing = unanswered.post(
        {"token": unanswered.token, "rating": "", "reviewText": "</textarea><script>x</script>"}, HTML
    )
    assert "</textarea><script>x" not in closing.text


@pytest.mark.parametrize("accept", [JSON, HTML], ids=["json", "html"])
def test_a_megabyte_is_too_large(unanswered: Desk, accept: Mapping[str, str]) -> None:
    token, text = unanswered.token, "z" * 1_000_000

    as_form = unanswered.raw(urlencode({"token": token, "rating": 5, "reviewText": text}), FORM_TYPE, accept)
    as_json = unanswered.raw(
        json.dumps({"token": token, "rating": 5, "reviewText": text}), "application/json", accept
    )

    for answer in (as_form, as_json):
        assert_refused(answer, 413, "That is more than we can take")
    assert reviews_of(unanswered) == []


@pytest.mark.parametrize("accept", [JSON, HTML], ids=["json", "html"])
@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/json; charset=utf-16",
        None,
    ],
)
def test_another_type_is_not_read(
    unanswered: Desk, content_type: str | None, accept: Mapping[str, str]
) -> None:
    body = urlencode({"token": unanswered.token, "rating": 5})

    answer = unanswered.raw(body, content_type, accept)

    assert_refused(answer, 415, "We cannot read this format")
    assert reviews_of(unanswered) == []


@pytest.mark.parametrize("accept", [JSON, HTML], ids=["json", "html"])
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"[" * 20_000, "application/json"),
        (b'{"rating": NaN}', "application/json"),
        (b"rating=\xff", FORM_TYPE),
        (b"rating=%ff", FORM_TYPE),
        (b"&".join(b"rating=%d" % number for number in range(50)), FORM_TYPE),
    ],
)
def test_what_is_not_what_its_type_says_cannot_be_read(
    unanswered: Desk, body: bytes, content_type: str, accept: Mapping[str, str]
) -> None:
    assert_refused(unanswered.raw(body, content_type, accept), 400, "We could not read that")


def test_script_in_a_name_does_no_harm_on_its_way_to_the_admin(quiet_cloud: Cloud) -> None:
    admin = quiet_cloud.subscribe(quiet_cloud.outputs["topics"]["admin"])
    name = "Bo\r\nby <script>alert(1)</script> " + "o" * 80
    replace_customers(quiet_cloud, new_customers(1, name=name))
    quiet_cloud.broadcast()
    (text,) = requests_to(quiet_cloud)

    posted = quiet_cloud.door.post("/submit-review", json={"token": token_in(text), "rating": 5})

    assert posted.status_code == 201
    assert text["parts"] == 1
    assert "<" not in text["body"]
    (notice,) = eventually(admin.messages, what="the notice")
    assert notice["Subject"] == "New review"
    headline = notice["Message"].splitlines()[0]
    assert headline.startswith("New 5★ review from Bo by <script>alert(1)</script> ooo")
    assert len(headline) <= len("New 5★ review from ") + 60


@pytest.mark.parametrize(
    "name",
    [
        _SCRIPT, "Ольга Мельник", "ليلى حداد", "Zoë", "李小龍", "🎉🎉", "\u202eevil", "A" * 300, "http://x.example/y",
        "STOP", "{{link}}", "  ", None,
    ],
)  # fmt: skip
def test_every_name_leaves_one_part_with_a_whole_link(quiet_cloud: Cloud, name: str | None) -> None:
    replace_customers(quiet_cloud, new_customers(1, name=name))

    quiet_cloud.broadcast()

    (text,) = requests_to(quiet_cloud)
    assert (text["parts"], text["encoding"]) == (1, "GSM")
    assert re.fullmatch(
        r"Hi( [^\s<>{}/]+)?! Please review your recent purchase: http\S+/r/\S{40}"
        r" Demo Store: Reply STOP to opt out",
        text["body"],
    )


def test_who_cannot_be_texted_is_left_out_with_the_reason(quiet_cloud: Cloud) -> None:
    shared = new_phone()
    spelled = f"({shared[2:5]}) {shared[5:8]}-{shared[8:]}"
    unreachable: dict[str, tuple[str | None, str]] = {
        "none": (None, "NO_PHONE"),
        "empty": ("", "NO_PHONE"),
        "blank": ("   ", "NO_PHONE"),
        "landline": ("+44 20 7946 0108", "LANDLINE"),
        "word": ("call me", "INVALID_PHONE"),
        "short": ("12345", "INVALID_PHONE"),
        "long": ("+1404555010112345678", "INVALID_PHONE"),
        "no-such-area": ("+1 555 555 0100", "INVALID_PHONE"),
        "extension": ("+1 404 555 0123 ext. 7", "INVALID_PHONE"),
        "toll-free": ("+1 800 555 0199", "INVALID_PHONE"),
        "abroad": ("+44 7911 123456", "COUNTRY_NOT_ALLOWED"),
        "shared-b": (spelled, "DUPLICATE_PHONE"),
        "shared-c": (shared, "DUPLICATE_PHONE"),
    }
    people = [Customer(user_id=f"r-{name}", phone=phone) for name, (phone, _) in unreachable.items()]
    people += [
        Customer(user_id="r-shared-a", phone=spelled),
        Customer(user_id="r-left", phone=new_phone(), status="inactive"),
        Customer(user_id="r-never", phone=new_phone(), status=None),
    ]
    replace_customers(quiet_cloud, people)

    rehearsal = quiet_cloud.broadcast({"dryRun": True})
    summary = quiet_cloud.broadcast()

    expected = {f"r-{name}": ("SUPPRESSED", reason) for name, (_, reason) in unreachable.items()}
    expected |= {"r-left": ("SUPPRESSED", "INACTIVE"), "r-never": ("SUPPRESSED", "INACTIVE")}
    assert report_of(quiet_cloud, summary["runId"]) == {**expected, "r-shared-a": ("ACCEPTED", None)}
    assert report_of(quiet_cloud, rehearsal["runId"]) == {**expected, "r-shared-a": ("WOULD_SEND", None)}
    assert [text["to"] for text in requests_to(quiet_cloud)] == [shared]
    assert summary["outcomes"] == {"ACCEPTED": 1, "SUPPRESSED": len(expected)}
    assert summary["reasons"] == rehearsal["reasons"]
    assert summary["customers"] == len(people)
