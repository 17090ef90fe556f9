"""Webhooks of Calendly as booking events: each sample, what may differ, and what no provider sends."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.appointment_follow_up.adapters.calendly import read
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
    appointment_id,
)
from sms_engagement_runtime.appointment_follow_up.domain.bookings_reading import ReadingOptions
from tests.support.booking_payloads import ANY_JSON, EVENTS, check, damaged, sample, varied

OPTIONS = ReadingOptions(received_at=datetime(2026, 11, 21, 12, tzinfo=UTC))

CREATED = "calendly-invitee.created"
SMS_NUMBER = "calendly-invitee.created-sms-number"
RESCHEDULED = "calendly-invitee.created-rescheduled"
CANCELED = "calendly-invitee.canceled"
CANCELED_RESCHEDULED = "calendly-invitee.canceled-rescheduled"
NO_SHOW = "calendly-invitee_no_show.created"

INVITEE_A = "https://api.calendly.com/scheduled_events/AAAAAAAAAAAAAAAA/invitees/AAAAAAAAAAAAAAAA"
INVITEE_B = "https://api.calendly.com/scheduled_events/BBBBBBBBBBBBBBBB/invitees/BBBBBBBBBBBBBBBB"
AT = datetime(2020, 11, 23, 17, 51, 19, tzinfo=UTC)


def booking_of(body, options=OPTIONS):
    """The one appointment that a body tells of."""
    *_, booked = read(body, options)
    assert isinstance(booked, Booked)
    return booked.booking


def phones_of(body, options=OPTIONS):
    return [(phone.source, phone.raw) for phone in booking_of(body, options).phones]


class TestSamples:
    def test_each_of_them_is_read(self):
        names = sorted(path.stem for path in EVENTS.glob("calendly-*.json"))
        names.remove("calendly-signature-vector")

        kinds = {name: [type(event) for event in read(sample(name), OPTIONS) or ()] for name in names[:-1]}

        assert names[-1] == "calendly-routing_form_submission.created"
        assert kinds == {
            "calendly-invitee.canceled": [Cancelled],
            "calendly-invitee.canceled-rescheduled": [MovedAway],
            "calendly-invitee.created": [Booked],
            "calendly-invitee.created-outbound-call": [Booked],
            "calendly-invitee.created-phone-in-answers": [Booked],
            "calendly-invitee.created-rescheduled": [MovedAway, Booked],
            "calendly-invitee.created-sms-number": [Booked],
            "calendly-invitee_no_show.created": [NoShowMarked],
        }

    def test_the_signed_one_is_read(self):
        body = json.loads(sample("calendly-signature-vector"))["raw_body"].encode()

        assert read(body, OPTIONS) == read(sample(CREATED), OPTIONS)

    def test_a_booking_is_read_whole(self):
        (booked,) = read(sample(SMS_NUMBER), OPTIONS)

        assert booked.at == AT
        assert booked.booking == Booking(
            provider=Provider.CALENDLY,
            external_id=INVITEE_A,
            booked_at=datetime(2020, 11, 23, 17, 51, 18, 327602, tzinfo=UTC),
            starts_at=datetime(2026, 12, 1, 18, tzinfo=UTC),
            ends_at=datetime(2026, 12, 1, 18, 30, tzinfo=UTC),
            event_name="15 Minute Meeting",
            invitee_name="John Doe",
            host_name="John Smith",
            phones=(PhoneCandidate("+1 404-555-1234", PhoneSource.REMINDER_NUMBER),),
            time_zone="America/New_York",
            locale=None,
            reschedule_url="https://calendly.com/reschedulings/AAAAAAAAAAAAAAAA",
            cancel_url="https://calendly.com/cancellations/AAAAAAAAAAAAAAAA",
            replaces=None,
        )

    def test_a_cancellation_says_who_cancelled(self):
        (cancelled,) = read(sample(CANCELED), OPTIONS)
        (by_host,) = read(varied(CANCELED, ("payload.cancellation.canceler_type", "host")), OPTIONS)
        (by_nobody,) = read(varied(CANCELED, ("payload.cancellation", ...)), OPTIONS)

        assert cancelled.at == datetime(2020, 11, 23, 17, 54, 22, tzinfo=UTC)
        assert cancelled.appointment_id == appointment_id(Provider.CALENDLY, INVITEE_A)
        assert (cancelled.by, by_host.by, by_nobody.by) == (Party.INVITEE, Party.HOST, None)

    def test_either_of_the_pair_ends_the_appointment_that_was_moved(self):
        (away,) = read(sample(CANCELED_RESCHEDULED), OPTIONS)
        also_away, booked = read(sample(RESCHEDULED), OPTIONS)

        assert away.external_id == also_away.external_id == INVITEE_A
        assert away.to == also_away.to == INVITEE_B
        assert booked.booking.external_id == INVITEE_B
        assert booked.booking.replaces == INVITEE_A
        # It may have been the host who moved it.
        assert not booked.booking.by_invitee
        assert len({away.key, also_away.key, booked.key}) == 3

    def test_a_cancellation_with_a_successor_is_a_move_whatever_it_says(self):
        (without_successor,) = read(varied(CANCELED, ("payload.rescheduled", True)), OPTIONS)
        (without_flag,) = read(varied(CANCELED, ("payload.new_invitee", INVITEE_B)), OPTIONS)

        assert isinstance(without_successor, MovedAway)
        assert without_successor.to is None
        assert isinstance(without_flag, MovedAway)
        assert without_flag.to == INVITEE_B

    def test_an_appointment_never_replaces_itself(self):
        (booked,) = read(varied(CREATED, ("payload.old_invitee", INVITEE_A)), OPTIONS)

        assert booked.booking.replaces is None

    def test_a_no_show_can_be_taken_back(self):
        (marked,) = read(sample(NO_SHOW), OPTIONS)
        (undone,) = read(
            varied(NO_SHOW, ("event", "invitee_no_show.deleted"), ("payload.no_show", None)), OPTIONS
        )

        assert (marked.external_id, marked.is_undone) == (INVITEE_A, False)
        assert (undone.external_id, undone.is_undone) == (INVITEE_A, True)
        assert marked.key != undone.key

    def test_a_mark_that_names_its_invitee_is_about_that_one(self):
        (marked,) = read(varied(NO_SHOW, ("payload.invitee", INVITEE_B)), OPTIONS)

        assert marked.external_id == INVITEE_B

    def test_a_mark_that_is_set_again_is_another_event(self):
        (marked,) = read(sample(NO_SHOW), OPTIONS)
        (again,) = read(varied(NO_SHOW, ("payload.no_show.uri", "https://api.calendly.com/n/B")), OPTIONS)

        assert marked.key != again.key

    @pytest.mark.parametrize(
        ("event", "reason"),
        [
            ("routing_form_submission.created", SkipReason.NOT_AN_APPOINTMENT),
            ("event_type.created", SkipReason.NOT_AN_APPOINTMENT),
            ("event_type.updated", SkipReason.NOT_AN_APPOINTMENT),
            ("invitee.waved", SkipReason.UNKNOWN_EVENT),
            ("", SkipReason.UNKNOWN_EVENT),
        ],
    )
    def test_events_about_other_things_are_told_from_unknown_ones(self, event, reason):
        assert read(varied(CREATED, ("event", event)), OPTIONS) == Unusable(reason)

    def test_a_routing_form_is_no_appointment(self):
        body = sample("calendly-routing_form_submission.created")

        assert read(body, OPTIONS) == Unusable(SkipReason.NOT_AN_APPOINTMENT)


class TestKey:
    def test_it_is_the_same_for_each_delivery(self):
        body = sample(CREATED)
        other_bytes = json.dumps(json.loads(body), indent=7, sort_keys=True).encode()
        later = ReadingOptions(received_at=OPTIONS.received_at + timedelta(days=1))

        assert read(body, OPTIONS)[0].key == read(other_bytes, later)[0].key

    @pytest.mark.parametrize(
        "change",
        [
            ("payload.uri", INVITEE_B),
            ("payload.updated_at", "2020-11-23T17:52:00Z"),
            ("event", "invitee.canceled"),
        ],
    )
    def test_another_event_has_another(self, change):
        assert read(sample(CREATED), OPTIONS)[0].key != read(varied(CREATED, change), OPTIONS)[0].key

    def test_without_a_time_of_change_that_of_its_making_counts(self):
        before = varied(CREATED, ("payload.updated_at", None))
        after = varied(CREATED, ("payload.updated_at", None), ("payload.created_at", "2020-11-24T00:00:00Z"))

        assert read(before, OPTIONS)[0].key != read(after, OPTIONS)[0].key


class TestPhones:
    def test_the_reminder_number_comes_first_then_answers_then_the_call(self):
        body = varied(
            SMS_NUMBER,
            ("payload.text_reminder_number", "+1 202-555-0101"),
            (
                "payload.questions_and_answers",
                [
                    {"question": "Anything else?", "answer": "+1 202 555 0199", "position": 0},
                    {"question": "Phone Number", "answer": "(202) 555-0102", "position": 1},
                    {"question": "Mobile", "answer": "202.555.0103", "position": 2},
                ],
            ),
            ("payload.scheduled_event.location", {"type": "outbound_call", "location": "+12025550104"}),
        )

        assert phones_of(body) == [
            (PhoneSource.REMINDER_NUMBER, "+1 202-555-0101"),
            (PhoneSource.QUESTION, "(202) 555-0102"),
            (PhoneSource.QUESTION, "202.555.0103"),
            (PhoneSource.LOCATION, "+12025550104"),
        ]

    def test_none_is_an_appointment_all_the_same(self):
        assert phones_of(sample(CREATED)) == []

    def test_those_of_the_samples_are_found(self):
        assert phones_of(sample("calendly-invitee.created-phone-in-answers")) == [
            (PhoneSource.QUESTION, "(404) 555-1234")
        ]
        assert phones_of(sample("calendly-invitee.created-outbound-call")) == [
            (PhoneSource.LOCATION, "+33612345678")
        ]

    def test_one_that_stands_in_two_places_counts_once_where_it_is_surest(self):
        body = varied(
            SMS_NUMBER,
            ("payload.text_reminder_number", " +12025550101 "),
            ("payload.scheduled_event.location", {"type": "outbound_call", "location": "+12025550101"}),
        )

        assert phones_of(body) == [(PhoneSource.REMINDER_NUMBER, "+12025550101")]

    @pytest.mark.parametrize(
        "location",
        [
            {"type": "inbound_call", "location": "+12025550104"},
            {"type": "custom", "location": "+12025550104"},
            {"location": "+12025550104"},
            {"type": "outbound_call", "location": None},
            {"type": "outbound_call", "location": ["+12025550104"]},
            "+12025550104",
            None,
        ],
    )
    def test_a_number_that_may_be_the_host_s_is_left_alone(self, location):
        assert phones_of(varied(CREATED, ("payload.scheduled_event.location", location))) == []

    def test_the_number_of_a_call_may_stand_deeper(self):
        location = {"type": "outbound_call", "location": {"location": "+12025550104"}}

        assert phones_of(varied(CREATED, ("payload.scheduled_event.location", location))) == [
            (PhoneSource.LOCATION, "+12025550104")
        ]

    @pytest.mark.parametrize(
        "question",
        [
            "Phone number",
            "  PHONE   NUMBER *  ",
            "phone-number:",
            "Número de teléfono",
            "NUMERO DE TELEFONO",
            "¿Cuál es tu número de teléfono?",
            "Nume\u0301ro de te\u0301le\u0301phone",
            "Quel est votre numéro de téléphone\u202f?",
            "Telefonnummer",
            "Rückrufnummer (*)",
            "Telemóvel",
            "Send text messages to",
        ],
    )
    def test_the_usual_questions_are_known_in_any_spelling(self, question):
        answers = [{"question": question, "answer": "202 555 0102", "position": 0}]

        assert phones_of(varied(CREATED, ("payload.questions_and_answers", answers))) == [
            (PhoneSource.QUESTION, "202 555 0102")
        ]

    @pytest.mark.parametrize(
        "question", ["", "…", "Phone number of your assistant", "May we phone?", "Telephonebook", None, 7]
    )
    def test_other_questions_are_not(self, question):
        answers = [{"question": question, "answer": "202 555 0102", "position": 0}]

        assert phones_of(varied(CREATED, ("payload.questions_and_answers", answers))) == []

    def test_questions_can_be_configured(self):
        options = ReadingOptions(
            received_at=OPTIONS.received_at, phone_questions=("Where can we text you?", "…")
        )
        answers = [
            {"question": "WHERE can we text you", "answer": "202 555 0102", "position": 0},
            {"question": "Phone number", "answer": "202 555 0103", "position": 1},
            {"question": "!", "answer": "202 555 0104", "position": 2},
        ]

        assert phones_of(varied(CREATED, ("payload.questions_and_answers", answers)), options) == [
            (PhoneSource.QUESTION, "202 555 0102")
        ]

    def test_a_candidate_is_not_printed(self):
        assert "404" not in repr(read(sample(SMS_NUMBER), OPTIONS))


class TestLanguage:
    @pytest.mark.parametrize(
        ("answer", "locale"),
        [
            ("Español", "es"),
            ("espanol ", "es"),
            ("DEUTSCH", "de"),
            ("Português", "pt"),
            ("fr", "fr"),
            ("pt-BR", "pt-BR"),
            ("zh_Hant", "zh_Hant"),
            ("either is fine", None),
            ("", None),
            (None, None),
        ],
    )
    def test_it_is_known_by_a_configured_question_alone(self, answer, locale):
        options = ReadingOptions(received_at=OPTIONS.received_at, language_questions=("Language", "Idioma"))
        body = varied(
            CREATED,
            ("payload.questions_and_answers", [{"question": "Idioma:", "answer": answer, "position": 0}]),
        )

        assert booking_of(body, options).locale == locale
        assert booking_of(body).locale is None


class TestTexts:
    def test_names_of_300_characters_are_cut_between_characters(self):
        body = varied(CREATED, ("payload.name", "👩‍🔧" * 100), ("payload.scheduled_event.name", "é" * 300))
        booking = booking_of(body)

        assert booking.invitee_name == ("👩‍🔧" * 100)[:200]
        assert booking.event_name == "é" * 200

    def test_half_an_emoji_costs_nobody_an_appointment(self):
        body = (
            sample(CREATED).replace(b'"John Doe"', rb'"John \ud83d"').replace(b"15 Minute", rb"\udc00 Minute")
        )

        assert rb"\ud83d" in body
        booking = booking_of(body)

        assert booking.invitee_name == "John \ufffd"
        assert booking.event_name == "\ufffd Minute Meeting"

    def test_a_whole_emoji_in_escapes_stays_whole(self):
        body = sample(CREATED).replace(b'"John Doe"', rb'"John \ud83d\ude00"')

        assert booking_of(body).invitee_name == "John 😀"

    def test_lines_are_joined_and_what_is_empty_is_none(self):
        body = varied(CREATED, ("payload.name", " Ann\r\nBell\0 "), ("payload.scheduled_event.name", " \n"))
        booking = booking_of(body)

        assert booking.invitee_name == "Ann  Bell"
        assert booking.event_name == ""

    def test_first_and_last_name_are_the_name_where_there_is_no_other(self):
        body = varied(
            CREATED, ("payload.name", None), ("payload.first_name", "Ann"), ("payload.last_name", "Bell")
        )

        assert booking_of(body).invitee_name == "Ann Bell"
        assert booking_of(varied(CREATED, ("payload.name", ...))).invitee_name is None

    @pytest.mark.parametrize(
        "url",
        [
            "http://calendly.com/x",
            "javascript:alert(1)",
            "https://calendly.com/a b",
            "https://calendly.com/\n",
            "https://calendly.com/é",
            "https://calendly.com/" + "x" * 500,
            "",
            None,
            7,
        ],
    )
    def test_a_link_that_cannot_stand_in_a_text_is_none(self, url):
        booking = booking_of(varied(CREATED, ("payload.reschedule_url", url), ("payload.cancel_url", url)))

        assert (booking.reschedule_url, booking.cancel_url) == (None, None)

    def test_a_zone_is_passed_on_as_given(self):
        assert booking_of(varied(CREATED, ("payload.timezone", "Mars/Olympus"))).time_zone == "Mars/Olympus"
        assert booking_of(varied(CREATED, ("payload.timezone", None))).time_zone is None


class TestTimes:
    @pytest.mark.parametrize(
        ("text", "instant"),
        [
            ("2026-12-01T18:00:00.123456Z", datetime(2026, 12, 1, 18, 0, 0, 123456, tzinfo=UTC)),
            ("2026-12-01T18:00:00Z", datetime(2026, 12, 1, 18, tzinfo=UTC)),
            ("2026-12-01T13:00:00-05:00", datetime(2026, 12, 1, 18, tzinfo=UTC)),
            ("2026-12-01 23:30:00+0530", datetime(2026, 12, 1, 18, tzinfo=UTC)),
            ("2000-01-01T00:00:00Z", datetime(2000, 1, 1, tzinfo=UTC)),
        ],
    )
    def test_any_instant_with_a_zone_is_read_also_one_in_the_past(self, text, instant):
        body = varied(SMS_NUMBER, ("payload.scheduled_event.start_time", text))

        assert booking_of(body).starts_at == instant

    @pytest.mark.parametrize(
        "text",
        [
            "2026-12-01T18:00:00",
            "2026-12-01",
            "tomorrow",
            "",
            "0001-01-01T00:00:00+14:00",
            "1999-12-31T23:00:00Z",
            "9999-12-31T23:00:00Z",
            "2026-02-30T18:00:00Z",
            1_764_000_000,
            None,
            ...,
        ],
    )
    def test_without_a_start_in_a_zone_there_is_no_appointment(self, text):
        body = varied(SMS_NUMBER, ("payload.scheduled_event.start_time", text))

        assert read(body, OPTIONS) == Unusable(SkipReason.MALFORMED_PAYLOAD)

    def test_an_end_that_is_missing_or_earlier_is_the_start(self):
        for end in (..., None, "2020-01-01T00:00:00Z"):
            booking = booking_of(varied(SMS_NUMBER, ("payload.scheduled_event.end_time", end)))

            assert booking.ends_at == booking.starts_at

    def test_an_end_without_a_zone_is_malformed(self):
        body = varied(SMS_NUMBER, ("payload.scheduled_event.end_time", "2026-12-01T18:30:00"))

        assert read(body, OPTIONS) == Unusable(SkipReason.MALFORMED_PAYLOAD)


class TestBadInput:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"not json",
            b"[]",
            b"null",
            b'"invitee.created"',
            b"{}",
            b'{"event": 7}',
            b'{"event": "invitee.created"}',
            b'{"event": "invitee.created", "created_at": "2020-11-23T17:51:19Z", "payload": []}',
            b'{"event": "invitee.created", "created_at": "2020-11-23T17:51:19Z", "payload": {}}',
            b'{"event": "invitee.canceled", "created_at": "2020-11-23T17:51:19Z", "payload": {}}',
            b'{"event": "invitee_no_show.created", "created_at": "2020-11-23T17:51:19Z", "payload": {}}',
            b'{"event": "invitee.created\xff"}',
            b"eyJldmVudCI6Imludml0ZWUuY3JlYXRlZCJ9",
            b"[" * 100_000,
            b'{"event": "invitee.created", "payload": ' + b"[" * 100_000,
            b'{"event": "invitee.created", "payload": {"name": ' + b"[" * 50_000 + b"]" * 50_000 + b"}}",
            b'{"event": "\\ud800' + b"[" * 100_000,
            b'{"x": "\\ud800", "payload": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        ],
    )
    def test_what_is_no_event_is_malformed(self, body):
        assert read(body, OPTIONS) == Unusable(SkipReason.MALFORMED_PAYLOAD)

    @pytest.mark.parametrize("uri", [..., None, "", 7, ["x"], "x" * 501])
    @pytest.mark.parametrize("name", [CREATED, CANCELED, NO_SHOW])
    def test_without_an_id_there_is_nothing_to_be_told_of(self, name, uri):
        assert read(varied(name, ("payload.uri", uri)), OPTIONS) == Unusable(SkipReason.MALFORMED_PAYLOAD)

    @pytest.mark.parametrize("at", [..., None, "2020-11-23T17:51:19", "now"])
    def test_an_event_without_a_time_is_malformed(self, at):
        assert read(varied(CREATED, ("created_at", at)), OPTIONS) == Unusable(SkipReason.MALFORMED_PAYLOAD)

    def test_a_body_that_is_too_large_is_not_even_parsed(self):
        fitting = sample(CREATED).ljust(256 * 1024)

        assert isinstance(booking_of(fitting), Booking)
        assert read(fitting + b" ", OPTIONS) == Unusable(SkipReason.TOO_LARGE)
        assert read(b"x" * 1_000_000, OPTIONS) == Unusable(SkipReason.TOO_LARGE)

    def test_an_appointment_is_not_lost_for_members_of_unexpected_types(self):
        odd = [
            (f"payload.{name}", {"odd": [1]})
            for name in ("name", "timezone", "text_reminder_number", "questions_and_answers", "cancel_url")
        ]
        odd += [("payload.scheduled_event.event_memberships", "?"), ("payload.scheduled_event.location", 4)]

        booking = booking_of(varied(CREATED, *odd))

        assert booking.external_id == INVITEE_A
        assert (booking.invitee_name, booking.host_name, booking.phones) == (None, None, ())

    def test_a_cancellation_counts_even_without_its_appointment(self):
        (cancelled,) = read(varied(CANCELED, ("payload.scheduled_event", None)), OPTIONS)

        assert isinstance(cancelled, Cancelled)

    @pytest.mark.parametrize("name", [CREATED, RESCHEDULED, CANCELED_RESCHEDULED, NO_SHOW])
    @given(data=st.data())
    def test_anything_in_place_of_anything_is_an_event_or_a_reason(self, name, data):
        check(read(data.draw(damaged(name)), OPTIONS))

    @given(st.binary(max_size=200) | ANY_JSON.map(lambda value: json.dumps(value).encode()))
    def test_no_body_raises(self, body):
        assert isinstance(read(body, OPTIONS), Unusable)
