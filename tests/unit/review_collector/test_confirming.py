"""The thanks for a review: once a review, one message part, never to who opted out."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sms_engagement_runtime.channel.domain.consent import ConsentState, Contact, Scope
from sms_engagement_runtime.channel.domain.encoding import measure
from sms_engagement_runtime.channel.domain.errors import OutcomeUnknownError
from sms_engagement_runtime.channel.domain.gate import MessageClass
from sms_engagement_runtime.channel.domain.named_texts import without_name
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.sending import SendPolicy, SendService
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_engagement_runtime.review_collector.domain.confirming import ReviewConfirmer, confirmation_texts
from sms_engagement_runtime.review_collector.domain.customers import Customer
from tests.support.fakes import (
    START,
    SUBSCRIBER_KEY,
    FakeClock,
    FakeContacts,
    FakeLedger,
    FakePacer,
    FakeParser,
    FakePause,
    FakePlaces,
    FakeSender,
)
from tests.support.review_fakes import FakeCustomers

PHONE = PhoneNumber("+12025550123")
JOHN = Customer(user_id="u1", phone_number=PHONE.e164, name="John Doe", is_active=True)


class System:
    def __init__(self, customer=JOHN, texts=None):
        self.contacts = FakeContacts()
        # Who wrote a review was asked for it, and was told then how to opt out.
        self.contacts.put(
            Contact(
                subscriber_id=subscriber_id(PHONE, SUBSCRIBER_KEY),
                introduced_at=START,
                introduced_by="earlier",
            )
        )
        self.ledger = FakeLedger(self.contacts)
        self.sender = FakeSender()
        self.pause = FakePause()
        self.confirmer = ReviewConfirmer(
            send_service=SendService(
                contacts=self.contacts,
                ledger=self.ledger,
                sender=self.sender,
                pause=self.pause,
                pacer=FakePacer(),
                places=FakePlaces(),
                clock=FakeClock(),
                policy=SendPolicy(allowed_countries=frozenset({"US"})),
            ),
            customers=FakeCustomers(customer),
            parser=FakeParser(),
            subscriber_key=lambda: SUBSCRIBER_KEY,
            texts=confirmation_texts(texts),
        )

    def confirm(self, review_id="review-1", user_id="u1"):
        outcome = self.confirmer.confirm(review_id, user_id)
        return outcome.state, outcome.reason


def test_the_text_thanks_by_first_name_in_one_part():
    system = System()

    assert system.confirm() == ("ACCEPTED", None)
    (body,) = system.sender.bodies
    assert body == "Thank you for your review, John!"
    assert measure(body).parts == 1


def test_it_is_transactional_and_known_to_the_ledger_by_its_review():
    system = System()

    system.confirm("review-7")

    (row,) = system.ledger.rows.values()
    assert (row.construct, row.purpose, row.occasion) == ("reviews", "review-confirmation", "review-7")
    assert [message.message_class for message in system.sender.sent] == [MessageClass.TRANSACTIONAL]


@pytest.mark.parametrize("name", [None, "", "李小龍", "http://evil.example", "A" * 200, "{{name}}"])
def test_a_name_that_does_not_fit_is_left_out_with_its_comma(name):
    system = System(replace(JOHN, name=name))

    system.confirm()

    assert system.sender.bodies == ["Thank you for your review!"]


def test_the_language_is_the_customers():
    system = System(replace(JOHN, locale="fr-CA"), texts={"en": "Thanks!", "fr": "Merci, {{name}} !"})

    system.confirm()

    assert system.sender.bodies == ["Merci, John !"]


def test_the_same_review_is_confirmed_once_and_another_one_again():
    system = System()

    assert system.confirm("review-1") == ("ACCEPTED", None)
    assert system.confirm("review-1") == ("ALREADY_SENT", None)
    assert system.confirm("review-2") == ("ACCEPTED", None)
    assert len(system.sender.bodies) == 2


def test_a_call_without_an_answer_is_not_repeated():
    system = System()
    system.sender.answers = [OutcomeUnknownError("timeout")]

    assert system.confirm()[0] == "UNCERTAIN"
    assert system.confirm()[0] in ("UNCERTAIN", "IN_FLIGHT")
    assert system.sender.calls == 1


@pytest.mark.parametrize("scopes", [(Scope.REVIEWS,), tuple(Scope)])
def test_nothing_is_sent_after_an_opt_out(scopes):
    system = System()
    system.contacts.put(
        Contact(
            subscriber_id=subscriber_id(PHONE, SUBSCRIBER_KEY),
            consents=dict.fromkeys(scopes, ConsentState.OPTED_OUT),
        )
    )

    assert system.confirm() == ("SUPPRESSED", "OPTED_OUT")
    assert system.sender.bodies == []


def test_thanks_that_waited_for_a_day_are_none():
    system = System()
    a_second_more = START - timedelta(days=1) + timedelta(seconds=1)

    late = system.confirmer.confirm("review-1", "u1", requested_at=START - timedelta(days=1))
    in_time = system.confirmer.confirm("review-2", "u1", requested_at=a_second_more)

    assert (late.state, late.reason) == ("SUPPRESSED", "EXPIRED")
    assert in_time.state == "ACCEPTED"


@pytest.mark.parametrize(
    ("hours", "minutes", "answer"),
    [
        # START is noon in New York.
        (15, 0, ("DEFERRED", "QUIET_HOURS", START + timedelta(hours=20))),
        (15, 15 * 60 - 5, ("ACCEPTED", None, None)),
        (20, 0, ("ACCEPTED", None, None)),
    ],
    ids=["at three at night", "five minutes after a review at night", "in the morning"],
)
def test_thanks_that_are_late_do_not_come_at_night(hours, minutes, answer):
    system = System()
    system.confirmer.send_service.clock.advance(hours=hours)

    outcome = system.confirmer.confirm("review-1", "u1", requested_at=START + timedelta(minutes=minutes))

    assert (outcome.state, outcome.reason, outcome.until) == answer


def test_it_waits_while_sending_is_paused():
    system = System()
    system.pause.paused = True

    assert system.confirm() == ("DEFERRED", "PAUSED")

    system.pause.paused = False
    assert system.confirm() == ("ACCEPTED", None)


@pytest.mark.parametrize(
    ("customer", "reason"),
    [
        (replace(JOHN, is_active=False), "INACTIVE"),
        (replace(JOHN, phone_number=None), "NO_PHONE"),
        (replace(JOHN, phone_number="call me"), "INVALID_PHONE"),
        (replace(JOHN, phone_number="+442071838750"), "COUNTRY_NOT_ALLOWED"),
        (replace(JOHN, user_id="somebody else"), "NO_CUSTOMER"),
    ],
)
def test_who_cannot_be_texted_gets_nothing_and_a_reason(customer, reason):
    system = System(customer)

    assert system.confirm() == ("SUPPRESSED", reason)
    assert system.sender.bodies == []


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"en": "Thanks, {{first}}!"}, "unknown placeholder first"),
        ({"en": "Thanks! {{link}}"}, "unknown placeholder link"),
        ({"de": "Danke!"}, "default locale en"),
        ({"en": "{{name}}"}, "must not be blank"),
    ],
)
def test_texts_that_cannot_be_sent_are_refused(texts, message):
    with pytest.raises(ValueError, match=message):
        confirmation_texts(texts)


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("Hi {{name}}! Bye", "Hi! Bye"),
        ("Thanks, {{ name }}!", "Thanks!"),
        ("{{name}}, how was it? {{link}}", "How was it? {{link}}"),
        ("{{name}}: ok", "Ok"),
        ("Hi\u00a0{{name}}, hello {{name}}", "Hi, hello"),
        ("No name", "No name"),
        ("lower case", "lower case"),
    ],
)
def test_a_template_reads_well_without_its_name(text, without):
    assert without_name(text) == without
