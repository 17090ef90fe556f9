"""Asking a customer: once an occasion, one message part, with a link that opens from the first second."""

import re
from datetime import timedelta

import pytest

from sms_engagement_runtime.channel.domain.consent import ConsentState, Contact, Scope
from sms_engagement_runtime.channel.domain.encoding import measure
from sms_engagement_runtime.channel.domain.errors import (
    OutcomeUnknownError,
    SendingDisabledError,
    SendRefusedError,
)
from sms_engagement_runtime.channel.domain.phone_number import NumberKind, ParsedNumber, PhoneNumber
from sms_engagement_runtime.channel.domain.sending import SendPolicy, SendService
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_engagement_runtime.review_collector.domain.asking import ReviewAsker
from sms_engagement_runtime.review_collector.domain.customers import Customer
from sms_engagement_runtime.review_collector.domain.outcomes import PersonOutcome
from sms_engagement_runtime.review_collector.domain.request_texts import RequestTexts
from sms_engagement_runtime.review_collector.domain.requests import (
    id_to_reference,
    reference_to_id,
    request_id,
)
from sms_engagement_runtime.review_collector.domain.tokens import Verified, verify
from tests.support.fakes import (
    SUBSCRIBER_KEY,
    Crash,
    CrashPlan,
    FakeClock,
    FakeContacts,
    FakeLedger,
    FakePacer,
    FakeParser,
    FakePause,
    FakePlaces,
    FakeSender,
)
from tests.support.review_fakes import LINK_KEYS, FakeCustomers, FakeLinkKeys, FakeReviewRequests

PHONE = PhoneNumber("+12025550123")
JOHN = Customer(user_id="u1", phone_number="+1 (202) 555-0123", name="John Doe", is_active=True)
WEEK = timedelta(days=7)
BASE_URL = "https://r.example.com"


class System:
    def __init__(self):
        self.clock = FakeClock()
        self.contacts = FakeContacts()
        self.ledger = FakeLedger(self.contacts)
        self.sender = FakeSender()
        self.pause = FakePause()
        self.pacer = FakePacer()
        self.requests = FakeReviewRequests()
        self.customers = FakeCustomers(JOHN)
        self.parser = FakeParser()

    def asker(self, wrap=lambda port: port, texts=None):
        return ReviewAsker(
            send_service=SendService(
                contacts=wrap(self.contacts),
                ledger=wrap(self.ledger),
                sender=wrap(self.sender),
                pause=self.pause,
                pacer=self.pacer,
                places=FakePlaces(),
                clock=self.clock,
                policy=SendPolicy(allowed_countries=frozenset({"US"})),
            ),
            requests=wrap(self.requests),
            customers=self.customers,
            parser=self.parser,
            subscriber_key=lambda: SUBSCRIBER_KEY,
            link_keys=FakeLinkKeys(),
            texts=RequestTexts(texts),
            link_base_url=BASE_URL,
            link_lifetime=WEEK,
        )

    def ask(self, customer=JOHN, occasion="registration", **options):
        return self.asker().ask(customer, occasion, **options)

    def opt_out(self):
        self.contacts.put(
            Contact(
                subscriber_id=subscriber_id(PHONE, SUBSCRIBER_KEY),
                consents=dict.fromkeys(Scope, ConsentState.OPTED_OUT),
            )
        )


@pytest.fixture
def system():
    return System()


def request_key(user_id="u1", occasion="registration"):
    return reference_to_id(request_id(user_id, occasion, SUBSCRIBER_KEY))


def test_the_text_is_as_fixed_in_one_part_with_a_link_that_opens(system):
    outcome = system.ask()

    (body,) = system.sender.bodies
    text, _, token = body.rpartition("/r/")
    assert text == "Hi John! Please review your recent purchase: https://r.example.com"
    assert measure(body).parts == 1
    link = verify(token, keys=LINK_KEYS.by_id, now=system.clock.now(), max_lifetime=WEEK)
    assert link == Verified(id_to_reference(request_key()), system.clock.now() + WEEK)
    assert outcome == PersonOutcome(user_id="u1", state="ACCEPTED", message_id="message-1", parts=1)


@pytest.mark.parametrize(
    ("name", "greeting"),
    [
        ("Łukasz Nowak", "Hi Lukasz!"),
        ("Zoë Kravitz", "Hi Zoe!"),
        ("José García", "Hi José!"),
        ("O’Brien", "Hi O'Brien!"),
        ("Dr. Mary-Jane Watson", "Hi Mary-Jane!"),
        ("李小龍", "Hi!"),
        ("محمد علي", "Hi!"),
        ("Ольга", "Hi!"),
        ("😀", "Hi!"),
        ("John😀", "Hi John!"),
        ("<script>alert(1)</script>", "Hi!"),
        ("http://evil.example", "Hi!"),
        ("{{link}}", "Hi!"),
        ("A" * 200, "Hi!"),
        ("", "Hi!"),
        (None, "Hi!"),
    ],
)
def test_every_name_makes_one_part(system, name, greeting):
    system.ask(Customer(user_id="u1", phone_number=PHONE.e164, name=name, is_active=True))

    (body,) = system.sender.bodies
    assert re.match(r"Hi[^!]*!", body)[0] == greeting
    assert body.count("http") == 1
    assert measure(body).parts == 1


def test_a_long_api_address_still_fits_one_part(system):
    url = "https://abcdefghij.execute-api.ap-southeast-2.amazonaws.com"
    body = RequestTexts().render(locale=None, first_name="Bartholomew", link=f"{url}/r/{'x' * 40}")

    assert measure(body).parts == 1


def test_the_row_is_there_before_the_text(system):
    seen = []
    system.sender.answers.append(lambda: seen.append(system.requests.rows[request_key()]))

    system.ask()

    (row,) = seen
    assert (row.user_id, row.occasion, row.name, row.first_name) == ("u1", "registration", "John Doe", "John")
    assert row.asked_at == system.clock.now()


def test_a_person_is_asked_once_an_occasion(system):
    system.ask()
    system.clock.advance(days=1)

    outcome = system.ask()

    assert outcome == PersonOutcome(user_id="u1", state="ALREADY_SENT", reason="ALREADY_ASKED")
    assert len(system.sender.sent) == 1
    # Finding that out costs no rate slot: a run that is repeated is over in no time.
    assert len(system.pacer.acquired) == 1
    assert system.ask(occasion="order-17").state == "ACCEPTED"


def test_who_was_asked_and_opted_out_since_is_left_out_for_the_opt_out(system):
    system.ask()
    system.opt_out()

    outcome = system.ask()

    assert outcome == PersonOutcome(user_id="u1", state="SUPPRESSED", reason="OPTED_OUT")
    assert len(system.sender.sent) == 1
    assert len(system.pacer.acquired) == 1


def test_the_registration_is_no_occasion_for_who_was_asked_about_a_purchase(system):
    system.ask(occasion="order-17")

    assert system.ask() == PersonOutcome(user_id="u1", state="SUPPRESSED", reason="NO_OCCASION")
    assert system.ask(occasion="order-18").state == "ACCEPTED"
    assert system.ask(dry_run=True).reason == "NO_OCCASION"


def test_who_was_asked_about_a_purchase_and_opted_out_is_left_out_for_the_opt_out(system):
    system.ask(occasion="order-17")
    system.opt_out()

    assert system.ask().reason == "OPTED_OUT"


def test_the_same_phone_under_another_id_is_the_same_person(system):
    system.ask()

    outcome = system.ask(Customer(user_id="u2", phone_number="2025550123", is_active=True))

    assert outcome.state == "ALREADY_SENT"
    assert len(system.sender.sent) == 1


def test_a_text_that_the_same_run_sent_before_it_was_cut_off_counts_as_sent_by_it(system):
    system.ask(run_id="monday")

    assert system.ask(run_id="monday") == PersonOutcome(
        user_id="u1", state="ACCEPTED", message_id="message-1", parts=1
    )
    assert len(system.sender.sent) == 1


def test_a_text_that_another_run_sent_at_the_same_time_counts_once(system):
    system.ask(run_id="monday")

    assert system.ask(run_id="also-monday").state == "ALREADY_SENT"
    assert system.ask().state == "ALREADY_SENT"
    assert len(system.sender.sent) == 1


@pytest.mark.parametrize(
    ("customer", "reason"),
    [
        (Customer(user_id="u1", phone_number=PHONE.e164), "INACTIVE"),
        (Customer(user_id="u1", is_active=True), "NO_PHONE"),
        (Customer(user_id="u1", phone_number="  ", is_active=True), "NO_PHONE"),
        (Customer(user_id="u1", phone_number="call me", is_active=True), "INVALID_PHONE"),
        (Customer(user_id="u1", phone_number="+1202", is_active=True), "INVALID_PHONE"),
        (Customer(user_id="u1", phone_number="+4915112345678", is_active=True), "COUNTRY_NOT_ALLOWED"),
    ],
)
def test_who_cannot_be_asked_is_skipped_with_the_reason(system, customer, reason):
    outcome = system.ask(customer)

    assert (outcome.state, outcome.reason) == ("SUPPRESSED", reason)
    assert system.sender.calls == 0


def test_a_landline_is_skipped(system, monkeypatch):
    landline = ParsedNumber(number=PHONE, country="US", kind=NumberKind.LANDLINE)
    monkeypatch.setattr(system.parser, "parse", lambda raw: landline)

    assert system.ask().reason == "LANDLINE"
    assert system.requests.rows == {}


def test_who_opted_out_is_not_asked_and_not_recorded_as_asked(system):
    system.opt_out()

    outcome = system.ask()

    assert (outcome.state, outcome.reason) == ("SUPPRESSED", "OPTED_OUT")
    assert system.sender.calls == 0
    assert system.requests.rows[request_key()].asked_at is None


def test_an_opt_out_during_the_wait_for_the_slot_is_seen(system):
    system.pacer.on_acquire = system.opt_out

    assert system.ask().reason == "OPTED_OUT"
    assert system.sender.calls == 0


def test_who_was_refused_once_is_asked_when_nothing_speaks_against_it_any_more(system):
    system.pause.paused = True
    assert (system.ask().state, system.ask().reason) == ("DEFERRED", "PAUSED")
    system.pause.paused = False
    system.clock.advance(hours=1)

    assert system.ask().state == "ACCEPTED"
    assert system.requests.rows[request_key()].asked_at == system.clock.now()


@pytest.mark.parametrize(
    ("answer", "state", "reason", "is_asked"),
    [
        (OutcomeUnknownError("InternalServerException"), "UNCERTAIN", "OUTCOME_UNKNOWN", True),
        (SendRefusedError("INVALID_PARAMETER"), "FAILED", "INVALID_PARAMETER", True),
        (SendingDisabledError("MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT"), "DEFERRED", "SENDING_DISABLED", False),
    ],
)
def test_what_the_carrier_answers_is_the_outcome_and_nothing_is_sent_again(
    system, answer, state, reason, is_asked
):
    system.sender.answers.append(answer)

    outcome = system.ask()

    assert (outcome.state, outcome.reason) == (state, reason)
    assert (system.requests.rows[request_key()].asked_at is not None) is is_asked
    system.clock.advance(minutes=5)
    again = system.ask()
    assert system.sender.calls == (2 if state == "DEFERRED" else 1)
    assert again.state == ("ACCEPTED" if state == "DEFERRED" else state)


def test_a_dry_run_says_who_and_leaves_no_trace(system):
    outcome = system.ask(dry_run=True)

    assert outcome == PersonOutcome(user_id="u1", state="WOULD_SEND", parts=1)
    assert system.requests.rows == {}
    assert system.ledger.get("anything") is None
    assert system.sender.calls == 0
    assert system.pacer.acquired == []


def test_a_dry_run_says_who_not(system):
    system.opt_out()
    assert system.ask(dry_run=True).reason == "OPTED_OUT"

    other = System()
    other.ask()
    assert other.ask(dry_run=True).reason == "ALREADY_ASKED"


def instants_of_asking():
    system, plan = System(), CrashPlan()
    system.asker(plan.wrap).ask(JOHN, "registration")
    return plan.instants


@pytest.mark.parametrize("instant", range(1, instants_of_asking() + 1))
def test_cut_off_anywhere_nobody_gets_a_second_text(system, instant):
    with pytest.raises(Crash):
        system.asker(CrashPlan(crash_at=instant).wrap).ask(JOHN, "registration")
    system.clock.advance(minutes=5)

    outcome = system.ask()
    system.clock.advance(minutes=5)
    system.ask()

    assert len(system.sender.sent) <= 1
    # Unsent only where the claim was taken: then nobody can tell, and it is reported.
    assert len(system.sender.sent) == 1 or outcome.state == "UNCERTAIN"
    if system.sender.sent:
        assert request_key() in system.requests.rows


def test_a_customer_is_asked_by_id(system):
    assert system.asker().ask_by_id("u1", "order-17").state == "ACCEPTED"
    assert system.asker().ask_by_id("nobody", "order-17").reason == "NO_CUSTOMER"


class TestNewLink:
    def test_goes_out_once_with_a_new_expiry(self, system):
        system.ask()
        system.clock.advance(days=30)

        outcome = system.asker().send_new_link(request_key())

        assert outcome.state == "ACCEPTED"
        token = system.sender.bodies[1].rpartition("/r/")[2]
        link = verify(token, keys=LINK_KEYS.by_id, now=system.clock.now(), max_lifetime=WEEK)
        assert link == Verified(id_to_reference(request_key()), system.clock.now() + WEEK)
        assert system.asker().send_new_link(request_key()).reason == "ALREADY_ASKED"
        assert len(system.sender.sent) == 2

    def test_goes_to_the_number_that_the_customer_has_now(self, system):
        system.ask()
        system.customers.rows["u1"] = Customer(user_id="u1", phone_number="+12025550199", is_active=True)

        system.asker().send_new_link(request_key())

        assert system.sender.sent[1].destination == PhoneNumber("+12025550199")

    def test_passes_the_gate(self, system):
        system.ask()
        system.opt_out()

        assert system.asker().send_new_link(request_key()).reason == "OPTED_OUT"

    def test_is_not_sent_where_there_is_nothing_to_review(self, system):
        assert system.asker().send_new_link(request_key()).reason == "NO_REQUEST"
        system.ask()
        system.requests.mark_answered(request_key(), system.clock.now())
        assert system.asker().send_new_link(request_key()).reason == "NO_LONGER_TRUE"

    @pytest.mark.parametrize(
        ("customers", "reason"),
        [([], "NO_CUSTOMER"), ([Customer(user_id="u1", phone_number=PHONE.e164)], "INACTIVE")],
    )
    def test_is_not_sent_to_who_has_left(self, system, customers, reason):
        system.ask()
        system.customers = FakeCustomers(*customers)

        assert system.asker().send_new_link(request_key()).reason == reason


class TestRequestTexts:
    def test_the_language_follows_the_customer(self):
        texts = RequestTexts({"en": "Hi {{name}}! {{link}}", "fr": "Bonjour {{name}} ! {{link}}"})

        assert texts.render(locale="fr-CA", first_name="Zoë", link="L") == "Bonjour Zoe ! L"
        assert texts.render(locale="fr", first_name=None, link="L") == "Bonjour ! L"
        assert texts.render(locale="de", first_name=None, link="L") == "Hi! L"

    @pytest.mark.parametrize(
        ("texts", "message"),
        [
            ({"en": "Hi {{name}}!"}, "must contain {{link}}"),
            ({"en": "{{link}} {{phone}}"}, "phone"),
            ({"en": "{{link}} {{Name}}"}, "braces"),
            ({"fr": "{{link}}"}, "default locale"),
        ],
    )
    def test_what_cannot_be_rendered_is_refused_at_once(self, texts, message):
        with pytest.raises(ValueError, match=message):
            RequestTexts(texts)


class TestRequestIds:
    def test_no_two_pairs_share_an_id(self):
        pairs = [("u1", "a"), ("u1a", ""), ("u", "1a"), ("", "u1a"), ("u1", "b"), ("u2", "a")]

        assert len({request_id(user, occasion, SUBSCRIBER_KEY) for user, occasion in pairs}) == len(pairs)

    def test_an_id_depends_on_the_key(self):
        assert request_id("u1", "a", b"k" * 16) != request_id("u1", "a", b"l" * 16)

    @pytest.mark.parametrize("user", ["u1", "Ünïcödé 😀", "a|b#c/d", "x" * 1000])
    def test_any_customer_id_is_allowed(self, user):
        reference = request_id(user, "registration", SUBSCRIBER_KEY)

        assert len(reference) == 12
        assert id_to_reference(reference_to_id(reference)) == reference

    @pytest.mark.parametrize("identifier", ["", "short", "a" * 15 + "!", "A" * 20, "AAAAAAAAAAAAAAA="])
    def test_another_text_is_no_id(self, identifier):
        with pytest.raises(ValueError, match=r"review request|padding|data characters|decoded"):
            id_to_reference(identifier)
