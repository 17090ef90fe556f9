"""The review pages as documents: the fixed words, nothing from outside unescaped, nothing from elsewhere."""

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sms_engagement_runtime.review_collector.domain import form
from sms_engagement_runtime.review_collector.domain.form_texts import (
    BY_LANGUAGE,
    DEFAULT,
    Texts,
    choose_texts,
)
from sms_engagement_runtime.review_collector.domain.reviews import (
    RATING_NOT_A_NUMBER,
    RATING_OUT_OF_RANGE,
    RATING_REQUIRED,
    TEXT_NOT_TEXT,
    TEXT_TOO_LONG,
)

TOKEN = "EQ9O_AABAgMEBQYHCAkKCyPqUUm4BsHTq5PzxXjd"
ERRORS = (RATING_REQUIRED, RATING_NOT_A_NUMBER, RATING_OUT_OF_RANGE, TEXT_TOO_LONG, TEXT_NOT_TEXT)
EVIL = "\"'><script>alert(1)</script></textarea><img src=x onerror=alert(1)>&amp;"


class Page(HTMLParser):
    """Elements with their attributes, and the text inside each."""

    VOID = frozenset({"meta", "input", "path", "link", "img", "br"})

    def __init__(self, html):
        super().__init__()
        self.elements = []
        self.open = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "text": "", **dict(attrs)}
        self.elements.append(element)
        if tag not in self.VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.elements.append({"tag": tag, "text": "", **dict(attrs)})

    def handle_endtag(self, tag):
        while self.open and self.open.pop()["tag"] != tag:
            pass

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag, **attributes):
        return [
            e
            for e in self.elements
            if e["tag"] == tag and all(e.get(name) == value for name, value in attributes.items())
        ]

    def one(self, tag, **attributes):
        (element,) = self.all(tag, **attributes)
        return element


def test_the_form_has_the_fixed_words_and_fields():
    page = Page(form.review_form(TOKEN))

    assert page.one("h1")["text"] == "Review Your Purchase"
    assert page.one("title")["text"] == "Review Your Purchase"
    assert page.one("legend")["text"] == "Rate your experience:"
    assert [e["value"] for e in page.all("input", type="radio", name="rating")] == ["1", "2", "3", "4", "5"]
    assert page.one("label", **{"for": "review-text"})["text"] == "Tell us more (optional):"
    textarea = page.one("textarea")
    assert (textarea["name"], textarea["maxlength"]) == ("reviewText", "5000")
    assert textarea["placeholder"] == "Your feedback..."
    assert page.one("input", type="hidden")["name"] == "token"
    assert page.one("input", type="hidden")["value"] == TOKEN
    assert page.one("button", type="submit")["text"] == "Submit Review"
    assert page.one("form")["method"] == "post"
    assert page.one("meta", charset="utf-8")
    assert page.one("html")["lang"] == "en"


def test_every_star_has_a_label_in_reading_order():
    page = Page(form.review_form(TOKEN))

    labels = [page.one("label", **{"for": e["id"]})["text"] for e in page.all("input", type="radio")]

    assert labels == ["1 star", "2 stars", "3 stars", "4 stars", "5 stars"]


@pytest.mark.parametrize(("root", "action"), [("", "submit-review"), ("../", "../submit-review")])
def test_the_form_posts_beside_its_own_path(root, action):
    assert Page(form.review_form(TOKEN, root=root)).one("form")["action"] == action
    assert Page(form.expired_page(TOKEN, root=root)).one("form")["action"] == action.replace(
        "submit-review", "new-link"
    )


def test_what_was_typed_comes_back_with_its_errors():
    page = Page(
        form.review_form(
            TOKEN, rating="4", text="\n first line\nsecond", errors=(RATING_NOT_A_NUMBER, TEXT_TOO_LONG)
        )
    )

    assert [e["value"] for e in page.all("input", type="radio") if "checked" in e] == ["4"]
    # A parser of HTML drops the first line end of a textarea; html.parser does not.
    assert page.one("textarea")["text"] == "\n\n first line\nsecond"
    alert = page.one("div", role="alert")
    assert [e["text"] for e in page.all("li")] == [RATING_NOT_A_NUMBER, TEXT_TOO_LONG]
    assert "autofocus" in alert
    assert alert["tabindex"] == "-1"
    assert page.one("fieldset")["aria-describedby"] == alert["id"]
    assert page.one("textarea")["aria-describedby"] == alert["id"]


def test_only_what_is_wrong_is_marked():
    page = Page(form.review_form(TOKEN, errors=(TEXT_TOO_LONG,)))

    assert "aria-describedby" not in page.one("fieldset")
    assert page.one("textarea")["aria-invalid"] == "true"


def test_a_fresh_form_has_no_errors_and_nothing_chosen():
    page = Page(form.review_form(TOKEN))

    assert page.all("div", role="alert") == []
    assert not any("checked" in e for e in page.all("input"))
    assert page.one("textarea")["text"] == "\n"


@pytest.mark.parametrize("rating", ["0", "6", "five", None, "", EVIL, True, 4.5])
def test_a_rating_that_is_no_star_chooses_none(rating):
    assert not any("checked" in e for e in Page(form.review_form(TOKEN, rating=rating)).all("input"))


def pages(texts: Texts = DEFAULT, *, token=TOKEN, text="", rating=None, errors=()):
    return {
        "form": form.review_form(token, texts, rating=rating, text=text, errors=errors),
        "thanks": form.thanks_page(texts.thanks, texts),
        "message": form.message_page(texts.invalid, texts),
        "expired": form.expired_page(token, texts),
        "still good": form.still_good_page(token, texts),
    }


@given(token=st.text(max_size=60), text=st.text(max_size=60))
@settings(max_examples=50)
def test_nothing_from_outside_becomes_markup(token, text):
    plain = [e["tag"] for e in Page(form.review_form("", text="")).elements]

    page = Page(form.review_form(token + EVIL, rating=EVIL, text=text + EVIL))

    assert [e["tag"] for e in page.elements] == plain
    assert page.one("textarea")["text"] == "\n" + (text + EVIL)
    assert page.one("input", type="hidden")["value"] == token + EVIL


@pytest.mark.parametrize("name", pages())
def test_an_evil_token_stays_text_on_every_page(name):
    assert [e["tag"] for e in Page(pages(token=EVIL)[name]).elements] == [
        e["tag"] for e in Page(pages()[name]).elements
    ]


@pytest.mark.parametrize("name", pages())
@pytest.mark.parametrize("language", BY_LANGUAGE)
def test_pages_load_nothing_from_anywhere(language, name):
    html = pages(BY_LANGUAGE[language])[name]

    assert not re.search(r"https?:|//|url\(|@import|<link|<img|<iframe", html)
    assert not Page(html).all("script", src=None)[1:]


@pytest.mark.parametrize("name", pages())
def test_style_and_script_are_those_that_the_policy_names(name):
    page = Page(pages(text=EVIL)[name])

    for tag in ("style", "script"):
        for element in page.all(tag):
            digest = b64encode(sha256(element["text"].encode()).digest()).decode()
            assert f"{tag}-src 'sha256-{digest}'" in form.CONTENT_SECURITY_POLICY
    # Attributes that hold style or script are not covered by a hash.
    assert not [e for e in page.elements for name in e if name == "style" or name.startswith("on")]


def test_the_policy_allows_nothing_else():
    directives = dict(part.strip().split(" ", 1) for part in form.CONTENT_SECURITY_POLICY.split(";"))

    assert directives.keys() == {
        "default-src", "style-src", "script-src", "form-action", "frame-ancestors", "base-uri",
    }  # fmt: skip
    assert directives["default-src"] == directives["frame-ancestors"] == directives["base-uri"] == "'none'"
    assert directives["form-action"] == "'self'"
    assert "unsafe" not in form.CONTENT_SECURITY_POLICY


@pytest.mark.parametrize("language", BY_LANGUAGE)
def test_pages_say_their_language_and_direction(language):
    texts = BY_LANGUAGE[language]

    for html in pages(texts).values():
        root = Page(html).one("html")
        assert root["lang"] == language
        assert root["dir"] == ("rtl" if language == "ar" else "ltr")


@pytest.mark.parametrize("language", BY_LANGUAGE)
def test_errors_are_said_in_the_language_of_the_page(language):
    items = [e["text"] for e in Page(form.review_form(TOKEN, BY_LANGUAGE[language], errors=ERRORS)).all("li")]

    assert len(set(items)) == len(ERRORS)
    assert (items == list(ERRORS)) is (language == "en")


@pytest.mark.parametrize("language", BY_LANGUAGE)
def test_every_language_says_everything(language):
    texts = BY_LANGUAGE[language]

    said = form.review_form(TOKEN, texts)
    assert "{n}" in texts.remaining
    assert texts.heading in said
    for words in (texts.expired, texts.still_good):
        assert words.action
    if language != "en":
        ours = {slot: getattr(texts, slot) for slot in Texts.__slots__ if slot not in ("locale", "direction")}
        english = {slot: getattr(DEFAULT, slot) for slot in ours}
        assert not [slot for slot in ours if ours[slot] == english[slot]]


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("de", "de"),
        ("fr-CA", "fr"),
        ("FR-ca", "fr"),
        ("ar-EG,en;q=0.5", "ar"),
        ("pt-BR,pt;q=0.9,es;q=0.8,en;q=0.7", "es"),
        ("en;q=0.1, de;q=0.9", "de"),
        ("en-GB,de;q=0.9", "en"),
        ("de;q=0, fr;q=0.1", "fr"),
        ("de;q=nonsense,fr;q=0.1", "fr"),
        ("*", "en"),
        ("ja,zh;q=0.9", "en"),
        (";;;,,,q=", "en"),
        ("de;q=nan", "en"),
        ("x" * 300 + ",de", "en"),
        ("de," * 100_000, "de"),
    ],
)
def test_language_follows_the_browser(header, language):
    assert choose_texts(header).locale == language


def relative_luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    light, dark = sorted((relative_luminance(one), relative_luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def palettes():
    style = Page(form.review_form(TOKEN)).one("style")["text"]
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]+);", block))
        yield {
            name: value if len(value) == 7 else "#" + "".join(c * 2 for c in value[1:])
            for name, value in colours.items()
        }


@pytest.mark.parametrize("palette", list(palettes()), ids=["light", "dark"])
def test_contrast_is_that_of_wcag_aa(palette):
    # WCAG 2.2: 1.4.3 asks 4.5 for text, 1.4.11 asks 3 for what tells a control and its state.
    for ink, paper in [
        ("ink", "card"), ("soft", "card"), ("on-accent", "accent"), ("alarm", "alarm-page"),
    ]:  # fmt: skip
        assert contrast(palette[ink], palette[paper]) >= 4.5, (ink, paper)
    for mark in ("line", "edge", "empty", "accent"):
        assert contrast(palette[mark], palette["card"]) >= 3, mark
