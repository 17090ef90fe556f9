"""Texts that an event brings: used from the request to the reminder, and never a reason to ask nobody."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.encoding import measure
from sms_engagement_runtime.review_collector.domain.errands import RemindOfReview, SendNewLink, read_errand
from sms_engagement_runtime.review_collector.domain.reasons import TextFault
from sms_engagement_runtime.review_collector.domain.request_texts import find_fault, render_given
from sms_engagement_runtime.review_collector.domain.requests import GivenText
from tests.support.asking_system import BASE_URL, JOHN, request_key
from tests.support.bus_schemas import hold_to_schema
from tests.support.fakes import START
from tests.support.review_errands import Errands

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
IDS = {"userId": "u1", "occasion": "appointment-9"}
TEXT = "Hi {{name}}! How was your 15 Minute Meeting? {{link}}"
ASKED = "Hi John! How was your 15 Minute Meeting? https://"
REMINDER = f"reminder-{request_key(occasion='appointment-9')}"
LINK_LENGTH = len(f"{BASE_URL}/r/") + 40


@pytest.fixture
def errands():
    return Errands()


def test_the_text_of_the_event_is_sent_in_place_of_the_standard_one(errands):
    assert errands.publish(**IDS, text=TEXT).state == "ACCEPTED"

    (body,) = errands.bodies
    assert body.startswith(f"{ASKED}r.example.com/r/")
    assert measure(body).parts == 1
    assert errands.refused_texts == []


def test_another_occasion_gets_the_standard_text(errands):
    errands.publish(**IDS, text=TEXT)
    errands.publish(userId="u1", occasion="order-17")

    assert errands.bodies[1].startswith("Hi John! Please review your recent purchase:")


def test_the_reminder_days_later_has_the_same_words_and_what_the_customer_is_called_now(errands):
    errands.publish(**IDS, text=TEXT)
    errands.system.customers.rows["u1"] = replace(JOHN, name="Johnny Doe")

    assert [outcome.state for outcome in errands.come_back(REMINDER)] == ["ACCEPTED"]

    assert errands.system.clock.now() == START + 3 * DAY
    assert errands.bodies[1].startswith("Reminder: Hi Johnny! How was your 15 Minute Meeting? https://")


def test_the_reminder_of_a_broadcast_has_them_too(errands):
    errands.publish(**IDS, text=TEXT)
    errands.system.clock.advance(days=3)

    assert errands.system.ask_due().state == "ACCEPTED"
    assert errands.bodies[1].startswith(f"Reminder: {ASKED}")
    assert errands.run(RemindOfReview("u1", "appointment-9")).reason == "ALREADY_REMINDED"


def test_so_has_a_new_link(errands):
    errands.publish(**IDS, text=TEXT)

    errands.run(SendNewLink(request_key(occasion="appointment-9")), "event-2")

    assert errands.bodies[1].startswith(ASKED)


def test_where_the_request_never_went_out_the_reminder_asks_in_them(errands):
    errands.publish(**IDS, text=TEXT)
    errands.system.sender.sent.clear()
    errands.system.lose("appointment-9")

    errands.come_back(REMINDER)

    (body,) = errands.bodies
    assert body.startswith(ASKED)


def test_they_survive_a_wait(errands):
    errands.system.clock.instant = START + 14 * HOUR

    errands.publish(**IDS, text=TEXT, textLocale="en")

    event, _ = errands.later.waits["event-1"]
    assert event["detail"] == {**IDS, "text": TEXT, "textLocale": "en"}
    hold_to_schema("ReviewRequested", event["detail"])
    assert [outcome.state for outcome in errands.come_back("event-1")] == ["ACCEPTED"]
    assert errands.bodies[0].startswith(ASKED)


def test_an_event_without_a_text_takes_none_away(errands):
    errands.system.pause.paused = True
    errands.publish(**IDS, text=TEXT, textLocale="en")
    errands.publish(**IDS)

    assert errands.system.row("appointment-9").text == GivenText(TEXT, "en")


def test_a_text_for_an_occasion_that_is_on_record_is_used(errands):
    errands.system.record("appointment-9")

    errands.publish(**IDS, text=TEXT)

    assert errands.bodies[0].startswith(ASKED)
    assert errands.system.row("appointment-9").text == GivenText(TEXT)


@pytest.mark.parametrize(
    ("text_locale", "customers", "how"),
    [
        ("de", "fr-CA", "Antworten Sie STOP zum Abmelden"),
        (None, "fr-CA", "Répondez STOP pour vous désinscrire"),
        (None, None, "Reply STOP to opt out"),
        ("x" * 36, None, "Reply STOP to opt out"),
        (5, None, "Reply STOP to opt out"),
        ("\ud83d", None, "Reply STOP to opt out"),
    ],
)
def test_how_to_opt_out_is_said_in_the_language_of_the_text(errands, text_locale, customers, how):
    errands.system.customers.rows["u1"] = replace(JOHN, locale=customers)

    errands.publish(**IDS, text="{{name}}? {{link}}", textLocale=text_locale)

    (body,) = errands.bodies
    assert body.startswith("John? https://")
    assert body.endswith(f" {how}")


def test_a_name_that_does_not_fit_is_left_out(errands):
    errands.system.customers.rows["u1"] = replace(JOHN, name="Wolfeschlegelsteinhausenbergerdorff")

    errands.publish(**IDS, text=TEXT.replace("15 Minute Meeting", "m" * 50))

    (body,) = errands.bodies
    assert body.startswith("Hi! How was your mmm")
    assert measure(body).parts == 1


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("How was it?", "NO_LINK"),
        ("Hi {{name}}! {link}", "NO_LINK"),
        ("Hi {{first_name}}! {{link}}", "UNKNOWN_PLACEHOLDER"),
        ("{{link}} {{reference}}", "UNKNOWN_PLACEHOLDER"),
        ("", "MALFORMED"),
        (" \n ", "MALFORMED"),
        ("{{Link}}", "MALFORMED"),
        ("{{link}} {{", "MALFORMED"),
        ("{ {{name}}{ {{link}}", "MALFORMED"),
        ("half \ud83d {{link}}", "MALFORMED"),
        (5, "MALFORMED"),
        (["{{link}}"], "MALFORMED"),
        ({"en": "{{link}}"}, "MALFORMED"),
        ("m" * 120 + " {{link}}", "TOO_LONG"),
        ("m" * 10_000, "TOO_LONG"),
        ("Как прошла ваша встреча с нами? {{link}}", "TOO_LONG"),
        ("{{link}} {{link}} {{link}}", "TOO_LONG"),
    ],
)
def test_a_text_that_cannot_be_sent_is_told_of_and_the_standard_one_goes_out(errands, text, fault):
    assert errands.publish(**IDS, text=text).state == "ACCEPTED"

    assert errands.refused_texts == [("event-1", fault)]
    assert errands.bodies[0].startswith("Hi John! Please review your recent purchase:")
    assert errands.system.row("appointment-9").text is None


def test_a_text_that_cannot_be_sent_is_told_of_once_where_it_has_to_wait(errands):
    errands.system.clock.instant = START + 14 * HOUR

    errands.publish(**IDS, text="How was it?")
    errands.come_back("event-1")

    assert errands.refused_texts == [("event-1", "NO_LINK")]


def test_a_text_takes_one_part_to_the_letter_with_the_longest_link():
    room = 160 - LINK_LENGTH

    assert find_fault(GivenText("m" * room + "{{link}}"), link_length=LINK_LENGTH) is None
    assert find_fault(GivenText("m" * (room + 1) + "{{link}}"), link_length=LINK_LENGTH) == "TOO_LONG"
    assert find_fault(GivenText("{{name}}" + "m" * room + "{{link}}"), link_length=LINK_LENGTH) is None


def test_the_link_that_is_measured_is_the_link_that_is_sent(errands):
    room = 160 - LINK_LENGTH

    errands.publish(**IDS, text="m" * room + "{{link}}")

    (body,) = errands.bodies
    assert (len(body), measure(body).parts) == (160, 1)


def test_a_text_that_fitted_a_shorter_address_gives_way_to_the_standard_one(errands, monkeypatch):
    errands.publish(**IDS, text="m" * (160 - LINK_LENGTH) + "{{link}}")
    monkeypatch.setattr("tests.support.asking_system.BASE_URL", f"{BASE_URL}/longer")

    assert [outcome.state for outcome in errands.come_back(REMINDER)] == ["ACCEPTED"]
    assert errands.bodies[1].startswith("Hi John! A reminder to review your recent purchase:")


@pytest.mark.parametrize(
    ("locale", "begins"),
    [
        ("fr-CA", "Rappel : "),
        ("de", "Zur Erinnerung: "),
        ("es", "Recordatorio: "),
        ("pt-BR", "Lembrete: "),
        ("ja", "Reminder: "),
    ],
)
def test_a_reminder_says_that_it_is_one_in_the_language_of_the_text(locale, begins):
    text = GivenText("Hi {{name}}! {{link}}", locale)

    rendered = render_given(text, locale="en", first_name="Ada", link="L", is_reminder=True)

    assert rendered.body == f"{begins}Hi Ada! L"


def test_a_reminder_gives_up_the_name_for_it_and_it_for_the_part():
    link, long = "L" * 60, "x" * 80
    fits = GivenText(f"{long} {{{{name}}}} {{{{link}}}}")
    is_full = GivenText(f"{long}{'x' * 12} {{{{link}}}}")

    with_it = render_given(fits, locale=None, first_name="Maximiliane", link=link, is_reminder=True)
    without = render_given(is_full, locale=None, first_name=None, link=link, is_reminder=True)

    assert with_it.body == f"Reminder: {long} {link}"
    assert without.body == f"{long}{'x' * 12} {link}"
    assert measure(without.body).parts == measure(with_it.body).parts == 1


words = st.text(max_size=40)
pieces = st.sampled_from(["{{name}}", "{{ name }}", "{{link}}", "{{", "}}", "{", "}", " ", ", ", "{{x}}"])


@given(st.lists(words | pieces, max_size=6).map("".join), st.none() | words)
def test_whatever_an_event_says_it_is_a_fault_or_one_part_with_the_link(template, name):
    text = GivenText(template)

    if (fault := find_fault(text, link_length=LINK_LENGTH)) is not None:
        assert fault in TextFault
        return
    link = "L" * LINK_LENGTH
    for is_reminder in (False, True):
        rendered = render_given(text, locale="fr", first_name=name, link=link, is_reminder=is_reminder)
        assert link in rendered.body
        assert measure(rendered.body).parts == 1
        assert rendered.locale == "fr"


@given(st.none() | st.integers() | st.booleans() | words | st.lists(words), st.none() | st.integers() | words)
def test_no_text_of_any_kind_makes_an_event_malformed(text, text_locale):
    assert read_errand("ReviewRequested", {**IDS, "text": text, "textLocale": text_locale}) is not None
