"""Webhooks of Cal.com as booking events: each sample, what may differ, and what no provider sends."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.appointment_follow_up.adapters.calcom import read
from sms_engagement_runtime.appointment_follow_up.domain.bookings import (
    Booked,
    Booking,
    Cancelled,
    MovedAway,
    NoShowMarked,
    Party,
    PhoneCandidate,
    PhoneSource,
    Provider,
    SkipReason,
    Unusable,
)
from sms_engagement_runtime.appointment_follow_up.domain.bookings_reading import ReadingOptions
from tests.support.booking_payloads import ANY_JSON, EVENTS, check, damaged, sample, varied

CREATED = "calcom-BOOKING_CREATED"
WITH_PHONE = "calcom-BOOKING_CREATED-with-phone"
RESCHEDULED = "calcom-BOOKING_RESCHEDULED"
CANCELLED = "calcom-BOOKING_CANCELLED"

MADE = {
    name: datetime.fromisoformat(json.loads(sample(name))["createdAt"])
    for name in (CREATED, WITH_PHONE, RESCHEDULED, CANCELLED)
}


def options_for(name, **options):
    """Those of a webhook that arrives a second after the sample was made."""
    return ReadingOptions(received_at=MADE[name] + timedelta(seconds=1), **options)


def read_sample(name, *changes, **options):
    return read(varied(name, *changes), options_for(name, **options))


def booking_of(name, *changes, **options):
    """The one appointment that a sample tells of, with changes."""
    *_, booked = read_sample(name, *changes, **options)
    assert isinstance(booked, Booked)
    return booked.booking


def phones_of(name, *changes, **options):
    return [(phone.source, phone.raw) for phone in booking_of(name, *changes, **options).phones]


def no_show(*marks, uid="3LpAwYNWsfRYM1qcxtYeUZ", at="2025-11-18T10:00:00.000Z"):
    """A payload as `handleMarkNoShow.ts` of Cal.com makes it."""
    attendees = [{"email": f"guest{place}@example.com", "noShow": mark} for place, mark in enumerate(marks)]
    payload = {"message": "…", "attendees": attendees, "bookingUid": uid, "bookingId": 12439850}
    return json.dumps(
        {"triggerEvent": "BOOKING_NO_SHOW_UPDATED", "createdAt": at, "payload": payload}
    ).encode()


NO_SHOW_OPTIONS = ReadingOptions(received_at=datetime(2025, 11, 18, 10, 0, 1, tzinfo=UTC))


class TestSamples:
    def test_each_of_them_is_read(self):
        names = {path.stem for path in EVENTS.glob("calcom-*.json")} - {"calcom-signature-vector"}

        assert {name: [type(event) for event in read_sample(name)] for name in names} == {
            CREATED: [Booked],
            WITH_PHONE: [Booked],
            RESCHEDULED: [MovedAway, Booked],
            CANCELLED: [Cancelled],
        }

    def test_the_signed_one_is_read(self):
        body = json.loads(sample("calcom-signature-vector"))["raw_body"].encode()

        assert read(body, options_for(WITH_PHONE)) == read_sample(WITH_PHONE)

    def test_a_booking_is_read_whole(self):
        (booked,) = read_sample(WITH_PHONE)

        assert booked.at == MADE[WITH_PHONE]
        assert booked.booking == Booking(
            provider=Provider.CALCOM,
            external_id="3LpAwYNWsfRYM1qcxtYeUZ",
            booked_at=MADE[WITH_PHONE],
            starts_at=datetime(2025, 11, 18, 9, 30, tzinfo=UTC),
            ends_at=datetime(2025, 11, 18, 9, 45, tzinfo=UTC),
            event_name="Appointment",
            invitee_name="Sample Patient",
            host_name="Dr Organizer",
            phones=(PhoneCandidate("+12025550147", PhoneSource.QUESTION),),
            time_zone="Africa/Lagos",
            locale="en",
            reschedule_url="https://cal.com/reschedule/3LpAwYNWsfRYM1qcxtYeUZ",
            cancel_url="https://cal.com/booking/3LpAwYNWsfRYM1qcxtYeUZ?cancel=true",
            replaces=None,
        )

    def test_one_without_a_phone_and_without_the_page_s_address_is_an_appointment_all_the_same(self):
        booking = booking_of(CREATED)

        assert (booking.phones, booking.reschedule_url, booking.cancel_url) == ((), None, None)
        assert booking.time_zone == "Asia/Kolkata"

    def test_a_cancellation_is_read(self):
        (cancelled,) = read_sample(CANCELLED)

        assert (cancelled.external_id, cancelled.by) == ("unique-booking-identifier", None)
        assert cancelled.at == MADE[CANCELLED]

    def test_the_title_is_not_told_since_it_names_the_invitee(self):
        assert booking_of(CREATED, ("payload.eventTitle", "")).event_name == ""


class TestStatus:
    @pytest.mark.parametrize("status", ["ACCEPTED", "accepted", None, ...])
    def test_an_accepted_booking_is_an_appointment(self, status):
        assert booking_of(CREATED, ("payload.status", status)).external_id == "bFJeNb2uX8ANpT3JL5EfXw"

    @pytest.mark.parametrize("status", ["PENDING", "AWAITING_HOST", "CANCELLED", "REJECTED", "", 7])
    def test_any_other_is_none_yet(self, status):
        result = read_sample(CREATED, ("payload.status", status))

        assert result == Unusable(SkipReason.NOT_AN_APPOINTMENT)

    def test_a_request_is_none_whatever_its_status(self):
        result = read_sample(CREATED, ("triggerEvent", "BOOKING_REQUESTED"))

        assert result == Unusable(SkipReason.NOT_AN_APPOINTMENT)

    def test_a_rejection_is_a_cancellation(self):
        (cancelled,) = read_sample(
            CREATED, ("triggerEvent", "BOOKING_REJECTED"), ("payload.status", "REJECTED")
        )

        assert isinstance(cancelled, Cancelled)
        assert cancelled.external_id == "bFJeNb2uX8ANpT3JL5EfXw"


class TestMoving:
    OLD, NEW = "previous-booking-unique-id", "new-booking-unique-id"

    def test_the_old_appointment_ends_before_the_new_one_begins(self):
        away, booked = read_sample(RESCHEDULED)

        assert (away.external_id, away.to) == (self.OLD, self.NEW)
        assert (booked.booking.external_id, booked.booking.replaces) == (self.NEW, self.OLD)
        assert booked.booking.starts_at == datetime(2024, 1, 10, 14, 30, tzinfo=UTC)

    @pytest.mark.parametrize("old", [NEW, None, ..., ""])
    def test_the_same_uid_is_the_same_appointment_at_another_time(self, old):
        (booked,) = read_sample(RESCHEDULED, ("payload.rescheduleUid", old))

        assert (booked.booking.external_id, booked.booking.replaces) == (self.NEW, None)

    @pytest.mark.parametrize("trigger", ["BOOKING_RESCHEDULED", "BOOKING_REQUESTED", "BOOKING_CREATED"])
    def test_while_the_host_has_yet_to_agree_the_old_one_is_over_and_the_new_one_is_none(self, trigger):
        (away,) = read_sample(RESCHEDULED, ("triggerEvent", trigger), ("payload.status", "PENDING"))

        assert isinstance(away, MovedAway)
        assert (away.external_id, away.to) == (self.OLD, self.NEW)

    @pytest.mark.parametrize(
        ("address", "is_theirs"),
        [
            ("guest@example.com", True),
            ("Guest@Example.com", True),
            ("organizer@example.com", False),
            (None, False),
        ],
    )
    def test_who_moved_it_is_known_by_their_address_alone(self, address, is_theirs):
        _, booked = read_sample(RESCHEDULED, ("payload.rescheduledBy", address))

        assert booked.booking.by_invitee is is_theirs

    @pytest.mark.parametrize(
        ("asked", "is_theirs"), [(True, False), (False, True), (None, True), (..., True)]
    )
    def test_a_host_who_agrees_later_is_not_the_invitee_who_books(self, asked, is_theirs):
        (booked,) = read_sample(CREATED, ("payload.requiresConfirmation", asked))

        assert booked.booking.by_invitee is is_theirs


class TestSeats:
    @pytest.mark.parametrize("name", [CREATED, RESCHEDULED, CANCELLED])
    @pytest.mark.parametrize("seats", [1, 6])
    def test_a_booking_with_seats_is_left_alone(self, name, seats):
        unusable = read_sample(name, ("payload.seatsPerTimeSlot", seats))

        assert unusable == Unusable(SkipReason.GROUP_BOOKING)


class TestNoShow:
    def test_it_is_marked_and_taken_back(self):
        (marked,) = read(no_show(True), NO_SHOW_OPTIONS)
        (undone,) = read(no_show(False, at="2025-11-18T10:00:00.500Z"), NO_SHOW_OPTIONS)

        assert isinstance(marked, NoShowMarked)
        assert (marked.external_id, marked.is_undone) == ("3LpAwYNWsfRYM1qcxtYeUZ", False)
        assert (undone.external_id, undone.is_undone) == ("3LpAwYNWsfRYM1qcxtYeUZ", True)
        assert marked.key != undone.key

    def test_one_of_several_who_came_spares_everybody_the_text(self):
        (all_absent,) = read(no_show(True, True), NO_SHOW_OPTIONS)
        (one_came,) = read(no_show(True, False), NO_SHOW_OPTIONS)

        assert (all_absent.is_undone, one_came.is_undone) == (False, True)

    @pytest.mark.parametrize("marks", [(), (None,), (True, None), ("true",)])
    def test_without_a_mark_nothing_is_said_about_the_invitee(self, marks):
        assert read(no_show(*marks), NO_SHOW_OPTIONS) == Unusable(SkipReason.NOT_AN_APPOINTMENT)

    def test_without_a_booking_it_is_malformed(self):
        assert read(no_show(True, uid=None), NO_SHOW_OPTIONS) == Unusable(SkipReason.MALFORMED_PAYLOAD)


class TestWhoCancelled:
    @pytest.mark.parametrize(
        ("address", "by"),
        [
            ("organizer@example.com", Party.HOST),
            ("Organizer@Example.com", Party.HOST),
            ("guest@example.com", Party.INVITEE),
            ("additional-guest@example.com", Party.INVITEE),
            ("assistant@example.com", None),
            ("", None),
            (None, None),
            (7, None),
        ],
    )
    def test_it_is_told_by_the_address(self, address, by):
        (cancelled,) = read_sample(CANCELLED, ("payload.cancelledBy", address))

        assert cancelled.by == by


class TestOtherEvents:
    @pytest.mark.parametrize(
        "trigger",
        [
            "BOOKING_PAID",
            "BOOKING_PAYMENT_INITIATED",
            "RECORDING_READY",
            "OOO_CREATED",
            "FORM_SUBMITTED",
            "PING",
        ],
    )
    def test_those_about_other_things_are_no_appointment(self, trigger):
        result = read_sample(CREATED, ("triggerEvent", trigger))

        assert result == Unusable(SkipReason.NOT_AN_APPOINTMENT)

    @pytest.mark.parametrize("trigger", ["MEETING_STARTED", "MEETING_ENDED"])
    def test_flat_ones_are_none_either(self, trigger):
        flat = {"triggerEvent": trigger, **json.loads(sample(CREATED))["payload"]}

        result = read(json.dumps(flat).encode(), options_for(CREATED))

        assert result == Unusable(SkipReason.NOT_AN_APPOINTMENT)

    def test_an_unknown_one_is_told_from_them(self):
        result = read_sample(CREATED, ("triggerEvent", "BOOKING_WAVED_AT"))

        assert result == Unusable(SkipReason.UNKNOWN_EVENT)


class TestAge:
    @pytest.mark.parametrize("way", [-1, 1])
    @pytest.mark.parametrize("name", [CREATED, CANCELLED, RESCHEDULED])
    def test_an_event_a_day_off_is_read_and_a_moment_more_is_stale(self, name, way):
        day = way * timedelta(hours=24)
        inside = ReadingOptions(received_at=MADE[name] + day)
        outside = ReadingOptions(received_at=MADE[name] + day + way * timedelta(milliseconds=1))

        check(read(sample(name), inside))
        assert not isinstance(read(sample(name), inside), Unusable)
        assert read(sample(name), outside) == Unusable(SkipReason.STALE_EVENT)

    @pytest.mark.parametrize("at", [..., None, "2023-05-24T09:30:00", "yesterday", 7])
    def test_one_without_an_age_is_malformed(self, at):
        assert read_sample(CREATED, ("createdAt", at)) == Unusable(SkipReason.MALFORMED_PAYLOAD)


class TestKey:
    def test_it_is_the_same_for_each_delivery(self):
        anew = json.dumps(json.loads(sample(CREATED)), indent=7, sort_keys=True).encode()
        later = ReadingOptions(received_at=MADE[CREATED] + timedelta(hours=20))

        assert read_sample(CREATED)[0].key == read(anew, later)[0].key

    @pytest.mark.parametrize(
        "change",
        [
            ("payload.uid", "another"),
            ("createdAt", "2023-05-24T09:30:00.539Z"),
            ("triggerEvent", "BOOKING_CANCELLED"),
        ],
    )
    def test_another_event_has_another(self, change):
        assert read_sample(CREATED)[0].key != read_sample(CREATED, change)[0].key


class TestPhones:
    def test_they_come_in_the_order_of_how_sure_they_are(self):
        responses = {
            "name": {"label": "your_name", "value": "John Doe"},
            "location": {"label": "location", "value": {"value": "phone", "optionValue": "+12025550107"}},
            "phone-number": {"label": "Anything", "value": "+12025550105"},
            "mobile": {"label": "Your mobile number *", "value": "+12025550106"},
            "attendeePhoneNumber": {"label": "phone_number", "value": "+12025550104"},
            "smsReminderNumber": {"label": "number_text_notifications", "value": "+12025550102"},
        }

        phones = phones_of(
            CREATED,
            ("payload.responses", responses),
            ("payload.attendees.0.phoneNumber", "+12025550103"),
            ("payload.smsReminderNumber", "+12025550101"),
        )

        assert phones == [
            (PhoneSource.REMINDER_NUMBER, "+12025550101"),
            (PhoneSource.REMINDER_NUMBER, "+12025550102"),
            (PhoneSource.QUESTION, "+12025550103"),
            (PhoneSource.QUESTION, "+12025550104"),
            (PhoneSource.QUESTION, "+12025550105"),
            (PhoneSource.QUESTION, "+12025550106"),
            (PhoneSource.LOCATION, "+12025550107"),
        ]

    def test_questions_of_one_s_own_are_known_by_label_or_key(self):
        fields = {
            "textUs": {"label": "Where?", "value": "+12025550101"},
            "x": {"label": "Where can we text you?", "value": 2025550102},
            "y": {"label": "Phone number", "value": "+12025550103"},
        }

        phones = phones_of(
            CREATED,
            ("payload.userFieldsResponses", fields),
            phone_questions=("textUs", "Where can we text you"),
        )

        assert phones == [(PhoneSource.QUESTION, "+12025550101"), (PhoneSource.QUESTION, "2025550102")]

    @pytest.mark.parametrize("kind", ["userPhone", "inPerson", "attendeeInPerson", "", None])
    def test_a_location_that_is_not_the_invitee_s_phone_is_left_alone(self, kind):
        location = {"label": "location", "value": {"value": kind, "optionValue": "+12025550107"}}

        assert phones_of(CREATED, ("payload.responses.location", location)) == []

    def test_fields_without_a_value_are_none(self):
        hidden = {"label": "phone_number", "isHidden": True}

        assert phones_of(CREATED, ("payload.responses.attendeePhoneNumber", hidden)) == []
        assert phones_of(CREATED, ("payload.responses.attendeePhoneNumber", None)) == []

    def test_values_without_a_label_are_read_too(self):
        assert phones_of(CREATED, ("payload.responses.attendeePhoneNumber", "+12025550104")) == [
            (PhoneSource.QUESTION, "+12025550104")
        ]

    def test_only_the_first_attendee_is_texted(self):
        second = {"name": "Second", "phoneNumber": "+12025550199", "timeZone": "UTC"}
        first = json.loads(sample(WITH_PHONE))["payload"]["attendees"][0]

        booking = booking_of(WITH_PHONE, ("payload.attendees", [first, second]))

        assert booking.invitee_name == "Sample Patient"
        assert [phone.raw for phone in booking.phones] == ["+12025550147"]


class TestLanguage:
    def test_it_is_the_first_attendee_s(self):
        language = ("payload.attendees.0.language", {"locale": "pt-BR"})

        assert booking_of(CREATED, language).locale == "pt-BR"
        assert booking_of(CREATED, ("payload.attendees.0.language", None)).locale is None
        assert booking_of(CREATED, ("payload.attendees.0.language.locale", "x; DROP")).locale is None

    def test_an_answer_to_a_configured_question_counts_more(self):
        field = {"language": {"label": "Sprache", "value": "Deutsch"}}

        booking = booking_of(CREATED, ("payload.userFieldsResponses", field), language_questions=("Sprache",))

        assert booking.locale == "de"


class TestLinks:
    def links(self, *changes):
        booking = booking_of(WITH_PHONE, *changes)
        return booking.reschedule_url, booking.cancel_url

    def test_they_are_on_the_page_where_it_was_booked(self):
        assert self.links(
            ("payload.bookerUrl", "https://book.example.com/de/"), ("payload.uid", "a/b?c")
        ) == (
            "https://book.example.com/de/reschedule/a%2Fb%3Fc",
            "https://book.example.com/de/booking/a%2Fb%3Fc?cancel=true",
        )

    @pytest.mark.parametrize(
        "url",
        [
            "http://cal.com",
            "cal.com",
            "https://",
            "https://[",
            "https://cal.com?x=1",
            "https://cal.com/#x",
            "javascript:alert(1)",
            "",
            None,
            {"url": "https://cal.com"},
        ],
    )
    def test_without_a_page_there_are_none(self, url):
        assert self.links(("payload.bookerUrl", url)) == (None, None)

    @pytest.mark.parametrize("change", [("payload.platformClientId", "x")])
    def test_where_they_would_lead_elsewhere_or_move_somebody_else_there_are_none(self, change):
        assert self.links(change) == (None, None)


class TestTexts:
    def test_names_of_300_characters_are_cut_between_characters(self):
        booking = booking_of(
            CREATED, ("payload.attendees.0.name", "😀" * 300), ("payload.eventTitle", "é" * 300)
        )

        assert (booking.invitee_name, booking.event_name) == ("😀" * 200, "é" * 200)

    def test_half_an_emoji_costs_nobody_an_appointment(self):
        body = sample(WITH_PHONE).replace(b"Sample Patient", rb"Sample \ud83d")

        (booked,) = read(body, options_for(WITH_PHONE))

        assert booked.booking.invitee_name == "Sample \ufffd"


class TestBadInput:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"triggerEvent=BOOKING_CREATED",
            b"[]",
            b"null",
            b"{}",
            b'{"triggerEvent": 7}',
            b'{"triggerEvent": "BOOKING_CREATED"}',
            b'{"triggerEvent": "BOOKING_CREATED", "createdAt": "2023-05-24T09:30:00Z", "payload": []}',
            b'{"triggerEvent": "BOOKING_CREATED", "createdAt": "2023-05-24T09:30:00Z", "payload": {}}',
            b'{"triggerEvent": "BOOKING_CANCELLED", "createdAt": "2023-05-24T09:30:00Z", "payload": {}}',
            b'{"triggerEvent": "BOOKING_NO_SHOW_UPDATED", "createdAt": "2023-05-24T09:30Z", "payload": {}}',
            b'{"triggerEvent": "BOOKING_CREATED\xff"}',
            b"eyJ0cmlnZ2VyRXZlbnQiOiJQSU5HIn0=",
            b"[" * 100_000,
        ],
    )
    def test_what_is_no_event_is_malformed(self, body):
        assert read(body, options_for(CREATED)) == Unusable(SkipReason.MALFORMED_PAYLOAD)

    @pytest.mark.parametrize(
        "change",
        [
            ("payload.uid", None),
            ("payload.uid", ""),
            ("payload.uid", 7),
            ("payload.startTime", ...),
            ("payload.startTime", "2023-05-25T09:30:00"),
            ("payload.endTime", "2023-05-25T10:30:00"),
        ],
    )
    def test_without_an_id_or_a_time_there_is_no_appointment(self, change):
        assert read_sample(CREATED, change) == Unusable(SkipReason.MALFORMED_PAYLOAD)

    def test_a_body_that_is_too_large_is_not_even_parsed(self):
        fitting = sample(CREATED).ljust(256 * 1024)

        assert not isinstance(read(fitting, options_for(CREATED)), Unusable)
        assert read(fitting + b" ", options_for(CREATED)) == Unusable(SkipReason.TOO_LARGE)
        assert read(b"x" * 1_000_000, options_for(CREATED)) == Unusable(SkipReason.TOO_LARGE)

    def test_an_appointment_is_not_lost_for_members_of_unexpected_types(self):
        names = (
            "organizer",
            "attendees",
            "responses",
            "userFieldsResponses",
            "eventTitle",
            "title",
            "bookerUrl",
        )

        booking = booking_of(WITH_PHONE, *((f"payload.{name}", [[7]]) for name in names))

        assert booking.external_id == "3LpAwYNWsfRYM1qcxtYeUZ"
        assert (booking.invitee_name, booking.host_name, booking.phones) == (None, None, ())

    @pytest.mark.parametrize("name", [WITH_PHONE, RESCHEDULED, CANCELLED])
    @given(data=st.data())
    def test_anything_in_place_of_anything_is_an_event_or_a_reason(self, name, data):
        check(read(data.draw(damaged(name)), options_for(name)))

    @given(st.binary(max_size=200) | ANY_JSON.map(lambda value: json.dumps(value).encode()))
    def test_no_body_raises(self, body):
        assert isinstance(read(body, options_for(CREATED)), Unusable)
