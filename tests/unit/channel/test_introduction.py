import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.encoding import Encoding, exceeds_cap, measure, normalise
from sms_engagement_runtime.channel.domain.introduction import introduced, plain

LINK = "https://r.example.com/r/" + "k" * 40
WITH_NAME = f"Hi John! Please review your recent purchase: {LINK}"
WITHOUT_NAME = f"Hi! Please review your recent purchase: {LINK}"


def body_of(body, *, shorter_body=None, sender_name="Demo Store", locale=None):
    text = introduced(plain(body), shorter_body=shorter_body, sender_name=sender_name, locale=locale)
    return None if text is None else text.body


def test_who_speaks_and_how_to_opt_out_stand_behind_the_text():
    assert body_of(WITH_NAME) == f"{WITH_NAME} Demo Store: Reply STOP to opt out"


def test_without_a_sender_name_it_says_how_to_opt_out():
    assert body_of(WITH_NAME, sender_name=None) == f"{WITH_NAME} Reply STOP to opt out"


# Each a little longer than the one before: what is least useful goes first. 160 characters are one part;
# " Demo Store: Reply STOP to opt out" has 34, " Reply STOP to opt out" 22, the name 6.
@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (126, "body, sender, stop"),
        (127, "no name, sender, stop"),
        (132, "no name, sender, stop"),
        (133, "body, stop"),
        (138, "body, stop"),
        (139, "no name, stop"),
        (144, "no name, stop"),
        (145, None),
        (160, None),
    ],
)
def test_the_longer_the_text_the_less_it_says(length, expected):
    body = "Maria " + "x" * (length - 6)
    shorter = "x" * (length - 6)
    ladder = {
        "body, sender, stop": f"{body} Demo Store: Reply STOP to opt out",
        "no name, sender, stop": f"{shorter} Demo Store: Reply STOP to opt out",
        "body, stop": f"{body} Reply STOP to opt out",
        "no name, stop": f"{shorter} Reply STOP to opt out",
        None: None,
    }

    assert body_of(body, shorter_body=shorter) == ladder[expected]


def test_a_long_name_gives_way_to_who_speaks():
    body = f"Hi Maximilianalexander-Constantin! Please review your recent purchase: {LINK}"

    assert body_of(body, shorter_body=WITHOUT_NAME) == f"{WITHOUT_NAME} Demo Store: Reply STOP to opt out"


def test_the_address_of_an_api_leaves_room_for_stop():
    link = "https://abcdefghij.execute-api.us-east-1.amazonaws.com/r/" + "k" * 40
    body = f"Hi John! Please review your recent purchase: {link}"
    shorter = f"Hi! Please review your recent purchase: {link}"

    said = body_of(body, shorter_body=shorter, sender_name=None)

    assert said == f"{shorter} Reply STOP to opt out"
    assert measure(said).parts == 1


@pytest.mark.parametrize(
    ("locale", "how"),
    [
        (None, "Reply STOP to opt out"),
        ("en-GB", "Reply STOP to opt out"),
        ("es", "Responde STOP para darte de baja"),
        ("es_MX", "Responde STOP para darte de baja"),
        ("fr-CA", "Répondez STOP pour vous désinscrire"),
        ("DE", "Antworten Sie STOP zum Abmelden"),
        ("pt-BR", "Responda STOP para sair"),
        ("ja", "Reply STOP to opt out"),
    ],
)
def test_it_is_said_in_the_language_of_the_text(locale, how):
    said = body_of("Hello", locale=locale)

    assert said == f"Hello Demo Store: {how}"
    assert measure(said).encoding is Encoding.GSM


def test_a_text_outside_gsm_stays_within_the_parts_that_it_has():
    assert body_of("Привет!") == "Привет! Demo Store: Reply STOP to opt out"
    assert body_of("Привет! " * 8) is None
    two_parts = "Łukasz, how was it? " + "x" * 60
    assert body_of(two_parts) == f"{two_parts} Demo Store: Reply STOP to opt out"


def test_a_text_of_several_parts_is_not_lengthened_by_another():
    assert body_of("a" * 306) is None
    assert body_of("a" * 272) == "a" * 272 + " Demo Store: Reply STOP to opt out"


WELCOME = "Welcome! Reply YES to confirm or STOP to unsubscribe."


@pytest.mark.parametrize(
    "body",
    [
        WELCOME,
        "Please reply YES to confirm your subscription, or STOP to unsubscribe.",
        "Sale today. Reply stop to opt out",
        "Sale today. Text 'STOP' to opt-out.",
        "Sale today. Txt STOP 2 end",
        "Sale today. STOP=end",
        "To unsubscribe, reply STOP.",
        "¡Hola! Responde SI para confirmar o STOP para darte de baja.",
        "Para darte de baja, responde STOP",
        "Bonjour ! Répondez STOP pour vous désinscrire.",
        "Bonjour ! STOP pour ne plus recevoir nos messages.",
        "Hallo! Antworten Sie STOP zum Abmelden.",
        "Hallo! Mit STOP, um sich abzumelden.",
        "Olá! Responda SIM para confirmar ou STOP para sair.",
    ],
)
def test_a_text_that_tells_how_to_opt_out_itself_gets_who_speaks_alone(body):
    assert body_of(body) == f"{plain(body).body} Demo Store"
    assert body_of(body, sender_name=None) == plain(body).body


@pytest.mark.parametrize(
    "body",
    [
        "Our new shop is at the bus stop.",
        "The BUS STOP in front of our shop has moved.",
        "A stop to leave your old phones is behind the shop.",
        "One stop to end all your worries!",
        "We never STOP.",
        "Don't stop believing!",
        "Reply STOP to cancel your appointment.",
        "You can opt out of the tour. The bus will STOP there.",
        "Nonstop to unsubscribed beaches",
    ],
)
def test_a_text_that_holds_the_word_by_accident_is_introduced_in_full(body):
    assert body_of(body) == f"{plain(body).body} Demo Store: Reply STOP to opt out"


def test_a_text_that_says_all_of_it_stays_as_it_is():
    body = "DEMO STORE: reply STOP to unsubscribe."

    assert body_of(body) == body


def test_where_who_speaks_does_not_fit_the_name_gives_way_and_then_who_speaks():
    long, short = "Maria " + "x" * 120, "x" * 120
    how = " STOP to opt out"

    assert body_of(long + how, shorter_body=short + how) == f"{long}{how} Demo Store"
    long, short = "Maria " + "x" * 129, "x" * 129
    assert body_of(long + how, shorter_body=short + how) == f"{short}{how} Demo Store"
    long, short = "Maria " + "x" * 138, "x" * 138
    assert body_of(long + how, shorter_body=short + how) == long + how


def test_typography_of_the_sender_costs_nothing():
    assert body_of("Hello", sender_name="Joe’s “Diner”") == 'Hello Joe\'s "Diner": Reply STOP to opt out'


def test_white_space_measures_as_nothing():
    assert plain(" \n").measured.parts == 0


@given(
    st.text(min_size=1, max_size=400),
    st.none() | st.text(max_size=400),
    st.none() | st.text(min_size=1, max_size=40),
    st.sampled_from([None, "en", "es", "fr", "de", "pt"]),
)
def test_the_text_stays_the_beginning_and_costs_no_more(body, shorter_body, sender_name, locale):
    text = plain(body)

    said = introduced(text, shorter_body=shorter_body, sender_name=sender_name, locale=locale)

    if said is not None:
        beginnings = [text.body] + ([] if shorter_body is None else [normalise(shorter_body)])
        assert any(said.body.startswith(beginning) for beginning in beginnings)
        assert "STOP" in said.body
        assert said.measured == measure(said.body)
        assert said.measured.parts <= text.measured.parts
        assert not exceeds_cap(said.measured)
