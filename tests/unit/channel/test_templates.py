import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.encoding import Encoding, measure, transliterate
from sms_engagement_runtime.channel.domain.templates import Catalogue, Template, fit_name, worst_case

WITH_NAME = Template("Hi {{name}}! Please review your recent purchase: {{link}}")
WITHOUT_NAME = Template("Hi! Please review your recent purchase: {{link}}")
LINK = "https://reviews.example.com/our-customers/r/" + "A" * 40


def _review_text(name: str | None) -> str:
    return (WITHOUT_NAME if name is None else WITH_NAME).render({"name": name or "", "link": LINK})


def test_knows_its_placeholders():
    assert WITH_NAME.placeholders == {"name", "link"}


def test_fills_in_its_placeholders():
    assert Template("Hi {{name}}, {{ name }}!").render({"name": "Ann", "spare": "x"}) == "Hi Ann, Ann!"


@pytest.mark.parametrize(
    "text", ["Hi {{Name}}", "Hi {{}}", "Hi {{name", "Hi name}}", "{{a b}}", "{{{name}}}", "{{1st}}"]
)
def test_refuses_malformed_placeholders(text):
    with pytest.raises(ValueError, match="malformed braces"):
        Template(text)


def test_refuses_a_blank_text():
    with pytest.raises(ValueError, match="must not be blank"):
        Template(" \n")


def test_names_unknown_placeholders():
    with pytest.raises(ValueError, match=r"unknown placeholder nmae .* known are link, name"):
        Template("Hi {{nmae}}").require_known({"name", "link"})


def test_accepts_known_placeholders():
    WITH_NAME.require_known({"name", "link", "more"})


def test_refuses_to_render_without_a_value():
    with pytest.raises(ValueError, match="no value for link"):
        WITH_NAME.render({"name": "Ann"})


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_value_is_never_read_as_a_template(name, link):
    text = Template("{{name}}|{{link}}").render({"name": name, "link": link})

    assert text == f"{name}|{link}"


def test_measures_the_worst_case():
    assert (
        worst_case(WITH_NAME, {"name": 20, "link": 70}).units
        == len("Hi ! Please review your recent purchase: ") + 90
    )
    assert worst_case(Template("{{name}} —"), {"name": 5}).encoding is Encoding.GSM


CATALOGUE = Catalogue(
    templates={"en": Template("Hello"), "fr": Template("Bonjour"), "fr-CA": Template("Allô")}
)


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("fr-CA", "Allô"),
        ("fr_ca", "Allô"),
        ("fr-CA-x-quebec", "Allô"),
        ("fr-BE", "Bonjour"),
        ("FR", "Bonjour"),
        ("en-GB", "Hello"),
        ("de", "Hello"),
        ("", "Hello"),
        (None, "Hello"),
        ("-", "Hello"),
    ],
)
def test_falls_back_along_the_locale(locale, text):
    assert CATALOGUE.resolve(locale).text == text


def test_a_catalogue_needs_its_default():
    with pytest.raises(ValueError, match="no text in the default locale en: fr"):
        Catalogue(templates={"fr": Template("Bonjour")})


def test_a_catalogue_refuses_a_locale_twice():
    with pytest.raises(ValueError, match="given twice"):
        Catalogue(templates={"en": Template("a"), "fr-CA": Template("b"), "fr_ca": Template("c")})


@pytest.mark.parametrize(
    ("name", "greeting"),
    [
        ("John", "Hi John!"),
        ("José", "Hi José!"),
        ("Łukasz", "Hi Lukasz!"),
        ("  Mary  Ann ", "Hi Mary Ann!"),
        ("Mary-Jane O’Neil", "Hi Mary-Jane O'Neil!"),
        ("J.R.", "Hi J.R.!"),
        ("Martin Jr.", "Hi Martin Jr.!"),
        ("Zoë 🎉", "Hi Zoe!"),
        ("Ann\nMarie", "Hi Ann Marie!"),
        ("Bob\x00\x07\u202e", "Hi Bob!"),
        ("Елена", "Hi!"),
        ("李雷", "Hi!"),
        ("", "Hi!"),
        ("   ", "Hi!"),
        (None, "Hi!"),
        ("😀", "Hi!"),
        ("...", "Hi!"),
        ("{{link}}", "Hi!"),
        ("{{name}}", "Hi!"),
        ("<b>Ann</b>", "Hi!"),
        ("evil.example.com", "Hi!"),
        ("https://evil.example", "Hi!"),
        ("W" * 41, "Hi!"),
        ("Wolfeschlegelsteinhausenbergerdorffsand", "Hi!"),  # would make a second part
    ],
)
def test_greets_by_name_where_that_is_possible(name, greeting):
    assert fit_name(_review_text, name).startswith(f"{greeting} Please")


NAMES = st.one_of(
    st.text(max_size=60),
    st.text(st.characters(categories=["L", "M"]), max_size=45),
    st.text("{}[]~|€^\\ abc", max_size=40),
    st.sampled_from(["{{link}}", "{{ name }}", "}} {{", "a\r\nb"]),
)


@given(NAMES)
@example("Ann\u2028Marie")
def test_no_first_name_whatsoever_makes_a_second_part_or_a_cut_name(name):
    text = fit_name(_review_text, name)

    assert measure(text).parts == 1
    assert measure(text).encoding is Encoding.GSM
    assert text.count(LINK) == 1
    assert "\n" not in text
    assert not any(c in text for c in "{}<>\r\x00")
    if text != _review_text(None):
        greeted = text.removeprefix("Hi ").removesuffix(f"! Please review your recent purchase: {LINK}")
        letters = transliterate("".join(c for c in name if c.isalpha()))
        assert letters is None or "".join(c for c in greeted if c.isalpha()) == "".join(
            c for c in letters if c.isalpha()
        )


def test_keeps_the_script_of_a_text_that_is_not_gsm_anyway():
    def render(name: str | None) -> str:
        return f"Привет, {name}!" if name else "Привет!"

    assert fit_name(render, "Елена") == "Привет, Елена!"
    assert fit_name(render, "Е" * 40, max_parts=1) == f"Привет, {'Е' * 40}!"
    assert fit_name(lambda name: f"Привет{'!' * 60} {name or ''}", "Елена") == f"Привет{'!' * 60} "
