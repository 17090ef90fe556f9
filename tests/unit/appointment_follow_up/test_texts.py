import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.appointment_follow_up.domain.purposes import Purpose
from sms_engagement_runtime.appointment_follow_up.domain.standard_texts import STANDARD_TEXTS
from sms_engagement_runtime.appointment_follow_up.domain.texts import (
    LONGEST_RESCHEDULE_LINK,
    LONGEST_REVIEW_LINK,
    MAX_CHOICES,
    AppointmentTexts,
    Facts,
    general_words,
    language_for,
    numbered,
)
from sms_engagement_runtime.appointment_follow_up.domain.times import MAX_MARKED_TIME_LENGTH
from sms_engagement_runtime.channel.domain.encoding import Encoding, measure
from sms_engagement_runtime.channel.domain.introduction import introduced, plain
from sms_engagement_runtime.channel.domain.named_texts import without_name
from sms_engagement_runtime.channel.domain.templates import Template
from sms_engagement_runtime.review_collector.domain.request_texts import find_fault
from sms_engagement_runtime.review_collector.domain.requests import GivenText

LOCALES = ["en", "es", "fr", "de", "pt"]
ASKING = [Purpose.CONFIRMATION, Purpose.MOVED, Purpose.FOLLOW_UP, Purpose.REMINDER]
ABOUT_ONE = [*ASKING, Purpose.CANCELLED, Purpose.NO_SHOW, Purpose.FEEDBACK]

TIME = "Wed, Sep 30, 12:00 PM EST"
LONGEST_TIME = "T" * MAX_MARKED_TIME_LENGTH
LINK = "https://example.com/r/" + "k" * 38
CHOICES = numbered([LONGEST_TIME] * MAX_CHOICES)

TEXTS = AppointmentTexts()


def facts_of(event="Intro call", name="Anna Bell", time=TIME, host=None, link=LINK):
    return Facts(event=event, time=time, name=name, host=host, link=link)


def render(purpose=Purpose.CONFIRMATION, *, locale="en", texts=TEXTS, variant=0, **facts):
    return texts.render(purpose, facts_of(**facts), locale=locale, variant=variant, choices=CHOICES)


def custom(text, purpose=Purpose.CONFIRMATION):
    return AppointmentTexts({purpose: {"en": text}})


def test_every_purpose_has_a_text_in_every_language():
    assert {purpose: set(texts) for purpose, texts in STANDARD_TEXTS.items()} == {
        purpose: set(LOCALES) for purpose in Purpose
    }


def test_the_confirmation_says_what_when_and_how_to_answer():
    assert render().body == (
        "Hi Anna, your Intro call is on Wed, Sep 30, 12:00 PM EST. Reply 1 to confirm or R for another time."
    )


def test_the_confirmation_of_an_opt_out_says_that_the_appointment_stands():
    assert render(Purpose.OPT_OUT).body == (
        "You have been unsubscribed. Your appointment still stands. Reply START to subscribe again."
    )


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("purpose", ABOUT_ONE)
def test_the_longest_name_title_time_and_link_are_one_part(purpose, locale):
    name, event = "N" * 20, "E" * 30

    text = render(purpose, locale=locale, name=name, event=event, time=LONGEST_TIME, link="L" * 60)

    measured = measure(text.body)
    assert (measured.encoding, measured.parts, text.locale) == (Encoding.GSM, 1, locale)
    assert name in text.body
    assert event in text.body
    assert (LONGEST_TIME in text.body) == (purpose is not Purpose.FEEDBACK)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("purpose", list(Purpose))
def test_every_standard_text_is_one_part_with_its_longest_link_and_choices(purpose, locale):
    link = LONGEST_RESCHEDULE_LINK if purpose is Purpose.RESCHEDULE else LONGEST_REVIEW_LINK

    text = render(purpose, locale=locale, name="N" * 20, event="E" * 30, time=LONGEST_TIME, link="L" * link)

    measured = measure(text.body)
    assert (measured.encoding, measured.parts) == (Encoding.GSM, 1)
    assert ("L" * link in text.body) == (purpose in (Purpose.RESCHEDULE, Purpose.FEEDBACK))
    assert (CHOICES in text.body) == (purpose is Purpose.WHICH)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("purpose", ASKING)
def test_texts_that_ask_end_in_how_to_answer(purpose, locale):
    last = re.split(r"(?<=[.?!]) ", render(purpose, locale=locale).body)[-1]

    assert re.search(r"\b1\b.*\bR\b", last)


@pytest.mark.parametrize("locale", LOCALES)
def test_a_confirmation_has_room_for_how_to_opt_out(locale):
    text = render(locale=locale, event="First consultation", time="mar. 1er sept. à 13:00")

    longer = introduced(plain(text.body), shorter_body=text.without_name, sender_name=None, locale=locale)

    assert "Anna" in text.body
    assert longer is not None
    assert longer.body.startswith(text.body)
    assert "STOP" in longer.body


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("purpose", list(Purpose))
def test_no_text_suggests_an_opt_out_word_or_a_link_of_its_own(purpose, locale):
    template = STANDARD_TEXTS[purpose][locale]

    assert not re.search(
        r"\b(?:stop|stopall|cancel|end|quit|revoke|remove|unsubscribe|unsub|optout|opt out|arret|arrêt|td)\b",
        template,
        re.IGNORECASE,
    )
    assert "http" not in template


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_text_without_a_name_reads_as_one(purpose, locale):
    body = render(purpose, locale=locale, name=None).body

    assert not re.search(r" [,.!]|,,|,:|\{|\}|^\W*[a-zé]", body)


@pytest.mark.parametrize(
    ("locale", "closest"),
    [
        ("fr-CA", "fr"),
        ("FR", "fr"),
        ("pt_BR", "pt"),
        ("nl", "en"),
        (None, "en"),
        ("", "en"),
        ("x" * 9999, "en"),
    ],
)
def test_a_text_is_in_the_closest_language(locale, closest):
    text = render(locale=locale)

    assert text == render(locale=closest)
    assert text.locale == closest


# 160 characters are one part. With everything, 49 stand before the rest; " Anna" has 5, the title 40, and
# "appointment" 11.
@pytest.mark.parametrize(
    ("rest", "has_name", "has_title"),
    [(111, True, True), (112, False, True), (116, False, True), (117, True, False), (140, True, False),
     (141, False, False), (145, False, False)],
)  # fmt: skip
def test_the_name_goes_before_the_title_and_returns_with_a_general_word(rest, has_name, has_title):
    title = "T" * 40
    texts = custom("Hi {{name}} {{event}} " + "x" * rest)

    text = render(texts=texts, event=title)

    assert ("Anna" in text.body, title in text.body) == (has_name, has_title)
    assert ("appointment" in text.body) != has_title
    assert text.without_name == (text.body.replace(" Anna", "") if has_name else None)


def test_a_text_of_two_parts_costs_no_third_for_a_name_or_a_title():
    texts = custom("Hi {{name}}, {{event}} " + "x" * 270)

    long, short = render(texts=texts, event="T" * 60), render(texts=texts, event="T" * 20)

    assert (measure(long.body).parts, measure(short.body).parts) == (2, 2)
    assert ("T" * 20 in short.body, "TT" in long.body, "Anna" in long.body) == (True, False, True)


@pytest.mark.parametrize(
    ("name", "greeting"),
    [
        ("Anna Bell", "Hi Anna, "),
        ("Dr. Anna Bell", "Hi Anna, "),
        ("Bell, Anna", "Hi Anna, "),
        ("Łukasz", "Hi Lukasz, "),
        ("Anna🎉 Bell", "Hi Anna, "),
        ("José María", "Hi José, "),
        ("李小龍", "Hi, "),
        ("N" * 300, "Hi, "),
        ("🎉", "Hi, "),
        ("{{link}}", "Hi, "),
        ("<b>Anna</b>", "Hi, "),
        ("https://evil.example", "Hi, "),
        ("evil.example", "Hi, "),
        ("", "Hi, "),
        (None, "Hi, "),
    ],
)
def test_people_are_greeted_by_first_name_where_it_is_one(name, greeting):
    body = render(name=name).body

    assert body.startswith(f"{greeting}your Intro call is on")
    assert measure(body).parts == 1


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("Intro call", "Intro call"),
        ("  Intro \n call\t", "Intro call"),
        ("30 Minute Meeting", "30 Minute Meeting"),
        ("Dupont <> Example", "Dupont <> Example"),
        ("Prüfung & Übung (½ h)", None),
        ("Prüfung & Übung", "Prüfung & Übung"),
        ("Konzultáció", "Konzultacio"),
        ("Beratung – Teil 2", "Beratung - Teil 2"),
        ("Intro call 🎉🎉", "Intro call"),
        ("🎉 👩‍👩‍👧", None),
        ("Intro\u200b call\u202e", "Intro call"),
        ("<b>Intro</b> call<script>alert(1)</script>", "Intro call alert(1)"),
        ("{{link}}", "link"),
        ("}}{{{event}}} {name}", "event name"),
        ("{{{{", None),
        ("https://evil.example/x", None),
        ("Call www.evil.example now", None),
        ("Free prize at evil.example", None),
        ("pay t.me/evil", None),
        ("evil．example", None),
        ("10.1.2.3 is waiting", None),
        ("Node.js for beginners", None),
        ("初回相談", None),
        ("Консультация", None),
        ("T" * 300, None),
        ("T" * 100_000, None),
        ("\ud800", None),
        ("Intro\0 call", "Intro call"),
        ("", None),
        (" ", None),
        ("---", None),
    ],
)
def test_a_title_stays_in_its_place_or_gives_way_to_a_general_word(event, said):
    text = render(event=event)

    assert text.body.startswith(f"Hi Anna, your {said or 'appointment'} is on Wed")
    measured = measure(text.body)
    assert (measured.encoding, measured.parts) == (Encoding.GSM, 1)


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("Maria Lopez", "Maria Lopez"),
        ("Łukasz", "Lukasz"),
        ("{{link}}", "link"),
        ("evil.example", "our team"),
        ("", "our team"),
        (None, "our team"),
    ],
)
def test_a_host_is_named_where_one_is_known(host, said):
    assert render(texts=custom("With {{host}}: {{time}}"), host=host).body == f"With {said}: {TIME}"


def test_a_text_in_another_script_keeps_titles_in_it():
    texts = custom("{{name}}, ваша {{event}}: {{time}}")

    assert render(texts=texts, event="Консультация", name="Анна").body == f"Анна, ваша Консультация: {TIME}"


@given(
    event=st.text(max_size=300),
    name=st.none() | st.text(max_size=300),
    host=st.none() | st.text(max_size=50),
    purpose=st.sampled_from(list(Purpose)),
    locale=st.sampled_from(LOCALES),
)
def test_no_input_costs_a_second_part_or_another_encoding(event, name, host, purpose, locale):
    text = render(purpose, locale=locale, event=event, name=name, host=host, time=LONGEST_TIME)

    for body in filter(None, (text.body, text.without_name)):
        measured = measure(body)
        assert (measured.encoding, measured.parts) == (Encoding.GSM, 1)
    assert text.without_name is None or len(text.without_name) < len(text.body)


def test_a_text_for_another_time_needs_the_link_to_it():
    with pytest.raises(ValueError, match="no value for link"):
        render(Purpose.RESCHEDULE, link=None)


def test_the_question_which_one_needs_choices():
    with pytest.raises(ValueError, match="no value for choices"):
        TEXTS.render(Purpose.WHICH, facts_of(), locale="en")


def test_choices_are_numbered_from_one():
    assert numbered(["Tue, Dec 1, 1:00 PM", "Wed, Dec 2, 1:00 PM"]) == (
        "1: Tue, Dec 1, 1:00 PM\n2: Wed, Dec 2, 1:00 PM"
    )


def test_variants_are_told_apart_in_every_language():
    texts = AppointmentTexts(
        {"reminder": {"en": ["Soon: {{time}}", "See you: {{time}}"], "fr": ["À {{time}}", "B"]}}
    )

    assert texts.variants(Purpose.REMINDER) == 2
    assert texts.variants(Purpose.CONFIRMATION) == 1
    assert render(Purpose.REMINDER, texts=texts, variant=1).body == f"See you: {TIME}"
    assert render(Purpose.REMINDER, texts=texts, variant=1, locale="fr").body == "B"


def test_a_variant_that_is_no_longer_there_has_a_text_nonetheless():
    assert render(variant=7) == render(variant=0)


def test_a_given_purpose_replaces_all_standard_texts_of_it_and_no_others():
    texts = AppointmentTexts({"confirmation": {"en": "Booked: {{event}}"}})

    assert render(texts=texts, locale="es").body == "Booked: Intro call"
    assert render(Purpose.MOVED, texts=texts, locale="es").body == render(Purpose.MOVED, locale="es").body


@pytest.mark.parametrize(
    ("given_texts", "message"),
    [
        ({"greeting": {"en": "Hi"}}, "unknown purpose 'greeting'; known are confirmation, moved, follow-up"),
        ({"confirmation": {"es": "Hola"}}, "the confirmation texts must have one for en, .* got es"),
        ({"confirmation": {}}, "the confirmation texts must have one for en, .* got none at all"),
        (
            {"confirmation": {"en": ["a", "b"], "es": "c"}},
            "same number of variants in every locale, and 1 to 5 of them, got 2 for en, 1 for es",
        ),
        ({"confirmation": {"en": ["a"] * 6}}, "1 to 5 of them, got 6 for en"),
        ({"confirmation": {"en": []}}, "1 to 5 of them, got 0 for en"),
        ({"confirmation": {"en": "Hi {{nmae}}"}}, "unknown placeholder nmae"),
        ({"confirmation": {"en": "See {{link}}"}}, "unknown placeholder link"),
        ({"which": {"en": "{{choices}} {{time}}"}}, "unknown placeholder time"),
        ({"confirmation": {"en": "Hi {{Name}}"}}, "the confirmation text for en: malformed braces"),
        ({"confirmation": {"en": " "}}, "the confirmation text for en: .* must not be blank"),
        ({"confirmation": {"en": "{{name}}"}}, "the confirmation text for en: .* must not be blank"),
        ({"confirmation": "Hi"}, "the confirmation texts must be given by locale, .*, got 'Hi'"),
        ({"confirmation": {"en": "a", "EN": "b"}}, "a locale is given twice"),
        ({"feedback": {"en": "How was it?"}}, r"the feedback text for en must contain \{\{link\}\}"),
        ({"reschedule": {"en": "Sure"}}, r"the reschedule text for en must contain \{\{link\}\}"),
        ({"which": {"en": "Which?"}}, r"the which text for en must contain \{\{choices\}\}"),
    ],
)
def test_texts_that_cannot_be_used_are_refused(given_texts, message):
    with pytest.raises(ValueError, match=message):
        AppointmentTexts(given_texts)


def test_the_feedback_template_leaves_name_and_link_to_whoever_sends_it():
    template, locale = TEXTS.feedback_template(facts_of(), locale="es-MX")

    assert (template, locale) == ("Hola, {{name}}: ¿qué tal tu Intro call? {{link}}", "es")


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize(
    "event",
    [
        "Intro call",
        "{{link}}",
        "}} {{name}} {{",
        "{{nobody}}",
        "{",
        "T" * 30,
        "T" * 80,
        "T" * 300,
        "🎉",
        "evil.example",
    ],
)
def test_the_feedback_template_is_one_whatever_the_title(event, locale):
    text, spoken = TEXTS.feedback_template(facts_of(event=event), locale=locale)

    template = Template(text)
    assert spoken == locale
    assert template.placeholders == {"name", "link"}
    nameless = Template(without_name(text)).render({"link": "L" * LONGEST_REVIEW_LINK})
    assert measure(nameless).parts == 1


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("event", ["Intro call", "{{link}}", "T" * 45, "T" * 300, "{}", "🎉"])
def test_the_review_collector_finds_no_fault_in_the_feedback_template(event, locale):
    template, spoken = TEXTS.feedback_template(facts_of(event=event), locale=locale)

    assert find_fault(GivenText(template, spoken), link_length=LONGEST_REVIEW_LINK) is None


def test_a_title_that_a_long_link_leaves_no_room_for_is_a_general_word():
    facts = facts_of(event="T" * 40)

    long, _ = TEXTS.feedback_template(facts, locale="en")
    short, _ = TEXTS.feedback_template(facts, locale="en", link_length=60)

    assert long == "Hi {{name}}, how was your appointment? Tell us: {{link}}"
    assert short == f"Hi {{{{name}}}}, how was your {'T' * 40}? Tell us: {{{{link}}}}"


def test_general_words_are_those_of_the_language():
    assert general_words("de-AT") == {"event": "Ihr Termin", "host": "unserem Team"}
    assert general_words("nl") == general_words("en") == general_words(None)


@pytest.mark.parametrize(
    ("country", "language"),
    [
        ("FR", "fr"),
        ("DE", "de"),
        ("AT", "de"),
        ("ES", "es"),
        ("MX", "es"),
        ("PE", "es"),
        ("BR", "pt"),
        ("pt", "pt"),
        ("US", "en"),
        ("GB", "en-GB"),
        ("CA", "it"),
        ("CH", "it"),
        ("BE", "it"),
        ("JP", "it"),
        ("", "it"),
        (None, "it"),
    ],
)
def test_the_language_of_a_country(country, language):
    assert language_for(country, "it") == language
