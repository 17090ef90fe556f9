from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.campaign_counts import Counts
from sms_engagement_runtime.channel.domain.consent import (
    ALL_SCOPES,
    ConsentState,
    Contact,
    Evidence,
    Scope,
    erase,
    opt_out,
)
from sms_engagement_runtime.channel.domain.errors import (
    OutcomeUnknownError,
    SendingDisabledError,
    SendThrottledError,
)
from sms_engagement_runtime.channel.domain.gate import ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.inbound import (
    InboundAction,
    InboundMessage,
    InboundService,
    OptOutMode,
    Replies,
    ReplyDeferredError,
)
from sms_engagement_runtime.channel.domain.keywords import Keyword
from sms_engagement_runtime.channel.domain.ledger import Intent, MessageState
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.prompts import ANY_ORIGINATION, Prompt
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.channel.domain.sending import OutcomeState, SendPolicy, SendService
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from tests.support.fakes import (
    START,
    SUBSCRIBER_KEY,
    Crash,
    CrashPlan,
    FakeAttention,
    FakeBus,
    FakeCampaignCounts,
    FakeClock,
    FakeContacts,
    FakeLedger,
    FakeOptOutList,
    FakePacer,
    FakeParser,
    FakePause,
    FakePlaces,
    FakeSender,
)

PERSON = PhoneNumber("+12065550123")
ID = subscriber_id(PERSON, SUBSCRIBER_KEY)
OUR_NUMBER = "+12065550100"

OPTED_OUT = "You have been unsubscribed. Reply START to subscribe again."
CONFIRMED = "Thank you for confirming! You're now subscribed to our updates."
WELCOME_BACK = "Welcome back! You're now subscribed."
HELP = "Reply STOP to unsubscribe. For help, visit our website."
STANDS = "You get no more texts; your appointment stands. Reply START to subscribe again."


@dataclass
class Channel:
    """A router on fakes, and the means to look behind it."""

    mode: OptOutMode = OptOutMode.SELF_MANAGED
    clock: FakeClock = field(default_factory=FakeClock)
    contacts: FakeContacts = field(default_factory=FakeContacts)
    opt_out_list: FakeOptOutList = field(default_factory=FakeOptOutList)
    pause: FakePause = field(default_factory=FakePause)
    bus: FakeBus = field(default_factory=FakeBus)
    attention: FakeAttention = field(default_factory=FakeAttention)
    counts: FakeCampaignCounts = field(default_factory=FakeCampaignCounts)
    places: FakePlaces = field(default_factory=FakePlaces)

    def __post_init__(self) -> None:
        self.ledger = FakeLedger(self.contacts)
        self.sender = FakeSender(opt_out_list=self.opt_out_list)

    def send_service(self, plan: CrashPlan | None = None) -> SendService:
        wrap = (plan or CrashPlan()).wrap
        return SendService(
            contacts=wrap(self.contacts),
            ledger=wrap(self.ledger),
            sender=wrap(self.sender),
            pause=self.pause,
            pacer=FakePacer(),
            places=self.places,
            clock=self.clock,
            policy=SendPolicy(allowed_countries=frozenset({"US"}), max_parts=1),
        )

    def service(self, plan: CrashPlan | None = None) -> InboundService:
        wrap = (plan or CrashPlan()).wrap
        return InboundService(
            contacts=wrap(self.contacts),
            prompts=wrap(self.contacts),
            ledger=wrap(self.ledger),
            send_service=self.send_service(plan),
            opt_out_list=wrap(self.opt_out_list),
            bus=wrap(self.bus),
            attention=wrap(self.attention),
            counts=wrap(self.counts),
            clock=self.clock,
            parser=FakeParser(),
            subscriber_key=SUBSCRIBER_KEY,
            mode=self.mode,
        )

    def receive(self, body: str | None, *, id: str = "in-1", after: float = 0, **fields):
        message = _message(body, id=id, after=after, **fields)
        return self.service().handle(message)

    def put(self, **states: ConsentState) -> None:
        consents = {Scope(name): state for name, state in states.items()}
        self.contacts.put(Contact(subscriber_id=ID, consents=consents))

    def published(self, detail_type: str) -> list[dict[str, object]]:
        """Details of the events of one type."""
        return [detail for published, detail in self.bus.events if published == detail_type]

    def ask(
        self, construct: str = "appointments", occasion: str = "booking-1", *, asked: float = 0, **fields
    ) -> Prompt:
        prompt = Prompt(
            subscriber_id=ID,
            origination=fields.pop("origination", OUR_NUMBER),
            construct=construct,
            purpose=fields.pop("purpose", "confirmation"),
            occasion=occasion,
            message_id=fields.pop("message_id", None),
            asked_at=START + timedelta(seconds=asked),
            expires_at=fields.pop("expires_at", START + timedelta(hours=1)),
            **fields,
        )
        self.contacts.open(prompt)
        return prompt

    def texted(self, construct: str, occasion: str, *, campaign_id: str | None = None) -> str:
        """Arrange: the person got a text of ours. Gives its message id."""
        outcome = self.send_service().send(
            Intent(
                construct=construct,
                purpose="confirmation",
                occasion=occasion,
                scope=Scope.APPOINTMENTS,
                message_class=MessageClass.TRANSACTIONAL,
                consent_rule=ConsentRule.IMPLIED,
                recipient=PERSON,
                subscriber_id=ID,
                country="US",
                body=f"About {occasion}?",
                campaign_id=campaign_id,
            )
        )
        assert outcome.message_id is not None
        return outcome.message_id

    @property
    def contact(self) -> Contact:
        return self.contacts.get(ID)

    @property
    def told(self) -> list[str]:
        return [subject for subject, _ in self.attention.notices]


def _message(body: str | None, *, id: str = "in-1", after: float = 0, **fields) -> InboundMessage:
    return InboundMessage(
        id=id,
        from_=fields.pop("from_", PERSON.e164),
        to=fields.pop("to", OUR_NUMBER),
        body=body,
        received_at=START + timedelta(seconds=after),
        **fields,
    )


@pytest.fixture
def channel() -> Channel:
    return Channel()


# STOP


def test_the_texts_of_our_replies_are_fixed():
    assert Replies() == Replies(
        opted_out=OPTED_OUT, confirmed=CONFIRMED, welcome_back=WELCOME_BACK, help=HELP
    )


@pytest.mark.parametrize("body", ["STOP", "Stop. Thank you", "please stop texting me", "ＳＴＯＰ"])
def test_stop_of_a_person_we_never_heard_of(channel, body):
    result = channel.receive(body)

    assert (result.action, result.keyword, result.subscriber_id) == (
        InboundAction.OPTED_OUT,
        Keyword.OPT_OUT,
        ID,
    )
    assert channel.contact.consents == dict.fromkeys(ALL_SCOPES, ConsentState.OPTED_OUT)
    assert channel.contact.phone_number == PERSON
    assert {(r.scope, r.words, r.message_id) for r in channel.contacts.records} == {
        (scope, body, "in-1") for scope in ALL_SCOPES
    }
    assert channel.sender.bodies == [OPTED_OUT]
    assert channel.opt_out_list.numbers == {PERSON}
    assert channel.told == []


def test_the_confirmation_comes_before_the_block_that_would_stop_it(channel):
    channel.sender.answers = [lambda: _assert(channel.opt_out_list.calls == [])]

    channel.receive("STOP")

    assert channel.opt_out_list.calls == [("put", PERSON)]


def _assert(condition: bool) -> None:
    assert condition


def test_a_redelivered_stop_does_nothing(channel):
    channel.receive("STOP")

    result = channel.receive("STOP")

    assert result.action is InboundAction.ALREADY_HANDLED
    assert channel.sender.bodies == [OPTED_OUT]


def test_closing_the_gate_records_an_opt_out_and_leaves_the_rest_to_its_turn(channel):
    stop = _message("STOP")

    channel.service().close_gate(stop)

    assert channel.contact.consents == dict.fromkeys(ALL_SCOPES, ConsentState.OPTED_OUT)
    assert channel.sender.bodies == []
    assert channel.opt_out_list.numbers == set()
    result = channel.service().handle(stop)
    assert (result.action, result.reason) == (InboundAction.OPTED_OUT, None)
    assert channel.sender.bodies == [OPTED_OUT]
    assert channel.opt_out_list.numbers == {PERSON}


@pytest.mark.parametrize("body", ["YES", "START", "HELP", "END of month works", "", None])
def test_closing_the_gate_leaves_other_texts_alone(channel, body):
    channel.put(marketing=ConsentState.PENDING)

    channel.service().close_gate(_message(body))

    assert channel.contact.consents == {Scope.MARKETING: ConsentState.PENDING}


def test_a_stop_that_was_handled_does_not_close_the_gate_again(channel):
    channel.receive("STOP", id="in-1")
    channel.put(marketing=ConsentState.ACTIVE)

    channel.service().close_gate(_message("STOP", id="in-1"))

    assert not channel.contact.is_opted_out


def test_a_stop_of_nobody_closes_no_gate(channel):
    channel.service().close_gate(_message("STOP", from_="AMAZON"))

    assert channel.contact.version == 0


def test_a_second_stop_is_not_confirmed_again(channel):
    channel.receive("STOP")

    result = channel.receive("STOP", id="in-2", after=5)

    assert (result.action, result.reason, result.reply) == (
        InboundAction.OPTED_OUT, Reason.ALREADY_OPTED_OUT, None,
    )  # fmt: skip
    assert channel.sender.bodies == [OPTED_OUT]
    assert PERSON in channel.opt_out_list.numbers


def test_a_second_stop_sends_the_confirmation_that_the_first_did_not_come_to(channel):
    channel.service().close_gate(_message("STOP"))

    channel.receive("STOP", id="in-2", after=1)
    channel.receive("STOP")

    assert channel.sender.bodies == [OPTED_OUT]
    assert [row.occasion for row in channel.ledger.rows.values()] == ["in-1"]
    assert channel.opt_out_list.numbers == {PERSON}


def test_a_second_stop_does_not_block_a_confirmation_that_is_under_way(channel):
    def second_stop():
        assert channel.receive("STOP", id="in-2", after=0).reply is None
        assert channel.opt_out_list.calls == []

    channel.sender.answers = [second_stop]

    channel.receive("STOP")

    assert channel.sender.bodies == [OPTED_OUT]
    assert channel.opt_out_list.numbers == {PERSON}


def test_the_first_stop_waits_for_the_confirmation_that_the_second_sends(channel):
    channel.service().close_gate(_message("STOP"))
    was_blocked = []

    def first_stop():
        # The second one is in the middle of its call; the first one is delivered again when it is over.
        with pytest.raises(ReplyDeferredError):
            channel.service().handle(_message("STOP"))
        was_blocked.append(bool(channel.opt_out_list.calls))

    channel.sender.answers = [first_stop]

    channel.receive("STOP", id="in-2", after=1)
    channel.receive("STOP")

    assert was_blocked == [False]
    assert channel.sender.bodies == [OPTED_OUT]
    assert channel.opt_out_list.numbers == {PERSON}


def test_stop_wins_over_an_open_prompt(channel):
    channel.ask()

    channel.receive("CANCEL")

    assert channel.contact.is_opted_out
    assert channel.published("ReplyReceived") == []


def test_stop_wins_a_race_on_the_contact(channel):
    channel.contacts.before_save = lambda: channel.put(marketing=ConsentState.ACTIVE)

    channel.receive("STOP")

    assert channel.contact.consents == dict.fromkeys(ALL_SCOPES, ConsentState.OPTED_OUT)
    assert channel.sender.bodies == [OPTED_OUT]


def test_a_confirmation_of_unknown_outcome_is_not_repeated(channel):
    channel.sender.answers = [OutcomeUnknownError("ReadTimeoutError")]

    result = channel.receive("STOP")

    assert result.reply is not None
    assert result.reply.state is OutcomeState.UNCERTAIN
    assert channel.sender.calls == 1
    assert channel.opt_out_list.numbers == {PERSON}


def test_a_confirmation_that_must_wait_is_sent_when_the_stop_is_delivered_again(channel):
    channel.sender.answers = [SendThrottledError("ThrottlingException")] * 5
    with pytest.raises(ReplyDeferredError, match="THROTTLED"):
        channel.receive("STOP")
    assert channel.contact.is_opted_out

    channel.receive("STOP")

    assert channel.sender.bodies == [OPTED_OUT]
    assert channel.opt_out_list.numbers == {PERSON}


# What waits: nothing may be sent now


def _pause(channel: Channel) -> None:
    channel.pause.paused = True


def _disable(channel: Channel) -> None:
    channel.sender.answers = [SendingDisabledError("MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT")] * 1000


def _go_on(channel: Channel) -> None:
    channel.pause.paused = False
    channel.sender.answers = []


def _rounds(channel: Channel, message: InboundMessage, until: timedelta) -> int:
    """Deliver a message as the queue does, until its reply is settled or so much time has passed.

    Gives how often its reply was still deferred.
    """
    deferred = 0
    while channel.clock.instant < START + until:
        try:
            channel.service().handle(message)
        except ReplyDeferredError as error:
            deferred += 1
            channel.clock.instant += error.retry_after
        else:
            break
    return deferred


@pytest.mark.parametrize("stop_sending", [_pause, _disable])
def test_an_opt_out_is_recorded_at_once_while_nothing_may_be_sent_and_confirmed_after(channel, stop_sending):
    stop_sending(channel)

    assert _rounds(channel, _message("STOP"), timedelta(hours=2)) > 0
    assert channel.contact.is_opted_out
    # The list would block the confirmation.
    assert (channel.sender.bodies, channel.opt_out_list.calls) == ([], [])
    _go_on(channel)
    channel.receive("STOP")
    channel.receive("STOP")

    assert channel.sender.bodies == [OPTED_OUT]
    assert channel.opt_out_list.numbers == {PERSON}
    assert channel.told == []


def test_a_confirmation_that_waits_is_given_up_where_the_person_came_back_meanwhile(channel):
    _pause(channel)
    with pytest.raises(ReplyDeferredError):
        channel.service().handle(_message("STOP", id="left"))
    _go_on(channel)
    channel.service().handle(_message("START", id="back", after=60))

    result = channel.service().handle(_message("STOP", id="left"))

    assert (result.action, result.reason) == (InboundAction.IGNORED, Reason.STALE_KEYWORD)
    states = {row.occasion: (row.state, row.reason) for row in channel.ledger.rows.values()}
    assert states["left"] == (MessageState.SUPPRESSED, Reason.NO_LONGER_TRUE)
    assert len(channel.sender.bodies) == 1


def test_a_short_pause_delays_a_reply_by_moments_and_a_long_one_by_minutes(channel):
    _pause(channel)
    waits = []
    for _ in range(12):
        with pytest.raises(ReplyDeferredError) as caught:
            channel.receive("HELP")
        waits.append(caught.value.retry_after.total_seconds())
        channel.clock.instant += caught.value.retry_after

    assert waits[:7] == [5, 5, 10, 20, 40, 80, 160]
    assert set(waits[7:]) == {240}


@pytest.mark.parametrize("again", ["STOP", "wrong number"])
def test_a_repeated_stop_while_paused_owes_nothing_of_its_own(channel, again):
    _pause(channel)
    with pytest.raises(ReplyDeferredError):
        channel.receive("STOP")

    result = channel.receive(again, id="in-2", after=5)

    assert (result.action, result.reason, result.reply) == (
        InboundAction.OPTED_OUT, Reason.ALREADY_OPTED_OUT, None,
    )  # fmt: skip
    assert "A reply was not sent" not in channel.told
    assert channel.opt_out_list.calls == []
    _go_on(channel)
    channel.receive("STOP")
    assert channel.sender.bodies == [OPTED_OUT]
    assert channel.opt_out_list.numbers == {PERSON}


def test_a_stop_after_the_pause_sends_the_confirmation_that_the_first_one_waits_for(channel):
    _pause(channel)
    with pytest.raises(ReplyDeferredError):
        channel.receive("STOP")
    _go_on(channel)

    channel.receive("STOP", id="in-2", after=5)
    channel.receive("STOP")

    assert channel.sender.bodies == [OPTED_OUT]


@pytest.mark.parametrize(
    ("body", "reply"), [("STOP", OPTED_OUT), ("HELP", HELP), ("YES", CONFIRMED), ("START", CONFIRMED)]
)
def test_a_reply_that_could_not_be_sent_for_a_day_never_is_and_a_human_is_told_once(channel, body, reply):
    channel.put(marketing=ConsentState.PENDING)
    _pause(channel)
    message = _message(body)

    _rounds(channel, message, timedelta(days=3))

    assert channel.clock.instant - START == pytest.approx(timedelta(days=1), abs=timedelta(minutes=4))
    assert channel.told == ["A reply was not sent"]
    ((_, notice),) = channel.attention.notices
    assert PERSON.e164 in notice
    assert reply in notice
    _go_on(channel)
    channel.service().handle(message)
    assert channel.sender.bodies == []
    assert len(channel.told) == 1
    assert (PERSON in channel.opt_out_list.numbers) is (body == "STOP")


def test_two_stops_that_come_days_late_are_told_to_a_human_once(channel):
    channel.clock.advance(days=2)

    channel.receive("STOP")
    again = channel.receive("STOP", id="in-2", after=5)

    assert again.reason is Reason.ALREADY_OPTED_OUT
    assert (channel.sender.bodies, channel.told) == ([], ["A reply was not sent"])
    assert channel.opt_out_list.numbers == {PERSON}


def test_a_late_reply_does_not_come_at_night(channel):
    _pause(channel)
    message = _message("STOP")
    # Noon in New York, where the number may be; resumed at midnight.
    assert _rounds(channel, message, timedelta(hours=12)) > 0
    _go_on(channel)

    assert _rounds(channel, message, timedelta(hours=19, minutes=55)) > 0
    assert channel.sender.bodies == []
    _rounds(channel, message, timedelta(days=1))

    assert channel.sender.bodies == [OPTED_OUT]
    assert channel.clock.instant.hour == 13  # Eight in New York.


def test_a_prompt_reply_comes_at_any_hour(channel):
    channel.clock.advance(hours=12)

    channel.receive("STOP", after=12 * 3600 - 290)

    assert channel.sender.bodies == [OPTED_OUT]


def test_what_went_out_in_time_is_not_put_off_when_it_is_delivered_again_at_night(channel):
    channel.clock.advance(hours=12)
    message = _message("STOP", after=12 * 3600)
    service = channel.service(plan := CrashPlan())
    plan.crash_at = _instants(STORIES[0]) - 3
    with pytest.raises(Crash):
        service.handle(message)
    assert channel.sender.bodies == [OPTED_OUT]
    assert message.id not in channel.contacts.handled

    channel.clock.advance(minutes=10)
    channel.service().handle(message)

    assert channel.opt_out_list.numbers == {PERSON}
    assert channel.sender.bodies == [OPTED_OUT]


def test_where_nobody_knows_the_hour_a_late_reply_is_given_up(channel):
    channel.places.zones = ()
    channel.clock.advance(minutes=6)

    _rounds(channel, _message("STOP"), timedelta(days=2))

    assert (channel.sender.bodies, channel.told) == ([], ["A reply was not sent"])
    assert channel.opt_out_list.numbers == {PERSON}


def test_start_during_a_pause_takes_back_the_confirmation_of_the_stop_before_it(channel):
    _pause(channel)
    for body, inbound_id, after in (("STOP", "in-1", 0), ("START", "in-2", 60)):
        with pytest.raises(ReplyDeferredError):
            channel.receive(body, id=inbound_id, after=after)
    channel.clock.advance(minutes=2)
    _go_on(channel)

    stop = channel.receive("STOP", id="in-1")
    start = channel.receive("START", id="in-2", after=60)

    assert (stop.action, stop.reason) == (InboundAction.IGNORED, Reason.STALE_KEYWORD)
    assert start.action is InboundAction.RESUBSCRIBED
    assert channel.sender.bodies == [WELCOME_BACK]


def test_stop_during_a_pause_takes_back_the_welcome_of_the_start_before_it(channel):
    channel.receive("STOP", id="in-0", after=-60)
    _pause(channel)
    for body, inbound_id, after in (("START", "in-1", 0), ("STOP", "in-2", 60)):
        with pytest.raises(ReplyDeferredError):
            channel.receive(body, id=inbound_id, after=after)
    channel.clock.advance(minutes=2)
    _go_on(channel)

    channel.receive("START", id="in-1")
    channel.receive("STOP", id="in-2", after=60)

    assert channel.sender.bodies == [OPTED_OUT, OPTED_OUT]
    assert channel.contact.is_opted_out
    assert channel.opt_out_list.numbers == {PERSON}


def test_a_yes_that_waited_for_its_reply_answers_nothing_that_was_asked_meanwhile(channel):
    channel.put(marketing=ConsentState.PENDING)
    _pause(channel)
    with pytest.raises(ReplyDeferredError):
        channel.receive("YES")
    # Left and came back since, so that the YES does not know its own change any more.
    channel.contacts.put(replace(channel.contact, changed_by="in-3"))
    channel.ask(asked=600)
    channel.clock.advance(minutes=11)
    _go_on(channel)

    result = channel.receive("YES")

    assert result.action is InboundAction.FORWARDED
    assert channel.bus.events == []


# What the bus is told of an opt-out


def test_an_opt_out_tells_the_bus_what_was_being_talked_about(channel):
    channel.ask(message_id="m-1")
    channel.ask("journeys", "welcome", asked=-60)
    channel.ask("journeys", "elsewhere", origination="+12065550101", asked=-60)
    channel.ask("journeys", "over", expires_at=START)

    channel.receive("Stop. Thank you", after=5)

    ((detail_type, detail),) = channel.bus.events
    assert detail_type == "OptedOut"
    conversations = detail.pop("conversations")
    assert {c["occasion"] for c in conversations} == {"booking-1", "welcome", "elsewhere"}
    booking = {
        "construct": "appointments",
        "purpose": "confirmation",
        "occasion": "booking-1",
        "messageId": "m-1",
    }
    assert booking in conversations
    assert detail == {
        "inboundMessageId": "in-1",
        "subscriberId": ID,
        "body": "Stop. Thank you",
        "isCancel": False,
        "isWrongNumber": False,
        "answeredPrompt": booking,
        "receivedAt": round(START.timestamp() * 1000) + 5000,
        "schemaVersion": 1,
    }
    assert PERSON.e164 not in str(channel.bus.events)


def test_an_opt_out_of_somebody_who_was_asked_nothing_is_told_too(channel):
    channel.receive("CANCEL")

    (detail,) = channel.published("OptedOut")
    assert (detail["conversations"], detail["answeredPrompt"], detail["isCancel"]) == ([], None, True)


def test_an_opt_out_leaves_questions_open_to_who_thinks_again(channel):
    channel.ask()

    channel.receive("CANCEL")
    channel.receive("No wait, I will be there", id="in-2", after=5)

    (reply,) = channel.published("ReplyReceived")
    assert (reply["inboundMessageId"], reply["occasion"]) == ("in-2", "booking-1")


def test_a_wrong_number_is_told_as_an_opt_out_too(channel):
    channel.ask()

    channel.receive("wrong number")

    (detail,) = channel.published("OptedOut")
    assert detail["isWrongNumber"] is True
    assert [c["occasion"] for c in detail["conversations"]] == ["booking-1"]


def test_the_bus_is_told_before_the_confirmation_is_sent(channel):
    channel.sender.answers = [lambda: _assert(len(channel.published("OptedOut")) == 1)]

    channel.receive("STOP")

    assert channel.sender.bodies == [OPTED_OUT]


def test_the_bus_is_told_once_of_an_opt_out_whose_confirmation_waits(channel):
    _pause(channel)

    assert _rounds(channel, _message("STOP"), timedelta(hours=1)) > 10

    assert len(channel.published("OptedOut")) == 1


def test_the_bus_is_not_told_again_of_who_was_out_already(channel):
    channel.receive("STOP")
    channel.receive("CANCEL", id="in-2", after=5)

    assert [detail["inboundMessageId"] for detail in channel.published("OptedOut")] == ["in-1"]


def test_the_bus_is_told_again_of_who_came_back_and_left_again(channel):
    for number, body in enumerate(["STOP", "START", "STOP"]):
        channel.receive(body, id=f"in-{number}", after=number)

    assert [detail["inboundMessageId"] for detail in channel.published("OptedOut")] == ["in-0", "in-2"]


def test_the_bus_is_told_of_an_opt_out_that_aws_answers():
    channel = Channel(mode=OptOutMode.AWS_MANAGED)

    channel.receive("CANCEL", keyword="CANCEL")

    assert len(channel.published("OptedOut")) == 1
    assert channel.sender.calls == 0


# CANCEL, which may mean what was asked about


@pytest.mark.parametrize("body", ["CANCEL", "cancel.", "Cancel, please. Thank you", "CANCELLL"])
def test_a_bare_cancel_is_confirmed_in_the_words_of_who_asked(channel, body):
    channel.ask(opt_out_reply=STANDS)

    result = channel.receive(body)

    assert (result.action, result.keyword) == (InboundAction.OPTED_OUT, Keyword.OPT_OUT)
    assert channel.contact.is_opted_out
    assert channel.sender.bodies == [STANDS]
    assert [row.occasion for row in channel.ledger.rows.values()] == ["in-1"]
    assert channel.opt_out_list.numbers == {PERSON}
    (detail,) = channel.published("OptedOut")
    assert (detail["isCancel"], detail["answeredPrompt"]["occasion"]) == (True, "booking-1")


@pytest.mark.parametrize("body", ["STOP", "END", "Cancel. Stop texting me", "wrong number", "quit"])
def test_other_opt_outs_are_confirmed_in_our_own_words(channel, body):
    channel.ask(opt_out_reply=STANDS)

    channel.receive(body)

    assert channel.sender.bodies == [OPTED_OUT]


def test_a_cancel_that_answers_a_question_without_such_words_is_confirmed_in_our_own(channel):
    channel.ask("appointments", "booking-1", asked=-60, opt_out_reply=STANDS)
    channel.ask("journeys", "welcome", asked=-30)

    channel.receive("CANCEL")

    assert channel.sender.bodies == [OPTED_OUT]


@pytest.mark.parametrize("expires_at", [START, START + timedelta(seconds=5)])
def test_a_cancel_after_the_question_expired_is_confirmed_in_our_own_words(channel, expires_at):
    channel.ask(opt_out_reply=STANDS, expires_at=expires_at)

    channel.receive("CANCEL", after=5)

    assert channel.sender.bodies == [OPTED_OUT]


@pytest.mark.parametrize("words", ["", " ", "It stands. " * 20])
def test_words_that_the_gate_refuses_leave_nobody_without_a_confirmation(channel, words):
    channel.ask(opt_out_reply=words)

    channel.receive("CANCEL")

    assert channel.sender.bodies == [OPTED_OUT]


def test_a_cancel_that_waits_for_longer_than_its_question_is_confirmed_in_the_same_words(channel):
    channel.ask(opt_out_reply=STANDS, expires_at=START + timedelta(minutes=1))
    _pause(channel)
    assert _rounds(channel, _message("CANCEL"), timedelta(hours=2)) > 0
    _go_on(channel)

    channel.receive("CANCEL")
    channel.receive("CANCEL")

    assert channel.sender.bodies == [STANDS]
    assert channel.opt_out_list.numbers == {PERSON}


def test_a_cancel_in_a_batch_is_confirmed_in_the_same_words(channel):
    channel.ask(opt_out_reply=STANDS)
    channel.service().close_gate(_message("CANCEL"))

    channel.receive("CANCEL")

    assert channel.sender.bodies == [STANDS]


def test_a_stop_that_confirms_a_cancel_before_it_uses_its_words(channel):
    channel.ask("journeys", "welcome", asked=-90)
    channel.ask("appointments", "booking-0", asked=-60, opt_out_reply="Another appointment stands.")
    channel.ask(asked=-30, opt_out_reply=STANDS)
    channel.service().close_gate(_message("CANCEL"))

    channel.receive("STOP", id="in-2", after=5)
    channel.receive("CANCEL")

    assert channel.sender.bodies == [STANDS]
    assert [row.occasion for row in channel.ledger.rows.values()] == ["in-1"]


def test_a_stop_that_confirms_a_cancel_finds_its_question_though_that_was_closed_by_it(channel):
    prompt = channel.ask(opt_out_reply=STANDS)
    channel.service().close_gate(_message("CANCEL"))
    channel.contacts.close(prompt, inbound_id="in-1")

    channel.receive("STOP", id="in-2", after=5)

    assert channel.sender.bodies == [STANDS]


def test_a_stop_that_confirms_a_cancel_whose_question_is_gone_uses_our_words(channel):
    prompt = channel.ask(opt_out_reply=STANDS)
    channel.service().close_gate(_message("CANCEL"))
    channel.contacts.close(prompt, inbound_id="in-3")

    channel.receive("STOP", id="in-2", after=5)

    assert channel.sender.bodies == [OPTED_OUT]


def test_a_stop_that_confirms_another_stop_says_nothing_of_appointments(channel):
    channel.ask(opt_out_reply=STANDS)
    channel.service().close_gate(_message("STOP"))

    channel.receive("STOP", id="in-2", after=5)
    channel.receive("STOP")

    assert channel.sender.bodies == [OPTED_OUT]


def test_a_cancel_that_confirms_a_stop_before_it_says_what_stands_and_once(channel):
    channel.ask(opt_out_reply=STANDS)
    channel.service().close_gate(_message("STOP"))

    channel.receive("CANCEL", id="in-2", after=5)
    channel.receive("STOP")

    assert channel.sender.bodies == [STANDS]
    assert [row.occasion for row in channel.ledger.rows.values()] == ["in-1"]


def test_a_cancel_that_aws_answers_is_only_recorded():
    channel = Channel(mode=OptOutMode.AWS_MANAGED)
    channel.ask(opt_out_reply=STANDS)

    result = channel.receive("CANCEL", keyword="CANCEL")

    assert (result.action, result.reason) == (InboundAction.OPTED_OUT, Reason.ANSWERED_BY_SERVICE)
    assert (channel.sender.calls, channel.opt_out_list.calls) == (0, [])


# A wrong number


def test_a_wrong_number_is_suppressed_confirmed_once_and_told_to_a_human(channel):
    result = channel.receive("Sorry, you have the wrong number")

    assert (result.action, result.keyword, result.reason, result.is_wrong_number) == (
        InboundAction.OPTED_OUT, Keyword.WRONG_NUMBER, Reason.WRONG_NUMBER, True,
    )  # fmt: skip
    assert channel.contact.consents == dict.fromkeys(ALL_SCOPES, ConsentState.OPTED_OUT)
    assert {(r.source, r.words) for r in channel.contacts.records} == {
        ("inbound-message", "Sorry, you have the wrong number")
    }
    assert channel.sender.bodies == [OPTED_OUT]
    assert channel.opt_out_list.numbers == {PERSON}
    assert channel.told == ["Wrong number"]
    ((_, notice),) = channel.attention.notices
    assert PERSON.e164 in notice
    assert "you have the wrong number" in notice


def test_a_wrong_number_ends_all_conversations_on_all_our_numbers(channel):
    message_id = channel.texted("appointments", "booking-1")
    channel.ask(message_id=message_id)
    channel.ask("journeys", "welcome", asked=-60)
    channel.ask("journeys", "elsewhere", origination="+12065550101")
    channel.ask("journeys", "over", expires_at=START)

    channel.receive("wrong number", after=5)

    prompts = channel.contacts.prompts.values()
    assert {p.occasion: p.answered_by for p in prompts} == {
        "booking-1": "in-1", "welcome": "in-1", "elsewhere": "in-1", "over": None,
    }  # fmt: skip
    (detail,) = channel.published("WrongNumber")
    conversations = detail.pop("conversations")
    assert {c["occasion"] for c in conversations} == {"booking-1", "welcome", "elsewhere"}
    booking = {
        "construct": "appointments",
        "purpose": "confirmation",
        "occasion": "booking-1",
        "messageId": message_id,
    }
    assert booking in conversations
    assert detail == {
        "inboundMessageId": "in-1",
        "subscriberId": ID,
        "answeredText": booking,
        "receivedAt": round(START.timestamp() * 1000) + 5000,
        "schemaVersion": 1,
    }


def test_a_wrong_number_answers_no_prompt(channel):
    channel.ask()

    channel.receive("wrong number")

    assert [detail_type for detail_type, _ in channel.bus.events] == ["OptedOut", "WrongNumber"]


def test_a_stop_that_names_a_wrong_number_is_both(channel):
    channel.ask()

    result = channel.receive("Wrong number. STOP")

    assert (result.keyword, result.is_wrong_number) == (Keyword.OPT_OUT, True)
    assert channel.told == ["Wrong number"]
    assert len(channel.published("WrongNumber")) == 1
    assert channel.sender.bodies == [OPTED_OUT]


def test_a_wrong_number_after_a_stop_ends_conversations_too_and_is_not_confirmed_again(channel):
    channel.receive("STOP")
    channel.ask()

    result = channel.receive("wrong number", id="in-2", after=5)

    assert (result.reason, result.is_wrong_number) == (Reason.ALREADY_OPTED_OUT, True)
    assert [detail["inboundMessageId"] for detail in channel.published("WrongNumber")] == ["in-2"]
    assert [detail["inboundMessageId"] for detail in channel.published("OptedOut")] == ["in-1"]
    assert channel.told == ["Wrong number"]
    assert channel.sender.bodies == [OPTED_OUT]


def test_a_wrong_number_while_paused_ends_conversations_at_once_and_once(channel):
    channel.ask()
    _pause(channel)

    rounds = _rounds(channel, _message("wrong number"), timedelta(hours=1))

    assert rounds > 10
    assert channel.contact.is_opted_out
    assert [detail_type for detail_type, _ in channel.bus.events] == ["OptedOut", "WrongNumber"]
    assert channel.told == ["Wrong number"]


def test_closing_the_gate_suppresses_a_wrong_number_too(channel):
    channel.service().close_gate(_message("wrong number"))

    assert channel.contact.is_opted_out
    assert channel.bus.events == []


def test_a_wrong_number_of_the_past_that_came_back_since_changes_nothing(channel):
    channel.receive("STOP", id="in-0", after=-60)
    channel.receive("START", id="in-2", after=60)
    channel.ask()

    result = channel.receive("wrong number")

    assert (result.action, result.reason) == (InboundAction.IGNORED, Reason.STALE_KEYWORD)
    assert {detail["inboundMessageId"] for _, detail in channel.bus.events} == {"in-0"}


def test_a_wrong_number_that_aws_does_not_recognise_is_ours_to_answer():
    channel = Channel(mode=OptOutMode.AWS_MANAGED)

    result = channel.receive("wrong number", keyword="KEYWORD_171875617347")

    assert result.is_wrong_number
    assert channel.sender.bodies == [OPTED_OUT]
    assert channel.opt_out_list.numbers == {PERSON}


def test_a_stop_that_aws_answers_ends_the_conversations_of_a_wrong_number():
    channel = Channel(mode=OptOutMode.AWS_MANAGED)
    channel.ask()

    channel.receive("STOP. Wrong number", keyword="STOP")

    assert [detail_type for detail_type, _ in channel.bus.events] == ["OptedOut", "WrongNumber"]
    assert channel.sender.calls == 0


@pytest.mark.parametrize(
    "body", ["Is this the wrong number?", "that's the wrong number for support, call us"]
)
def test_what_may_be_a_wrong_number_is_flagged_and_changes_nothing(channel, body):
    prompt = channel.ask()

    result = channel.receive(body)

    assert (result.action, result.keyword, result.is_flagged) == (
        InboundAction.ROUTED, Keyword.AMBIGUOUS_WRONG_NUMBER, True,
    )  # fmt: skip
    assert not channel.contact.is_opted_out
    assert channel.told == ["Possible wrong number"]
    assert [detail["occasion"] for _, detail in channel.bus.events] == [prompt.occasion]


# What an opt-out says of the campaign that it answers


@pytest.mark.parametrize("body", ["STOP", "wrong number"])
def test_an_opt_out_counts_against_the_campaign_of_the_latest_text(channel, body):
    channel.texted("reviews", "order-1", campaign_id="run-1")
    channel.clock.advance(days=6)
    channel.texted("reviews", "order-2", campaign_id="run-2")
    channel.clock.advance(days=1)

    channel.receive(body, after=7 * 86400)

    assert (channel.counts.get("run-1"), channel.counts.get("run-2")) == (Counts(), Counts(opted_out=1))


def test_an_opt_out_is_counted_once_however_often_it_is_said_and_delivered(channel):
    channel.texted("reviews", "order-1", campaign_id="run-1")
    _pause(channel)
    assert _rounds(channel, _message("STOP"), timedelta(minutes=5)) > 1
    _go_on(channel)

    channel.receive("STOP")
    channel.receive("STOP", id="in-2", after=60)

    assert channel.counts.get("run-1") == Counts(opted_out=1)


def test_an_opt_out_counts_before_its_confirmation_is_sent(channel):
    channel.texted("reviews", "order-1", campaign_id="run-1")
    channel.sender.answers = [lambda: _assert(channel.counts.get("run-1") == Counts(opted_out=1))]

    channel.receive("STOP")

    assert channel.sender.bodies[-1] == OPTED_OUT


def test_an_opt_out_of_a_person_whose_latest_text_was_of_no_campaign_counts_against_none(channel):
    channel.texted("reviews", "order-1", campaign_id="run-1")
    channel.clock.advance(minutes=1)
    channel.texted("appointments", "booking-1")
    channel.clock.advance(minutes=1)

    channel.receive("STOP", after=120)

    assert channel.counts.counts == {}


def test_our_own_replies_do_not_hide_the_campaign(channel):
    channel.texted("reviews", "order-1", campaign_id="run-1")
    channel.clock.advance(minutes=1)
    channel.receive("HELP", id="in-0", after=60)

    channel.receive("STOP", after=61)

    assert channel.counts.get("run-1") == Counts(opted_out=1)


def test_an_opt_out_a_week_after_the_text_does_not_count(channel):
    channel.texted("reviews", "order-1", campaign_id="run-1")
    channel.clock.advance(days=8)

    channel.receive("STOP", after=7 * 86400 + 1)

    assert channel.counts.counts == {}


def test_an_opt_out_is_recorded_even_from_a_number_that_the_numbering_plan_does_not_know(channel):
    result = channel.service().handle(_message("STOP", from_="+9991234567"))

    assert result.action is InboundAction.OPTED_OUT
    person = subscriber_id(PhoneNumber("+9991234567"), SUBSCRIBER_KEY)
    assert channel.contacts.get(person).is_opted_out
    assert result.reply is not None
    assert result.reply.reason is Reason.COUNTRY_UNKNOWN


# START


def test_start_ends_an_opt_out(channel):
    channel.receive("STOP")

    result = channel.receive("START", id="in-2", after=5)

    assert result.action is InboundAction.RESUBSCRIBED
    assert set(channel.contact.consents.values()) == {ConsentState.ACTIVE}
    assert channel.sender.bodies == [OPTED_OUT, WELCOME_BACK]
    assert channel.opt_out_list.numbers == set()


@pytest.mark.parametrize("word", ["YES", "Y", "CONFIRM", "OK", "1"])
def test_nothing_else_ends_an_opt_out(channel, word):
    channel.receive("STOP")

    result = channel.receive(word, id="in-2", after=5)

    assert result.action is InboundAction.FORWARDED
    assert channel.contact.is_opted_out
    assert channel.sender.bodies == [OPTED_OUT]


def test_start_that_aws_refuses_leaves_the_person_out_and_tells_a_human(channel):
    channel.receive("STOP")
    channel.receive("START", id="in-2", after=5)
    channel.receive("STOP", id="in-3", after=10)

    result = channel.receive("START", id="in-4", after=15)

    assert (result.action, result.reason) == (
        InboundAction.RESUBSCRIPTION_REFUSED, Reason.OPT_OUT_LIST_REFUSED,
    )  # fmt: skip
    assert channel.contact.is_opted_out
    assert channel.sender.bodies == [OPTED_OUT, WELCOME_BACK, OPTED_OUT]
    assert channel.told == ["START refused by AWS"]
    assert channel.contact.consents == dict.fromkeys(ALL_SCOPES, ConsentState.OPTED_OUT)


def test_start_counts_as_yes_where_a_confirmation_is_pending(channel):
    channel.put(marketing=ConsentState.PENDING)

    assert channel.receive("START").action is InboundAction.CONFIRMED
    assert channel.sender.bodies == [CONFIRMED]


@pytest.mark.parametrize("word", ["YES", "START"])
def test_nothing_is_confirmed_thirty_days_after_it_was_asked(channel, word):
    channel.put(marketing=ConsentState.PENDING)
    asked_at = channel.clock.now() - timedelta(days=30)
    channel.contacts.put(replace(channel.contact, pending_since=asked_at))

    result = channel.receive(word)

    assert result.action in (InboundAction.FORWARDED, InboundAction.HELPED)
    assert channel.contact.consents[Scope.MARKETING] is ConsentState.PENDING
    assert CONFIRMED not in channel.sender.bodies


@pytest.mark.parametrize("states", [{}, {"marketing": ConsentState.ACTIVE}])
def test_start_counts_as_help_for_everybody_else(channel, states):
    channel.put(**states)

    assert channel.receive("START").action is InboundAction.HELPED
    assert channel.sender.bodies == [HELP]


def test_a_start_that_comes_after_the_stop_that_followed_it_changes_nothing(channel):
    channel.receive("STOP", id="in-2", after=10)

    result = channel.receive("START", id="in-1", after=5)

    assert (result.action, result.reason) == (InboundAction.IGNORED, Reason.STALE_KEYWORD)
    assert channel.contact.is_opted_out
    assert channel.opt_out_list.numbers == {PERSON}


@pytest.mark.parametrize("known_to", ["person", "carrier"])
def test_a_start_between_two_stops_that_comes_last_changes_nothing(channel, known_to):
    if known_to == "person":
        channel.receive("STOP", id="in-1", after=0)
    else:
        evidence = Evidence(source="carrier", words="OPTED_OUT", message_id="key", at=START)
        out = opt_out(Contact(subscriber_id=ID), evidence)
        assert out is not None
        channel.contacts.put(out.contact)
    channel.receive("STOP", id="in-3", after=10)

    result = channel.receive("START", id="in-2", after=5)

    assert (result.action, result.reason) == (InboundAction.IGNORED, Reason.STALE_KEYWORD)
    assert channel.contact.is_opted_out
    assert channel.opt_out_list.numbers == {PERSON}


def test_a_stop_that_comes_after_the_start_that_followed_it_changes_nothing(channel):
    channel.receive("STOP", id="in-1", after=0)
    channel.receive("START", id="in-3", after=10)

    result = channel.receive("STOP", id="in-2", after=5)

    assert (result.action, result.reason) == (InboundAction.IGNORED, Reason.STALE_KEYWORD)
    assert not channel.contact.is_opted_out


def test_a_stop_during_start_wins(channel):
    channel.receive("STOP")
    later = Evidence(
        source="inbound-message", words="STOP", message_id="in-3", at=START + timedelta(seconds=9)
    )

    def stop_meanwhile() -> None:
        out = opt_out(replace(channel.contact, consents={}), later)
        assert out is not None
        channel.contacts.put(out.contact)

    channel.contacts.before_save = stop_meanwhile

    result = channel.receive("START", id="in-2", after=5)

    assert (result.action, result.reason) == (InboundAction.IGNORED, Reason.STALE_KEYWORD)
    assert channel.contact.is_opted_out
    assert channel.opt_out_list.numbers == {PERSON}
    assert channel.sender.bodies == [OPTED_OUT]


def test_start_after_an_opt_out_that_only_the_carrier_knew(channel):
    channel.opt_out_list.numbers.add(PERSON)
    evidence = Evidence(
        source="carrier", words="OPTED_OUT", message_id="key", at=START + timedelta(minutes=5)
    )
    out = opt_out(Contact(subscriber_id=ID), evidence)
    assert out is not None
    channel.contacts.put(out.contact)

    assert channel.receive("START").action is InboundAction.RESUBSCRIBED
    assert channel.opt_out_list.numbers == set()


# YES, HELP


@pytest.mark.parametrize("word", ["YES", "y", "Confirm!", "ok", "1", "Yes please"])
def test_yes_confirms_what_is_pending(channel, word):
    channel.put(marketing=ConsentState.PENDING)

    result = channel.receive(word)

    assert result.action is InboundAction.CONFIRMED
    assert channel.contact.consents[Scope.MARKETING] is ConsentState.ACTIVE
    assert channel.sender.bodies == [CONFIRMED]
    assert [(r.words, r.state) for r in channel.contacts.records] == [(word, ConsentState.ACTIVE)]


@pytest.mark.parametrize("word", ["YES", "1"])
def test_yes_never_preempts_an_open_prompt(channel, word):
    channel.put(marketing=ConsentState.PENDING)
    channel.ask()

    result = channel.receive(word)

    assert result.action is InboundAction.ROUTED
    assert channel.contact.is_pending
    assert channel.sender.bodies == []


@pytest.mark.parametrize("word", ["YES", "1"])
def test_yes_confirms_what_is_pending_where_somebody_only_listens(channel, word):
    channel.put(marketing=ConsentState.PENDING)
    channel.ask(asks=False)

    assert channel.receive(word).action is InboundAction.CONFIRMED
    assert channel.receive("and the parking?", id="in-2").action is InboundAction.ROUTED


def constructs_told(channel):
    return [detail["construct"] for name, detail in channel.bus.events if name == "ReplyReceived"]


def test_a_yes_is_for_whoever_asked_and_not_for_a_later_text_that_only_listens(channel):
    channel.ask("appointments", "booking-1", asked=-60)
    channel.ask("journeys", "run-1", asked=-30, asks=False)

    channel.receive("YES")

    assert constructs_told(channel) == ["appointments"]


def test_other_words_are_for_the_latest_text(channel):
    channel.ask("appointments", "booking-1", asked=-60)
    channel.ask("journeys", "run-1", asked=-30, asks=False)

    channel.receive("Nice!")

    assert constructs_told(channel) == ["journeys"]


def test_a_yes_after_an_answer_to_one_question_answers_no_other_of_the_same_construct(channel):
    channel.ask("appointments", "booking-1", asked=-60)
    channel.ask("appointments", "booking-2", asked=-30, asks=False)

    channel.receive("ok")

    (told,) = [detail for name, detail in channel.bus.events if name == "ReplyReceived"]
    assert told["occasion"] == "booking-2"


def test_where_nothing_is_pending_whoever_listens_gets_the_yes(channel):
    channel.ask(asks=False)

    assert channel.receive("YES").action is InboundAction.ROUTED


def test_yes_of_somebody_who_was_asked_nothing_goes_to_a_human(channel):
    assert channel.receive("YES").action is InboundAction.FORWARDED
    assert channel.told == ["Inbound message"]


@pytest.mark.parametrize("word", ["HELP", "info", "Help!"])
def test_help_is_answered_even_with_a_prompt_open(channel, word):
    channel.ask()

    assert channel.receive(word).action is InboundAction.HELPED
    assert channel.sender.bodies == [HELP]
    assert channel.bus.events == []


def test_help_after_an_opt_out_is_attempted_and_recorded(channel):
    channel.receive("STOP")

    result = channel.receive("HELP", id="in-2", after=5)

    assert result.reply is not None
    assert (result.reply.state, result.reply.reason) == (
        OutcomeState.FAILED, "DESTINATION_PHONE_NUMBER_OPTED_OUT",
    )  # fmt: skip


# Prompts


def test_an_answer_goes_to_the_construct_that_asked(channel):
    channel.ask("appointments", "booking-1", message_id="m-1")

    result = channel.receive("Tuesday is better", after=2.5)

    assert result.action is InboundAction.ROUTED
    assert channel.bus.events == [
        (
            "ReplyReceived",
            {
                "inboundMessageId": "in-1",
                "subscriberId": ID,
                "construct": "appointments",
                "purpose": "confirmation",
                "occasion": "booking-1",
                "messageId": "m-1",
                "alternatives": [],
                "origination": OUR_NUMBER,
                "body": "Tuesday is better",
                "keyword": "FREE_TEXT",
                "receivedAt": round(START.timestamp() * 1000) + 2500,
                "schemaVersion": 1,
            },
        )
    ]
    assert PERSON.e164 not in str(channel.bus.events)
    assert channel.told == []


def test_an_answer_closes_its_prompt(channel):
    channel.ask()
    channel.receive("yes")

    assert channel.receive("and another thing", id="in-2").action is InboundAction.FORWARDED


def test_the_last_prompt_is_answered_where_nothing_tells(channel):
    channel.ask("appointments", "booking-1", asked=10)
    channel.ask("journeys", "welcome", asked=20)
    channel.ask("appointments", "booking-2", asked=15)

    channel.receive("yes", after=30)

    assert channel.bus.events[0][1]["occasion"] == "welcome"


def test_the_previous_message_tells_which_prompt_is_answered(channel):
    message_id = channel.texted("appointments", "booking-1")
    channel.ask("appointments", "booking-1", message_id=message_id, asked=10)
    channel.ask("journeys", "welcome", asked=20)

    channel.receive("yes", after=30, previous_message_id=message_id)

    assert channel.bus.events[0][1]["occasion"] == "booking-1"


def test_a_later_text_about_the_same_thing_tells_too(channel):
    channel.ask("appointments", "booking-1", message_id="the question", asked=10)
    channel.ask("journeys", "welcome", asked=20)
    reminder = channel.texted("appointments", "booking-1")

    channel.receive("yes", after=30, previous_message_id=reminder)

    assert channel.bus.events[0][1]["occasion"] == "booking-1"


def test_a_previous_message_that_is_not_ours_is_not_believed(channel):
    channel.ask("appointments", "booking-1", message_id="m-1", asked=10)
    channel.ask("journeys", "welcome", asked=20)

    channel.receive("yes", after=30, previous_message_id="m-1")

    assert channel.bus.events[0][1]["occasion"] == "welcome"


def test_an_expired_prompt_is_not_answered(channel):
    channel.ask()
    channel.clock.advance(hours=1)

    assert channel.receive("yes").action is InboundAction.FORWARDED


def test_a_prompt_of_another_number_of_ours_is_not_answered(channel):
    channel.ask()

    assert channel.receive("yes", to="+12065550199").action is InboundAction.FORWARDED


def test_a_prompt_on_any_number_is_answered_on_the_one_that_the_person_writes_to(channel):
    channel.ask(origination=ANY_ORIGINATION)

    result = channel.receive("yes", to="+12065550199")

    assert result.action is InboundAction.ROUTED
    (detail,) = channel.published("ReplyReceived")
    assert (detail["occasion"], detail["origination"]) == ("booking-1", "+12065550199")
    assert channel.receive("and more", id="in-2").action is InboundAction.FORWARDED


# What else an answer may have meant


def _alternatives(channel: Channel) -> list[tuple[object, object]]:
    (detail,) = channel.published("ReplyReceived")
    alternatives = detail["alternatives"]
    assert isinstance(alternatives, list)
    return [(other["occasion"], other["purpose"]) for other in alternatives]


def test_an_answer_names_the_other_questions_of_who_asked_latest_first(channel):
    channel.ask(occasion="booking-1", asked=10)
    channel.ask(occasion="booking-2", asked=20)
    channel.ask(occasion="booking-2", asked=25, purpose="reminder")
    channel.ask(occasion="booking-3", asked=15)
    channel.ask(occasion="booking-4", asked=30)
    channel.ask(occasion="booking-4", asked=5, purpose="follow-up")
    channel.ask("journeys", "welcome", asked=1)
    channel.ask(occasion="over", asked=2, expires_at=START)
    channel.ask(occasion="later", asked=600)

    channel.receive("yes", after=40)

    (detail,) = channel.published("ReplyReceived")
    assert detail["occasion"] == "booking-4"
    assert _alternatives(channel) == [
        ("booking-2", "reminder"), ("booking-3", "confirmation"), ("booking-1", "confirmation"),
    ]  # fmt: skip


def test_an_answer_names_no_more_alternatives_than_one_digit_can_choose(channel):
    for number in range(12):
        channel.ask(occasion=f"booking-{number}", asked=number)

    channel.receive("yes", after=40)

    assert [occasion for occasion, _ in _alternatives(channel)] == [f"booking-{n}" for n in range(10, 1, -1)]


def test_an_answer_to_a_message_of_ours_that_the_service_names_has_no_alternatives(channel):
    message_id = channel.texted("appointments", "booking-1")
    channel.ask(occasion="booking-1", message_id=message_id, asked=10)
    channel.ask(occasion="booking-2", asked=20)

    channel.receive("yes", after=30, previous_message_id=message_id)

    assert _alternatives(channel) == []


def test_a_later_text_about_the_same_thing_leaves_no_alternatives_either(channel):
    channel.ask(occasion="booking-1", message_id="the question", asked=10)
    channel.ask(occasion="booking-2", asked=20)
    reminder = channel.texted("appointments", "booking-1")

    channel.receive("yes", after=30, previous_message_id=reminder)

    assert _alternatives(channel) == []


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_previous_message_about_something_else_leaves_alternatives(channel, is_ours):
    channel.ask(occasion="booking-1", asked=10)
    channel.ask(occasion="booking-2", asked=20)
    previous = channel.texted("reviews", "order-1") if is_ours else "not ours"

    channel.receive("yes", after=30, previous_message_id=previous)

    assert _alternatives(channel) == [("booking-1", "confirmation")]


def test_an_answer_that_is_delivered_again_names_the_same_alternatives(channel):
    channel.ask(occasion="booking-1", asked=10)
    channel.ask(occasion="booking-2", asked=20)
    message = _message("yes", after=30)
    channel.service().handle(message)
    del channel.contacts.handled["in-1"]

    channel.service().handle(message)

    first, second = channel.published("ReplyReceived")
    assert first == second
    assert first["alternatives"] == [{"purpose": "confirmation", "occasion": "booking-1"}]


# Humans


def test_free_text_goes_to_a_human_with_what_it_takes_to_answer(channel):
    message_id = channel.texted("reviews", "order-1")

    result = channel.receive("Is it open on Sunday?", previous_message_id=message_id)

    assert result.action is InboundAction.FORWARDED
    [(subject, notice)] = channel.attention.notices
    assert subject == "Inbound message"
    assert PERSON.e164 in notice
    assert "“Is it open on Sunday?”" in notice
    assert "reviews, confirmation" in notice
    assert subject.isascii()


def test_what_may_be_an_opt_out_is_flagged_and_changes_nothing(channel):
    result = channel.receive("please cancel my appointment")

    assert (result.action, result.is_flagged) == (InboundAction.FORWARDED, True)
    assert channel.told == ["Possible opt-out"]
    assert channel.contact.consents == {}


def test_what_may_be_an_opt_out_still_answers_its_prompt(channel):
    channel.ask()

    result = channel.receive("please cancel my appointment")

    assert (result.action, result.is_flagged) == (InboundAction.ROUTED, True)
    assert channel.told == ["Possible opt-out"]
    assert channel.bus.events[0][1]["keyword"] == "AMBIGUOUS_OPT_OUT"


# Odd input


@pytest.mark.parametrize("body", [None, "", "  ", "\u200b"])
def test_nothing_said_is_recorded_and_disturbs_nobody(channel, body):
    channel.ask()

    result = channel.receive(body)

    assert (result.action, result.reason) == (InboundAction.IGNORED, Reason.EMPTY_BODY)
    assert (channel.told, channel.bus.events, channel.sender.bodies) == ([], [], [])
    assert "in-1" in channel.contacts.handled


@pytest.mark.parametrize(
    ("origin", "reason"),
    [
        (None, Reason.NO_PHONE),
        ("", Reason.NO_PHONE),
        ("24273", Reason.INVALID_PHONE),
        ("AMAZON", Reason.INVALID_PHONE),
        ("+0", Reason.INVALID_PHONE),
    ],
)
@pytest.mark.parametrize("body", ["STOP", "Hello", "YES"])
def test_who_cannot_be_answered_is_recorded_and_told_to_a_human(channel, origin, reason, body):
    result = channel.service().handle(_message(body, from_=origin))

    assert (result.action, result.reason) == (InboundAction.IGNORED, reason)
    assert channel.told == ["Inbound message without a phone number"]
    assert channel.sender.bodies == []
    assert "in-1" in channel.contacts.handled


def test_nothing_from_nobody_is_only_recorded(channel):
    assert channel.service().handle(_message(None, from_=None)).reason is Reason.NO_PHONE
    assert channel.told == []


def test_the_longest_text_is_kept_whole(channel):
    body = "é" * 1600

    channel.receive(body)

    assert body in channel.attention.notices[0][1]


def test_a_text_to_no_number_is_handled(channel):
    channel.ask()

    assert channel.receive("yes", to=None).action is InboundAction.FORWARDED


@given(
    st.none() | st.text(max_size=50),
    st.sampled_from([None, PERSON.e164, "24273", "(206) 555-0123", "\x00"]),
    st.sampled_from([None, OUR_NUMBER]),
    st.none() | st.text(max_size=5),
    st.none() | st.text(max_size=5),
    st.sampled_from(OptOutMode),
)
def test_no_inbound_message_whatsoever_raises_or_is_answered_twice(body, from_, to, previous, keyword, mode):
    channel = Channel(mode=mode)
    message = _message(body, from_=from_, to=to, previous_message_id=previous, keyword=keyword)

    first = channel.service().handle(message)
    second = channel.service().handle(message)

    assert first.action is not InboundAction.ALREADY_HANDLED
    assert second.action is InboundAction.ALREADY_HANDLED
    assert channel.sender.calls <= 1


# AWS-managed opt-outs


@pytest.mark.parametrize(
    ("body", "keyword"),
    [("STOP", "STOP"), ("STOP", None), ("stop please", None), ("END of month works", "END")],
)
def test_an_opt_out_that_aws_answers_is_only_recorded(body, keyword):
    channel = Channel(mode=OptOutMode.AWS_MANAGED)

    result = channel.receive(body, keyword=keyword)

    assert (result.action, result.reason) == (InboundAction.OPTED_OUT, Reason.ANSWERED_BY_SERVICE)
    assert channel.contact.is_opted_out
    assert (channel.sender.calls, channel.opt_out_list.calls, channel.told) == (0, [], [])


def test_an_opt_out_that_aws_does_not_recognise_is_ours_to_answer():
    channel = Channel(mode=OptOutMode.AWS_MANAGED)

    channel.receive("please stop texting me", keyword="KEYWORD_171875617347")

    assert channel.contact.is_opted_out
    assert channel.sender.bodies == [OPTED_OUT]
    assert channel.opt_out_list.numbers == {PERSON}


def test_start_and_help_that_aws_answers_are_only_recorded():
    channel = Channel(mode=OptOutMode.AWS_MANAGED)
    channel.receive("STOP")

    start = channel.receive("START", id="in-2", after=5)
    help_ = channel.receive("HELP", id="in-3", after=6)

    assert (start.action, start.reason) == (InboundAction.RESUBSCRIBED, Reason.ANSWERED_BY_SERVICE)
    assert not channel.contact.is_opted_out
    assert help_.action is InboundAction.HELPED
    assert (channel.sender.calls, channel.opt_out_list.calls) == (0, [])


def test_yes_is_answered_by_us_in_either_mode():
    channel = Channel(mode=OptOutMode.AWS_MANAGED)
    channel.put(marketing=ConsentState.PENDING)

    channel.receive("YES", keyword="KEYWORD_171875617347")

    assert channel.sender.bodies == [CONFIRMED]


# Crashes between any two steps


@dataclass(frozen=True)
class Story:
    """What went before, the message that the process dies on, and what must be true in the end."""

    name: str
    before: tuple[tuple[str, str, float], ...]
    body: str
    replies: tuple[str, ...]
    is_opted_out: bool
    is_listed: bool
    pending: bool = False
    prompt: bool = False
    wrong_number: bool = False
    opt_out_reply: str | None = None


STORIES = [
    Story("stop", (), "STOP", (OPTED_OUT,), is_opted_out=True, is_listed=True),
    Story(
        "start",
        (("STOP", "in-a", -9),),
        "START",
        (OPTED_OUT, WELCOME_BACK),
        is_opted_out=False,
        is_listed=False,
    ),
    Story(
        "stop after start",
        (("STOP", "in-a", -9), ("START", "in-b", -8)),
        "STOP",
        (OPTED_OUT, WELCOME_BACK, OPTED_OUT),
        is_opted_out=True,
        is_listed=True,
    ),
    Story(
        "wrong number",
        (),
        "wrong number",
        (OPTED_OUT,),
        is_opted_out=True,
        is_listed=True,
        prompt=True,
        wrong_number=True,
    ),
    Story("cancel", (), "CANCEL", (STANDS,), is_opted_out=True, is_listed=True, opt_out_reply=STANDS),
    Story("second stop", (("STOP", "in-a", -9),), "STOP", (OPTED_OUT,), is_opted_out=True, is_listed=True),
    Story(
        "refused start",
        (("STOP", "in-a", -9), ("START", "in-b", -8), ("STOP", "in-c", -7)),
        "START",
        (OPTED_OUT, WELCOME_BACK, OPTED_OUT),
        is_opted_out=True,
        is_listed=True,
    ),
    Story("yes", (), "YES", (CONFIRMED,), is_opted_out=False, is_listed=False, pending=True),
    Story("start as yes", (), "START", (CONFIRMED,), is_opted_out=False, is_listed=False, pending=True),
    Story("help", (), "HELP", (HELP,), is_opted_out=False, is_listed=False),
    Story("answer", (), "see you", (), is_opted_out=False, is_listed=False, prompt=True),
    Story("free text", (), "see you", (), is_opted_out=False, is_listed=False),
]


def _begin(story: Story) -> Channel:
    channel = Channel()
    if story.pending:
        channel.put(marketing=ConsentState.PENDING)
    if story.prompt:
        channel.ask()
    if story.opt_out_reply is not None:
        channel.ask(opt_out_reply=story.opt_out_reply, expires_at=START + timedelta(seconds=1))
    for body, message_id, after in story.before:
        channel.receive(body, id=message_id, after=after)
    return channel


def _instants(story: Story) -> int:
    plan = CrashPlan()
    _begin(story).service(plan).handle(_message(story.body))
    return plan.instants


@pytest.mark.parametrize("delay", [1, 300], ids=["soon", "later"])
@pytest.mark.parametrize(
    ("story", "instant"),
    [pytest.param(s, i, id=f"{s.name}-{i}") for s in STORIES for i in range(1, _instants(s) + 1)],
)
def test_a_crash_at_any_instant_is_made_good_by_the_next_delivery(story, instant, delay):
    channel = _begin(story)
    already = len(channel.sender.bodies)
    was_opted_out = channel.contact.is_opted_out
    with pytest.raises(Crash):
        channel.service(CrashPlan(crash_at=instant)).handle(_message(story.body))

    channel.clock.advance(seconds=delay)
    try:
        channel.service().handle(_message(story.body))
    except ReplyDeferredError:
        # It was claimed seconds ago and may be under way; the queue delivers again after its time-out.
        channel.clock.advance(minutes=6)
        channel.service().handle(_message(story.body))
    channel.service().handle(_message(story.body))

    replies = [row for row in channel.ledger.rows.values() if row.occasion == "in-1"]
    owed = len(story.replies) - already
    assert len(replies) == owed
    assert channel.contact.is_opted_out is story.is_opted_out
    assert (PERSON in channel.opt_out_list.numbers) is story.is_listed
    assert tuple(channel.sender.bodies) in (story.replies, story.replies[:already])
    if tuple(channel.sender.bodies) != story.replies:
        # The claim was made and the call was not: nobody can tell it from a reply that went out.
        channel.clock.advance(minutes=2)
        assert replies[0].derived_state(channel.clock.now()) is MessageState.UNCERTAIN
    if story.pending:
        assert channel.contact.consents[Scope.MARKETING] is ConsentState.ACTIVE
    if story.prompt:
        # A consumer of the bus may see it twice, with the same id, and nobody else gets it.
        assert {detail["inboundMessageId"] for _, detail in channel.bus.events} == {"in-1"}
        assert {prompt.answered_by for prompt in channel.contacts.prompts.values()} == {"in-1"}
    opt_outs = [d for d in channel.published("OptedOut") if d["inboundMessageId"] == "in-1"]
    assert bool(opt_outs) is (story.is_opted_out and not was_opted_out)
    assert all(detail == opt_outs[0] for detail in opt_outs)
    if story.wrong_number:
        assert {detail_type for detail_type, _ in channel.bus.events} == {"OptedOut", "WrongNumber"}
        assert all(detail["conversations"] for _, detail in channel.bus.events)
        # Whoever reads it may be told twice, too; never not at all.
        assert set(channel.told) == {"Wrong number"}
    elif story.prompt:
        assert channel.told == []
    proofs = [(r.scope, r.state, r.message_id) for r in channel.contacts.records]
    assert len(proofs) == len(set(proofs))
    assert "in-1" in channel.contacts.handled


def test_a_crash_inside_stop_and_a_start_before_the_stop_is_delivered_again(channel):
    plan = CrashPlan()
    service = channel.service(plan)
    plan.crash_at = _instant_after_first_save()
    with pytest.raises(Crash):
        service.handle(_message("STOP"))
    assert channel.contact.is_opted_out
    assert channel.sender.bodies == []

    channel.receive("START", id="in-2", after=30)
    result = channel.receive("STOP")

    assert (result.action, result.reason) == (InboundAction.IGNORED, Reason.STALE_KEYWORD)
    assert not channel.contact.is_opted_out
    assert channel.sender.bodies == [WELCOME_BACK]


def _instant_after_first_save() -> int:
    for instant in range(1, 100):
        channel = Channel()
        with pytest.raises(Crash):
            channel.service(CrashPlan(crash_at=instant)).handle(_message("STOP"))
        if channel.contact.is_opted_out:
            return instant
    raise AssertionError("STOP never saves the contact")


@pytest.mark.parametrize("words", ["STOP", "START", "HELP", "YES", "Wrong number", "Why?", "please stop now"])
def test_whatever_an_erased_person_writes_nothing_is_kept_told_or_answered(words):
    channel = Channel()
    channel.ask()
    channel.contacts.put(erase(channel.contact, START))
    tombstone = channel.contact
    message = _message(words)

    channel.service().close_gate(message)
    result = channel.service().handle(message)

    assert (result.action, result.reason) == (InboundAction.IGNORED, Reason.ERASED)
    assert channel.contact == tombstone
    assert (channel.contacts.records, channel.bus.events, channel.told) == ([], [], [])
    assert channel.sender.sent == []


def test_an_erasure_between_the_first_look_and_the_write_of_a_stop_stays():
    channel = Channel()

    def erased() -> None:
        channel.contacts.put(erase(channel.contact, START))

    channel.contacts.before_save = erased

    result = channel.receive("STOP")

    assert (result.action, result.reason) == (InboundAction.IGNORED, Reason.ERASED)
    assert channel.contact.is_erased
    assert channel.contact.phone_number is None
