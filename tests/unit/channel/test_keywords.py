from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.keywords import (
    MAX_CHARACTERS,
    Keyword,
    is_answered_by_service,
    is_service_opt_out,
    recognise,
    says_cancel,
    says_wrong_number,
)

CORPUS = Path(__file__).parents[2] / "events" / "inbound-corpus.txt"


def _corpus() -> list[tuple[Keyword, str]]:
    lines = [line for line in CORPUS.read_text("utf-8").split("\n") if line and not line.startswith("# ")]
    labelled = [line.partition("\t") for line in lines]
    return [(Keyword(label), _unescape(text)) for label, _, text in labelled]


def _unescape(text: str) -> str:
    pieces = text.replace("\\n", "\n").split("\\u")
    return pieces[0] + "".join(chr(int(piece[:4], 16)) + piece[4:] for piece in pieces[1:])


def test_the_corpus_is_large_enough_to_mean_something():
    assert len(_corpus()) >= 150


@pytest.mark.parametrize(("keyword", "text"), _corpus(), ids=lambda value: ascii(str(value)))
def test_recognises_what_people_write(keyword, text):
    assert recognise(text) is keyword


@pytest.mark.parametrize("label", ["WRONG_NUMBER", "AMBIGUOUS_WRONG_NUMBER", "FREE_TEXT"])
def test_the_corpus_says_enough_of_wrong_numbers_and_what_looks_like_them(label):
    assert len([text for keyword, text in _corpus() if keyword == label]) >= 30


@pytest.mark.parametrize(
    ("keyword", "text"),
    # An opt-out may say it too.
    [line for line in _corpus() if line[0] is not Keyword.OPT_OUT],
    ids=lambda value: ascii(str(value)),
)
def test_nothing_but_what_says_so_is_a_wrong_number(keyword, text):
    assert says_wrong_number(text) is (keyword is Keyword.WRONG_NUMBER)


@pytest.mark.parametrize(
    "text",
    [
        "wrong number!! unsubscribe!!",
        "Wrong number. Stop texting me",
        "STOP. Wrong number",
        "Sorry, wrong person, stop texting me",
        "Número errado. STOP",
    ],
)
def test_an_opt_out_may_say_too_that_the_number_is_wrong(text):
    assert recognise(text) is Keyword.OPT_OUT
    assert says_wrong_number(text)


def test_nothing_said_is_no_wrong_number():
    assert not says_wrong_number(None)


WRONG_NUMBER_WORDS = (
    "wrong number,you have the wrong number,número equivocado,número incorrecto,mauvais numéro,"
    "numéro incorrect,numéro erroné,falsche Nummer,número errado,número incorreto"
)


@given(
    st.sampled_from(WRONG_NUMBER_WORDS.split(",")),
    st.text(" .,!\"'\u200b\ufeff\u2019\U0001f64f\n*", max_size=6),
    st.text(" .,!\"'\u200b\ufeff\u2019\U0001f64f\n*", max_size=6),
)
def test_no_decoration_hides_a_wrong_number_but_a_question_mark_does(words, before, after):
    assert recognise(f"{before}{words.swapcase()}{after}") is Keyword.WRONG_NUMBER
    assert recognise(f"{before}{words}?{after}") is Keyword.AMBIGUOUS_WRONG_NUMBER


@pytest.mark.parametrize(
    "text",
    [
        "CANCEL",
        "cancel",
        "Cancel.",
        " \u201ccancel\u201d!! ",
        "CANCELLL",
        "ccancel",
        "C A N C E L",
        "c.a.n.c.e.l",
        "\uff23\uff21\uff2e\uff23\uff25\uff2c",
        "Can\u200bcel",
        "please cancel",
        "Cancel please, thank you very much",
        "Cancel. Thanks!",
        "cancel cancel",
    ],
)
def test_a_bare_cancel_is_an_opt_out_that_may_mean_what_was_asked_about(text):
    assert says_cancel(text)
    assert recognise(text) is Keyword.OPT_OUT


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "thanks",
        "STOP",
        "END",
        "cancel stop",
        "Cancel. Stop texting me",
        "cancel my appointment",
        "please cancel it",
        "cancelled",
        "don't cancel",
        "cancel?! no",
        "s t o p",
    ],
)
def test_anything_else_is_no_bare_cancel(text):
    assert not says_cancel(text)


@given(st.text("cancelCANEL .,please", max_size=30))
def test_every_bare_cancel_is_an_opt_out(text):
    assert recognise(text) is Keyword.OPT_OUT or not says_cancel(text)


def test_no_body_is_empty():
    assert recognise(None) is Keyword.EMPTY


FIXED_WORDS = "STOP,STOPALL,UNSUBSCRIBE,CANCEL,END,QUIT,REVOKE,REMOVE,OPTOUT,OPT-OUT,OPT OUT,ARRET,TD"
DECORATION = st.text(" .,!?\"'\u200b\ufeff\u2019\U0001f64f\n*", max_size=6)


@given(
    st.sampled_from(FIXED_WORDS.split(",")),
    DECORATION,
    DECORATION,
    st.sampled_from(["", "please", "thank you", "thanks"]),
)
def test_no_decoration_hides_an_opt_out_word(word, before, after, courtesy):
    assert recognise(f"{before}{word.swapcase()}{after} {courtesy}") is Keyword.OPT_OUT


@given(st.text(max_size=300))
def test_any_text_is_recognised_as_something(text):
    assert recognise(text) in Keyword


@given(st.sampled_from(["STOP", "please stop texting me", "unsubscribe"]), st.text(max_size=200))
def test_a_request_to_stop_in_a_sentence_of_its_own_wins_over_whatever_else_is_said(request_, text):
    assert recognise(f"{text}\n{request_}") is Keyword.OPT_OUT


@pytest.mark.parametrize(
    "text",
    [
        "stop " * 400,
        "a" * 100_000,
        "please " * 10_000,
        "can you " * 5000,
        "\ufdfa" * 20_000,
        "." * 50_000,
        "stop, " * 9000,
        "wrong number, " * 9000,
        "so sorry " * 9000,
    ],
    ids=lambda text: ascii(text[:10]),
)
def test_only_as_much_is_read_as_the_service_can_deliver(text):
    assert recognise(text) is recognise(text[:MAX_CHARACTERS])


@pytest.mark.parametrize(
    ("body", "matched", "answered"),
    [
        ("STOP", None, True),
        (" stop now", None, True),
        ("END of month works", None, True),
        ("STOP", "STOP", True),
        ("help", "HELP", True),
        ("please stop texting me", "KEYWORD_171875617347", False),
        ("stopping by at five", None, False),
        ("INFO", None, False),
        ("YES", "KEYWORD_171875617347", False),
        (None, None, False),
    ],
)
def test_knows_which_texts_the_service_answers_itself(body, matched, answered):
    assert is_answered_by_service(body, matched) is answered


def test_knows_by_which_keywords_the_service_opts_out():
    assert is_service_opt_out("stop")
    assert not is_service_opt_out("HELP")
    assert not is_service_opt_out("KEYWORD_171875617347")
    assert not is_service_opt_out(None)
