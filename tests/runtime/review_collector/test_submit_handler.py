"""Posts to the review API, from browsers and programs, against DynamoDB, SNS and EventBridge in moto."""

import json
import re
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import quote_plus, urlencode

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sns import sns_backends

from sms_engagement_runtime.review_collector.adapters.dynamodb_requests import DynamoReviewRequests
from sms_engagement_runtime.review_collector.domain.link_keys import LinkKeys
from sms_engagement_runtime.review_collector.domain.requests import ReviewRequest, reference_to_id
from tests.support.handlers import Context, fresh_handler
from tests.support.http_events import api_event
from tests.support.review_fakes import LINK_KEYS
from tests.support.review_tables import REVIEW_REQUESTS, REVIEWS, aws_client, review_tables
from tests.support.secret_server import secret_server

SUBMIT = "sms_engagement_runtime.review_collector.handlers.submit"
SECRET = json.dumps({"active": 1, "k1": "a link key of the tests"})
TOPIC = f"arn:aws:sns:us-east-1:{DEFAULT_ACCOUNT_ID}:admin"
REFERENCE = bytes(range(12))
REVIEW_ID = reference_to_id(REFERENCE)
WEEK = timedelta(days=7)
FORM = "application/x-www-form-urlencoded"
BROWSER = {"accept": "text/html,*/*;q=0.8", "content-type": FORM}
PROGRAM = {"accept": "application/json", "content-type": "application/json"}
THANKS = "Thank you for your review!"
RATING_REQUIRED = "Rating is required"
RATING_NUMBER = "Rating must be a number"
RATING_BETWEEN = "Rating must be between 1 and 5"
TOO_LONG = "Review text exceeds 5000 character limit"


def link(expires_in=WEEK, keys=LINK_KEYS, reference=REFERENCE):
    return keys.mint(reference, expires_at=datetime.now(UTC) + expires_in)


class Shop:
    """The API, and what can be seen behind it."""

    def __init__(self, dynamodb, module, bus_events):
        self.dynamodb = dynamodb
        self.module = module
        self.requests = DynamoReviewRequests(dynamodb, table=REVIEW_REQUESTS)
        self.bus_events = bus_events

    def asked(self, name="John Doe"):
        now = datetime.now(UTC)
        self.requests.reserve(
            ReviewRequest(
                request_id=REVIEW_ID,
                user_id="u1",
                occasion="registration",
                name=name,
                recorded_at=now,
                asked_at=now,
            )
        )

    def post(self, body, *, headers=PROGRAM, path="/submit-review", as_bytes=False):
        if isinstance(body, dict):
            body = urlencode(body) if headers["content-type"].startswith(FORM) else json.dumps(body)
        body = body.encode() if as_bytes else body
        response = self.module.handler(api_event(f"POST {path}", headers=headers, body=body), Context())
        self.last = response
        return response["statusCode"]

    @property
    def body(self):
        return self.last["body"]

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def rows(self):
        return self.dynamodb.scan(TableName=REVIEWS)["Items"]

    @property
    def notices(self):
        return [
            (subject, message)
            for _, message, subject, *_ in sns_backends[DEFAULT_ACCOUNT_ID]["us-east-1"]
            .topics[TOPIC]
            .sent_notifications
        ]

    @property
    def headlines(self):
        return [message.splitlines()[0] for _, message in self.notices]


@pytest.fixture(scope="module")
def server():
    with secret_server(SECRET) as server:
        yield server


@pytest.fixture(scope="module")
def submit(server):
    environment = {
        "LINK_SECRET_ARN": "link-keys",
        "REVIEW_REQUESTS_TABLE": REVIEW_REQUESTS,
        "REVIEWS_TABLE": REVIEWS,
        "ADMIN_TOPIC_ARN": TOPIC,
        "BUS_NAME": "channel",
        "EDIT_WINDOW_SECONDS": "86400",
        "RETENTION_DAYS": "0",
        "LINK_LIFETIME_SECONDS": "604800",
        "POWERTOOLS_SERVICE_NAME": "shop-review-collector",
        **server.environment(),
    }
    with fresh_handler(SUBMIT, environment) as module:
        yield module


@pytest.fixture
def shop(submit, monkeypatch):
    with review_tables() as dynamodb:
        aws_client("sns").create_topic(Name="admin")
        aws_client("events").create_event_bus(Name="channel")
        events = []
        bus = submit._pages.desk.bus
        publish = bus.publish
        monkeypatch.setattr(
            type(bus),
            "publish",
            lambda self, kind, detail: (events.append((kind, dict(detail))), publish(kind, detail)),
        )
        shop = Shop(dynamodb, submit, events)
        shop.asked()
        yield shop


def review(rating="5", text="Great!", token=None):
    return {"token": link() if token is None else token, "rating": rating, "reviewText": text}


class TestAReview:
    def test_by_a_program_is_stored_and_announced(self, shop):
        assert shop.post(review()) == 201

        assert shop.json == {"message": THANKS, "reviewId": REVIEW_ID}
        (row,) = shop.rows
        assert (row["userId"], row["rating"], row["reviewText"]) == ({"S": "u1"}, {"N": "5"}, {"S": "Great!"})
        assert row["status"] == {"S": "new"}
        assert shop.notices == [
            ("New review", f"New 5★ review from John Doe\n\nGreat!\n\nReview {REVIEW_ID}")
        ]
        assert shop.bus_events == [
            (
                "ReviewSubmitted",
                {"reviewId": REVIEW_ID, "userId": "u1", "rating": 5, "occasion": "registration"},
            )
        ]
        assert shop.requests.get(REVIEW_ID).answered_at is not None

    def test_by_a_browser_is_thanked_on_a_page(self, shop):
        assert shop.post(review(), headers=BROWSER) == 201

        assert f"<h1>{THANKS}</h1>" in shop.body
        assert shop.last["headers"]["content-type"] == "text/html; charset=utf-8"
        assert "content-security-policy" in shop.last["headers"]

    def test_arrives_as_base64_too(self, shop):
        assert shop.post(review(text="Naïve 😀"), headers=BROWSER, as_bytes=True) == 201
        assert shop.rows[0]["reviewText"] == {"S": "Naïve 😀"}

    @pytest.mark.parametrize(
        "content_type",
        ["application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'],
    )
    def test_is_json_however_that_is_spelled(self, shop, content_type):
        assert shop.post(json.dumps(review(rating=5)), headers={"Content-Type": content_type}) == 201
        # Without a preference the answer comes in the format of the question.
        assert shop.json["message"] == THANKS

    @pytest.mark.parametrize("content_type", [FORM, f"{FORM}; charset=UTF-8"])
    def test_is_a_form_however_that_is_spelled(self, shop, content_type):
        assert shop.post(review(), headers={"content-type": content_type, "accept": "*/*"}) == 201
        assert "<!DOCTYPE html>" in shop.body

    @pytest.mark.parametrize(
        "text",
        [
            "<script>alert(1)</script> & <b>bold</b>",
            "😀👩‍👩‍👧 مرحبا \u200fשלום",
            "quotes \" ' ` and {{link}} ${x}",
            "'; DROP TABLE reviews; --",
        ],
    )
    @pytest.mark.parametrize("headers", [PROGRAM, BROWSER], ids=["json", "form"])
    def test_keeps_its_words(self, shop, text, headers):
        assert shop.post(review(text=text), headers=headers) == 201
        assert shop.rows[0]["reviewText"] == {"S": text}

    def test_of_5000_characters_with_2500_line_breaks_is_taken_from_a_browser(self, shop):
        sent = ("ab" + "\n" * 2500 + "c" * 2498).replace("\n", "\r\n")

        assert shop.post(review(text=sent), headers=BROWSER) == 201
        stored = shop.rows[0]["reviewText"]["S"]
        assert (len(stored), stored.count("\n"), "\r" in stored) == (5000, 2500, False)

    @pytest.mark.parametrize("headers", [PROGRAM, BROWSER], ids=["json", "form"])
    def test_of_5000_emoji_is_taken(self, shop, headers):
        assert shop.post(review(text="😀" * 5000), headers=headers) == 201
        assert shop.rows[0]["reviewText"] == {"S": "😀" * 5000}

    def test_with_half_a_surrogate_pair_and_a_nul_is_stored_without(self, shop):
        body = json.dumps(review()).replace("Great!", "half \\ud83d nul \\u0000")

        assert shop.post(body) == 201
        assert shop.rows[0]["reviewText"] == {"S": "half \N{REPLACEMENT CHARACTER} nul"}

    @pytest.mark.parametrize(
        ("name", "headline"),
        [
            ("<script>alert(1)</script>", "New 5★ review from <script>alert(1)</script>"),
            ("John\nSubject: evil\u202e", "New 5★ review from John Subject: evil"),
            ("a" * 100, "New 5★ review from " + "a" * 60),
            (None, "New 5★ review from a customer"),
        ],
    )
    def test_is_announced_in_one_line_whatever_the_name(self, shop, name, headline):
        shop.dynamodb.delete_item(TableName=REVIEW_REQUESTS, Key={"requestId": {"S": REVIEW_ID}})
        shop.asked(name=name)

        assert shop.post(review()) == 201
        assert shop.headlines == [headline]
        assert shop.notices[0][0] == "New review"


class TestOnceAnOccasion:
    def test_a_second_post_edits(self, shop):
        shop.post(review())

        assert shop.post(review(rating="2", text="Broke")) == 200

        assert shop.json == {"message": THANKS, "reviewId": REVIEW_ID}
        (row,) = shop.rows
        assert (row["rating"], row["status"], row["version"]) == ({"N": "2"}, {"S": "new"}, {"N": "2"})
        assert "updatedAt" in row
        assert len(shop.notices) == 1

    def test_a_second_post_says_so_on_a_page(self, shop):
        shop.post(review(), headers=BROWSER)

        assert shop.post(review(rating="2"), headers=BROWSER) == 200
        assert THANKS in shop.body
        assert "changed" in shop.body

    def test_after_the_window_it_is_409(self, shop):
        shop.post(review())
        past = str(int((datetime.now(UTC) - timedelta(days=2)).timestamp() * 1000))
        shop.dynamodb.update_item(
            TableName=REVIEWS,
            Key={"reviewId": {"S": REVIEW_ID}},
            UpdateExpression="SET #t = :t",
            ExpressionAttributeNames={"#t": "timestamp"},
            ExpressionAttributeValues={":t": {"N": past}},
        )

        assert shop.post(review(rating="1")) == 409
        assert shop.json == {"errors": ["We have your review already"]}
        assert shop.rows[0]["rating"] == {"N": "5"}
        assert shop.post(review()) == 200

    def test_two_posts_at_once_make_one_row_and_one_notice(self, shop):
        event = api_event("POST /submit-review", headers=PROGRAM, body=json.dumps(review()))

        with ThreadPoolExecutor(8) as pool:
            statuses = [
                r["statusCode"] for r in pool.map(lambda _: shop.module.handler(event, Context()), range(8))
            ]

        assert sorted(statuses) == [200] * 7 + [201]
        assert len(shop.rows) == 1
        assert len(shop.notices) == 1


class TestWrongFields:
    @pytest.mark.parametrize(
        ("fields", "errors"),
        [
            ({}, [RATING_REQUIRED]),
            ({"rating": ""}, [RATING_REQUIRED]),
            ({"rating": "0"}, [RATING_BETWEEN]),
            ({"rating": "6"}, [RATING_BETWEEN]),
            ({"rating": "4.5"}, [RATING_NUMBER]),
            ({"rating": "five"}, [RATING_NUMBER]),
            ({"rating": "five", "reviewText": "a" * 5001}, [RATING_NUMBER, TOO_LONG]),
            ({"reviewText": "a" * 5001}, [RATING_REQUIRED, TOO_LONG]),
            ({"rating": "5", "reviewText": "a" * 5001}, [TOO_LONG]),
        ],
    )
    @pytest.mark.parametrize("headers", [PROGRAM, BROWSER], ids=["json", "form"])
    def test_are_told_all_at_once(self, shop, fields, errors, headers):
        assert shop.post({"token": link(), **fields}, headers=headers) == 400

        if headers is PROGRAM:
            assert shop.json == {"errors": errors}
        else:
            assert re.findall(r"<li>(.*?)</li>", shop.body) == errors
        assert shop.rows == []
        assert shop.notices == []

    @pytest.mark.parametrize(
        ("rating", "error"),
        [
            ("true", RATING_NUMBER),
            ("4.5", RATING_NUMBER),
            ("null", RATING_REQUIRED),
            ("0", RATING_BETWEEN),
            ("[5]", RATING_NUMBER),
        ],
    )
    def test_of_json_types_are_told(self, shop, rating, error):
        assert shop.post(f'{{"token": "{link()}", "rating": {rating}}}') == 400
        assert shop.json == {"errors": [error]}

    def test_a_rating_given_twice_is_no_number(self, shop):
        token = link()

        assert shop.post(f"token={token}&rating=5&rating=5", headers=BROWSER) == 400
        assert RATING_NUMBER in shop.body
        assert shop.post(f'{{"token": "{token}", "rating": 5, "rating": 5}}') == 400
        assert shop.json == {"errors": [RATING_NUMBER]}

    def test_what_was_typed_is_kept_and_escaped(self, shop):
        typed = "Nice <b>shop</b>\n" + "x" * 5000

        assert shop.post(review(rating="4", text=typed), headers=BROWSER) == 400

        assert 'role="alert"' in shop.body
        assert '<input type="radio" name="rating" id="rating-4" value="4" required checked>' in shop.body
        assert "Nice &lt;b&gt;shop&lt;/b&gt;\n" in shop.body
        assert 'action="submit-review"' in shop.body

    def test_are_told_in_the_language_of_the_browser(self, shop):
        shop.post(review(rating=""), headers=BROWSER | {"accept-language": "de"})
        assert "Bitte vergeben Sie Sterne" in shop.body

        shop.post(review(rating=""), headers=PROGRAM | {"accept-language": "de"})
        assert shop.json == {"errors": [RATING_REQUIRED]}

    @pytest.mark.parametrize("token", ["", None])
    def test_without_a_token_it_is_400(self, shop, token):
        assert shop.post({"token": token, "rating": "9"}) == 400
        assert shop.json == {"errors": ["Token is required", RATING_BETWEEN]}
        assert shop.post({"rating": "5"}, headers=BROWSER) == 400
        assert "Part of the link is missing" in shop.body


def bad_tokens():
    good = link()
    return {
        "forged": good[:-1] + ("A" if good[-1] != "A" else "B"),
        "cut": good[:-1],
        "garbage": "x",
        "foreign": link(keys=LinkKeys(1, {1: b"a key of somebody else's"})),
        "future": link(expires_in=timedelta(days=30)),
        "number": 5,
        "list": [good],
        "object": {"token": good},
    }


class TestTheLink:
    @pytest.mark.parametrize("kind", bad_tokens())
    @pytest.mark.parametrize("path", ["/submit-review", "/new-link"])
    def test_that_is_not_ours_is_403(self, shop, kind, path):
        assert shop.post(review(token=bad_tokens()[kind]), path=path) == 403
        assert shop.json == {"errors": ["This link does not work"]}
        assert shop.rows == []
        assert shop.bus_events == []

    def test_given_twice_is_403(self, shop):
        assert shop.post(f"token={link()}&token={link()}&rating=5", headers=BROWSER) == 403

    def test_that_expired_is_410_with_a_way_on(self, shop):
        token = link(expires_in=timedelta(minutes=-1))

        assert shop.post(review(token=token)) == 410
        assert shop.post(review(token=token), headers=BROWSER) == 410
        assert 'action="new-link"' in shop.body
        assert shop.rows == []

    def test_of_a_request_that_is_gone_is_410(self, shop):
        token = link(reference=b"nobody asked")

        assert shop.post(review(token=token)) == 410
        assert shop.post(review(token=token), headers=BROWSER) == 410
        assert "no longer open" in shop.body
        assert shop.rows == []


class TestTheBody:
    @pytest.mark.parametrize(
        "content_type",
        [
            None,
            "",
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/xml",
            f"{FORM}; charset=latin-1",
        ],
    )
    def test_of_another_type_is_415(self, shop, content_type):
        headers = {"accept": "application/json"} | (
            {} if content_type is None else {"content-type": content_type}
        )

        assert shop.post(json.dumps(review()), headers=headers) == 415
        assert shop.rows == []

    @pytest.mark.parametrize("size", [64 * 1024 + 1, 1_000_000])
    @pytest.mark.parametrize("as_bytes", [False, True])
    @pytest.mark.parametrize("headers", [PROGRAM, BROWSER], ids=["json", "form"])
    def test_that_is_too_large_is_413_before_it_is_read(self, shop, monkeypatch, size, as_bytes, headers):
        def never(*_, **__):
            raise AssertionError("the body was parsed")

        monkeypatch.setattr("sms_engagement_runtime.review_collector.handlers.fields.json.loads", never)
        monkeypatch.setattr("sms_engagement_runtime.review_collector.handlers.fields.parse_qsl", never)

        assert shop.post("x" * size, headers=headers, as_bytes=as_bytes) == 413

    def test_is_measured_in_bytes(self, shop):
        assert shop.post("é" * 40_000) == 413

    @pytest.mark.parametrize(
        "body",
        [
            "",
            "{",
            "[]",
            "null",
            "5",
            '"text"',
            '{"rating": NaN}',
            '{"rating": 5',
            "[" * 60_000,
            '{"a":' * 10_000,
        ],
    )
    def test_that_is_no_json_is_400(self, shop, body):
        assert shop.post(body) == 400
        assert shop.json == {"errors": ["We could not read that"]}

    def test_that_is_no_utf_8_is_400(self, shop):
        token = link()
        latin = f'{{"token": "{token}", "rating": 5, "reviewText": "caf\xe9"}}'.encode("latin-1")

        event = api_event("POST /submit-review", headers=PROGRAM, body=latin)
        assert shop.module.handler(event, Context())["statusCode"] == 400
        assert shop.post(f"token={token}&rating=5&reviewText=caf%E9", headers=BROWSER) == 400
        assert (
            shop.post(f"token={token}&rating=5&reviewText=café".encode().decode("latin-1"), headers=BROWSER)
            == 400
        )
        assert shop.rows == []

    def test_that_is_no_base64_is_400(self, shop):
        event = api_event("POST /submit-review", headers=PROGRAM, body="%%%", is_base64=True)

        assert shop.module.handler(event, Context())["statusCode"] == 400

    def test_with_a_thousand_fields_is_400(self, shop):
        assert shop.post("&".join(f"f{n}=1" for n in range(1000)), headers=BROWSER) == 400

    def test_may_have_more_fields_than_ours(self, shop):
        assert shop.post({**review(), "other": "x"}, headers=BROWSER) == 201


class TestNewLink:
    def expired(self):
        return {"token": link(expires_in=timedelta(days=-1))}

    def test_is_asked_for_once_an_occasion(self, shop):
        assert shop.post(self.expired(), headers=BROWSER, path="/new-link") == 202
        assert "A new link is on its way" in shop.body
        assert shop.post(self.expired(), path="/new-link") == 202

        assert shop.bus_events == [("ReviewLinkRequested", {"requestId": REVIEW_ID})]
        assert shop.requests.get(REVIEW_ID).new_link_at is not None

    def test_that_has_expired_too_is_gone_and_no_other_is_promised(self, shop):
        shop.requests.mark_new_link(REVIEW_ID, datetime.now(UTC) - WEEK)

        assert shop.post(self.expired(), headers=BROWSER, path="/new-link") == 410
        assert "A new link is on its way" not in shop.body
        assert shop.bus_events == []

    def test_is_not_needed_while_the_old_one_works(self, shop):
        token = link()

        assert shop.post({"token": token}, path="/new-link") == 200
        assert shop.post({"token": token}, headers=BROWSER, path="/new-link") == 200
        assert f'href="r/{token}"' in shop.body
        assert shop.bus_events == []

    def test_is_not_sent_where_there_is_nothing_to_review(self, shop):
        unknown = {"token": link(expires_in=timedelta(days=-1), reference=b"nobody asked")}
        assert shop.post(unknown, path="/new-link") == 410

        shop.post(review())
        shop.bus_events.clear()
        assert shop.post(self.expired(), headers=BROWSER, path="/new-link") == 410
        assert shop.bus_events == []

    def test_needs_a_token(self, shop):
        assert shop.post({"token": ""}, path="/new-link") == 400


class TestFaults:
    def test_a_table_that_does_not_answer_is_503_and_a_retry_completes_it(self, shop):
        shop.dynamodb.delete_table(TableName=REVIEWS)

        assert shop.post(review(), headers=BROWSER) == 503
        assert "The fault is ours" in shop.body
        assert "dynamodb" not in shop.body.lower()

    def test_a_topic_that_is_gone_does_not_trouble_the_person(self, shop, capsys):
        aws_client("sns").delete_topic(TopicArn=TOPIC)

        assert shop.post(review()) == 201
        unannounced, _ = map(json.loads, capsys.readouterr().out.splitlines())
        assert unannounced["message"] == "Review stored without notice"
        assert unannounced["service"] == "shop-review-collector"
        assert "announcedAt" not in shop.rows[0]

    @pytest.mark.parametrize("port", ["admin_topic", "bus"])
    def test_what_hangs_is_given_up_before_the_function_is_cut_off(self, submit, port):
        config = getattr(submit._pages.desk, port)._client.meta.config
        attempts = config.retries["total_max_attempts"]
        back_off = attempts - 1

        assert attempts * (config.connect_timeout + config.read_timeout) + back_off <= 7

    def test_a_notice_that_was_missed_goes_out_with_the_next_post(self, shop):
        sns = aws_client("sns")
        sns.delete_topic(TopicArn=TOPIC)
        shop.post(review())
        sns.create_topic(Name="admin")
        shop.dynamodb.update_item(
            TableName=REVIEWS,
            Key={"reviewId": {"S": REVIEW_ID}},
            UpdateExpression="SET announcingUntil = :past",
            ExpressionAttributeValues={":past": {"N": "0"}},
        )

        assert shop.post(review()) == 200
        assert shop.post(review()) == 200
        assert shop.headlines == ["New 5★ review from John Doe"]


def test_no_log_line_holds_token_words_or_name(shop, capsys):
    token = link()
    for headers in (PROGRAM, BROWSER):
        for body in (
            review(token=token, text="a secret opinion"),
            review(token=token, rating="7", text="a secret opinion"),
            review(token=token[:-1], text="a secret opinion"),
        ):
            shop.post(body, headers=headers)
    shop.post("{" + token + "a secret opinion")
    aws_client("sns").delete_topic(TopicArn=TOPIC)
    shop.post(review(token=token, text="another secret opinion"))

    out, err = capsys.readouterr()
    log = out + err
    assert [json.loads(line)["status"] for line in out.splitlines()] == [
        201,
        400,
        403,
        200,
        400,
        403,
        400,
        200,
    ]
    for private in (
        token[:20],
        quote_plus(token)[:20],
        b64encode(token.encode()).decode()[:20],
        "secret opinion",
        "John",
    ):
        assert private not in log
