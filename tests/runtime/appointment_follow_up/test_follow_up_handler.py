"""Steps of an appointment as the state machine calls for them; the carrier at a socket."""

import json
import sys
from datetime import timedelta

import pytest

from sms_engagement_runtime.appointment_follow_up.domain import conversation as rules
from sms_engagement_runtime.appointment_follow_up.domain.changing import change
from sms_engagement_runtime.appointment_follow_up.domain.conversation import Reply, Status
from sms_engagement_runtime.appointment_follow_up.domain.follow_up import MissingConversationError
from sms_engagement_runtime.appointment_follow_up.domain.reply_kinds import ReplyKind
from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError, ServiceRefusedError
from tests.runtime.appointment_follow_up.conftest import NOON, PHONE, STARTS_AT
from tests.support.appointment_fakes import cancelled, id_of, no_show
from tests.support.aws_faults import failing
from tests.support.handlers import Context, fresh_handler
from tests.support.logs import captured_logs

MODULE = "sms_engagement_runtime.appointment_follow_up.handlers.follow_up"
DAY = 86400
OVER = {"next": "OVER", "until": None, "leadSeconds": None}
ANSWER = {"next": "ANSWER", "until": None, "leadSeconds": None}
REMINDER = {"next": "REMINDER", "until": "2026-11-23T19:00:00Z", "leadSeconds": DAY}
END = {"next": "END", "until": "2026-11-24T21:30:00Z", "leadSeconds": None}


@pytest.fixture
def module(carrier, desk, environment):
    # A process of its own for each test: it would remember the rate and the pause of the one before.
    with fresh_handler(MODULE, environment) as module:
        yield module


@pytest.fixture
def do(module):
    def do(step, name="A", **fields):
        return module.handler({"step": step, "appointmentId": id_of(name), **fields}, Context())

    return do


@pytest.fixture
def status(desk):
    def status(name="A"):
        return desk.conversations.get(id_of(name)).status

    return status


def record(desk, transition, name="A"):
    change(desk.conversations, id_of(name), transition, now=NOON)


class TestSteps:
    def test_the_confirmation_goes_out_and_an_answer_is_waited_for(self, do, desk, carrier, status):
        desk.book()

        assert do("confirm") == ANSWER

        (text,) = carrier.texts(PHONE)
        assert "Ada" in text
        assert "Intro call" in text
        assert status() is Status.CONFIRMED_SENT
        assert [(bus, event) for bus, event, _ in desk.events] == [
            ("crm", "AppointmentBooked"),
            ("crm", "AppointmentConfirmationSent"),
        ]

    def test_a_step_that_is_called_again_sends_nothing_and_goes_on_the_same(self, do, desk, carrier):
        desk.book()

        assert [do("confirm") for _ in range(3)] == [ANSWER] * 3
        assert [do("follow-up") for _ in range(3)] == [REMINDER] * 3

        assert len(carrier.texts(PHONE)) == 2

    def test_nobody_answers_and_is_followed_up_and_reminded_and_asked_for_a_review(
        self, do, desk, carrier, move, status
    ):
        desk.book()
        do("confirm")

        move(NOON + timedelta(minutes=30))
        assert do("follow-up") == REMINDER
        assert status() is Status.FOLLOWED_UP
        move(STARTS_AT - timedelta(days=1))
        assert do("remind", leadSeconds=DAY) == END
        move(STARTS_AT + timedelta(minutes=150))
        assert do("finish") == OVER

        assert len(carrier.texts(PHONE)) == 3
        assert [event for bus, event, _ in desk.events if bus == "crm"][-1] == "AppointmentFinished"
        (review,) = [detail for bus, event, detail in desk.events if bus == "channel"]
        assert review["occasion"] == f"appointment-{id_of('A')}"
        assert review["customer"]["phoneNumber"] == PHONE

    def test_who_answered_is_not_followed_up(self, do, desk, carrier, status):
        desk.book()
        do("confirm")
        record(desk, lambda row: rules.answer(row, Reply(at=NOON, kind=ReplyKind.CONFIRM)))

        assert do("follow-up") == REMINDER

        assert len(carrier.texts(PHONE)) == 1
        assert status() is Status.RESPONDED

    def test_a_step_that_comes_early_waits(self, do, desk):
        desk.book()
        do("confirm")

        assert do("remind", leadSeconds=DAY) == REMINDER
        assert do("finish") == END

    @pytest.mark.parametrize("step", ["confirm", "follow-up", "finish"])
    def test_nothing_is_said_about_what_will_not_take_place(self, do, desk, carrier, step):
        desk.book()
        record(desk, lambda row: rules.cancel(row, cancelled("A", at=NOON)))

        assert do(step) in (OVER, END)
        assert carrier.texts(PHONE) == []

    def test_its_end_is_told_to_who_knew_of_it(self, do, desk, carrier):
        desk.book()
        do("confirm")
        record(desk, lambda row: rules.cancel(row, cancelled("A", at=NOON)))

        assert do("notify", notice="cancelled") == OVER
        assert do("notify", notice="cancelled") == OVER
        # A notice of something else than what is.
        assert do("notify", notice="no-show") == OVER

        _, text = carrier.texts(PHONE)
        assert "will not take place" in text

    def test_a_no_show_is_told(self, do, desk, carrier, move):
        desk.book()
        do("confirm")
        said_at = STARTS_AT + timedelta(hours=1)
        move(said_at)
        record(desk, lambda row: rules.mark_no_show(row, no_show("A", at=said_at)))

        assert do("notify", notice="no-show") == OVER

        assert len(carrier.texts(PHONE)) == 2


class TestWaiting:
    def test_what_cannot_be_sent_now_is_done_again_later(self, do, desk, carrier):
        desk.book()
        desk.pause()

        answer = do("confirm")

        assert (answer["next"], answer["leadSeconds"]) == ("AGAIN", None)
        # As a Wait state reads it (Amazon States Language, *Timestamps*).
        assert answer["until"].endswith("Z")
        assert answer["until"][10] == "T"
        assert carrier.texts(PHONE) == []

    def test_a_reminder_that_waits_is_still_that_reminder(self, do, desk, carrier, move):
        desk.book()
        do("confirm")
        desk.pause()
        move(STARTS_AT - timedelta(hours=23))

        answer = do("remind", leadSeconds=DAY)

        # The machine calls the step again with what is answered here.
        assert (answer["next"], answer["leadSeconds"]) == ("AGAIN", DAY)
        assert len(carrier.texts(PHONE)) == 1

    def test_at_night_a_reminder_waits_for_the_morning(self, do, desk, move, carrier):
        starts_at = NOON + timedelta(days=3, hours=12)
        desk.book(starts_at=starts_at)
        do("confirm")
        move(starts_at - timedelta(days=1))

        answer = do("remind", leadSeconds=DAY)

        assert answer == {"next": "AGAIN", "until": "2026-11-24T13:00:00Z", "leadSeconds": DAY}
        assert len(carrier.texts(PHONE)) == 1


class TestFaults:
    def test_a_row_that_is_gone_is_no_fault_that_passes(self, do):
        with pytest.raises(MissingConversationError):
            do("confirm", "nobody's")

    @pytest.mark.parametrize(
        "event",
        [{}, {"step": "confirm"}, {"appointmentId": "x"}, {"step": "dance", "appointmentId": "x"}],
    )
    def test_a_call_that_is_none_fails_at_once(self, module, event):
        with pytest.raises((KeyError, ValueError)):
            module.handler(event, Context())

    @pytest.mark.parametrize(
        ("operation", "error", "kind"),
        [
            ("GetItem", "ThrottlingException", ServiceCallError),
            ("PutItem", "ThrottlingException", ServiceCallError),
            ("PutItem", "TransactionConflictException", ServiceCallError),
            ("TransactWriteItems", "InternalServerError", ServiceCallError),
            ("PutEvents", "InternalException", ServiceCallError),
            ("PutEvents", "AccessDeniedException", ServiceRefusedError),
        ],
    )
    def test_faults_reach_the_machine_by_their_names_and_the_next_attempt_goes_on(
        self, do, desk, module, carrier, move, operation, error, kind, monkeypatch
    ):
        monkeypatch.setattr(module._service.conversations, "_sleep", lambda _: None)
        desk.book()

        with failing(operation, error), pytest.raises(kind) as raised:
            do("confirm")

        # Step Functions compares the name of the class, not those of its bases.
        assert type(raised.value) is kind
        assert PHONE not in str(raised.value)
        again = do("confirm")
        if again["next"] == "AGAIN":
            # The text went out and its receipt was lost: a minute later the ledger knows that it may have.
            move(NOON + timedelta(seconds=62))
            again = do("confirm")
        assert again == ANSWER
        assert len(carrier.texts(PHONE)) == 1


class TestWhatIsTold:
    def test_each_step_is_logged_by_ids_and_counted_by_its_outcome(self, do, desk, capsys):
        desk.book()

        with captured_logs() as log:
            do("confirm")
            do("confirm")

        lines = [json.loads(line) for line in log.getvalue().splitlines()]
        assert [(line["message"], line["state"], line["next"]) for line in lines] == [
            ("Step of an appointment done", "ACCEPTED", "ANSWER"),
            ("Step of an appointment done", "ALREADY_SENT", "ANSWER"),
        ]
        assert lines[0]["appointment_id"] == id_of("A")
        written = log.getvalue() + capsys.readouterr().out
        # The construct's metric of texts has this name.
        assert '"AppointmentAccepted"' in written
        assert '"AppointmentAlreadySent"' in written
        assert not [word for word in ("2025550123", "555", "Ada", "Lovelace", "Intro") if word in written]


class TestTexts:
    def test_those_of_the_layer_replace_the_standard_ones(
        self, desk, carrier, environment, tmp_path, monkeypatch
    ):
        folder = tmp_path / "sms_engagement_texts"
        folder.mkdir()
        (folder / "appointments.json").write_text(
            json.dumps({"confirmation": {"en": "Really, {{name}}? {{time}}. 1 for yes"}}), encoding="utf-8"
        )
        monkeypatch.syspath_prepend(tmp_path)
        desk.book()

        with fresh_handler(MODULE, environment) as module:
            module.handler({"step": "confirm", "appointmentId": id_of("A")}, Context())

        sys.modules.pop("sms_engagement_texts", None)
        (text,) = carrier.texts(PHONE)
        assert text.startswith("Really, Ada?")

    def test_who_is_held_out_is_not_followed_up_and_goes_on(self, desk, carrier, environment):
        holdouts = {**environment, "HOLDOUTS": '{"follow-up": 50}'}
        with fresh_handler(MODULE, holdouts) as module:
            for number in range(12):
                desk.book(str(number), starts_at=STARTS_AT + timedelta(hours=number))
            answers = [
                module.handler({"step": "follow-up", "appointmentId": id_of(str(number))}, Context())
                for number in range(12)
            ]

        assert {answer["next"] for answer in answers} == {"REMINDER"}
