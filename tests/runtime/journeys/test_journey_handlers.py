"""Journeys from their start to their end by the handlers; the carrier at a socket, the rest in moto."""

import contextlib
import json
from datetime import datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sns import sns_backends

from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError
from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.adapters.end_user_messaging import EndUserMessagingSender
from sms_engagement_runtime.channel.adapters.event_bus import EventBridgeBus
from sms_engagement_runtime.channel.domain.consent import ConsentState, Scope
from sms_engagement_runtime.channel.domain.errors import SendingDisabledError
from sms_engagement_runtime.journeys.adapters.dynamodb_enrolments import DynamoEnrolments
from sms_engagement_runtime.journeys.domain.conditions import Confirmed, SubscriberState
from sms_engagement_runtime.journeys.domain.description import Branch, JourneyDefinition, Send, Wait
from sms_engagement_runtime.journeys.domain.runs import JourneyInputError
from sms_engagement_runtime.journeys.domain.stock import confirmation, promotional, welcome_series
from sms_local.emulator.patches.embedded_metrics import metrics_of
from tests.support.carrier import carrier_server
from tests.support.dynamodb_tables import CONTACTS
from tests.support.handlers import fresh_handler
from tests.support.journey_drive import (
    ENROLMENTS,
    HANDLERS,
    SUBSCRIBERS,
    JourneyDrive,
    environment,
    id_of,
    journey_cloud,
    subscriber_item,
)
from tests.support.logs import captured_logs

YES, STOPS, REFUSES, SILENT, LATE = (f"+1206555010{n}" for n in range(1, 6))
EVERYBODY = (YES, STOPS, REFUSES, SILENT)
WELCOME = "Welcome! Reply YES to confirm or STOP to unsubscribe."
REMINDER = "Please reply YES to confirm your subscription, or STOP to unsubscribe."
CONFIRMED = "Thank you for confirming! You're now subscribed to our updates."
# Nine in the morning in Seattle, where the phones are, and some weeks later for each test: the pacer lives as
# long as its module, and expects that time goes on.
SEATTLE = ZoneInfo("America/Los_Angeles")
MORNINGS = (datetime(2026, 11, 23, 9, tzinfo=SEATTLE) + timedelta(days=42 * n) for n in count())


@pytest.fixture(scope="module")
def server():
    with carrier_server() as server:
        yield server


@pytest.fixture
def carrier(server):
    server.restart()
    server.client.create_configuration_set(ConfigurationSetName="channel")
    server.client.create_opt_out_list(OptOutListName="channel")
    return server


@pytest.fixture
def dynamodb(carrier):
    with journey_cloud() as client:
        yield client


@pytest.fixture(scope="module")
def clock_file(tmp_path_factory):
    return tmp_path_factory.mktemp("clock") / "offset"


@pytest.fixture(scope="module")
def modules(server, clock_file):
    variables = environment(server.url, clock_file)
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(fresh_handler(path, variables)) for name, path in HANDLERS.items()}


@pytest.fixture
def journeys(dynamodb, modules, clock_file, monkeypatch):
    drive = JourneyDrive(modules, clock_file, next(MORNINGS))
    monkeypatch.setattr(EventBridgeBus, "publish", lambda _, *told: drive.publish(*told))
    return drive


@pytest.fixture
def put(dynamodb):
    def put(phone, status="NEW", **more):
        dynamodb.put_item(TableName=SUBSCRIBERS, Item=subscriber_item(phone, status, **more))

    return put


@pytest.fixture
def newcomers(put):
    for number, phone in enumerate(EVERYBODY):
        put(phone, "PENDING" if number % 2 else "NEW", attributes={"name": "Ana Lima"})


@pytest.fixture
def contact(dynamodb):
    return lambda phone: DynamoContacts(dynamodb, table=CONTACTS).get(id_of(phone))


@pytest.fixture
def enrolment(dynamodb):
    rows = DynamoEnrolments(dynamodb, table=ENROLMENTS)
    return lambda phone, run="run": rows.get(run, id_of(phone), journey="welcome")


def told_humans():
    topic = f"arn:aws:sns:us-east-1:{DEFAULT_ACCOUNT_ID}:attention"
    return [
        sent[1] for sent in sns_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].topics[topic].sent_notifications
    ]


def texts(carrier, phone):
    """What a phone got, without the line that tells who speaks."""
    return [body.partition(" Reply STOP to opt out")[0] for body in carrier.texts(phone)]


def test_the_welcome_series_gives_each_what_they_answered_for(
    journeys, newcomers, carrier, contact, enrolment
):
    started = journeys.start(welcome_series())

    first = journeys.step(started, 1)
    journeys.write(YES, "YES")
    journeys.write(STOPS, "STOP")
    journeys.write(REFUSES, "not interested")
    second = journeys.step(started, 2)

    assert texts(carrier, YES) == [WELCOME, CONFIRMED, "Hi Ana, use code WELCOME for 10% off!"]
    assert texts(carrier, STOPS)[0] == WELCOME
    assert len(texts(carrier, STOPS)) == 2  # the welcome, and that they are unsubscribed
    assert texts(carrier, REFUSES) == [WELCOME]
    assert texts(carrier, SILENT) == [WELCOME, REMINDER]
    assert first["outcomes"] == {"ACCEPTED": 4}
    assert second["outcomes"] == {"ACCEPTED": 2, "SUPPRESSED": 2}
    assert journeys.outcomes("run_welcome-2") == {
        id_of(YES): ("ACCEPTED", None),
        id_of(STOPS): ("SUPPRESSED", "OPTED_OUT"),
        id_of(REFUSES): ("SUPPRESSED", "DECLINED"),
        id_of(SILENT): ("ACCEPTED", None),
    }
    assert contact(YES).consents[Scope.MARKETING] is ConsentState.ACTIVE
    assert contact(SILENT).consents[Scope.MARKETING] is ConsentState.PENDING
    assert [enrolment(phone).ended for phone in EVERYBODY] == [
        "COMPLETED", "OPTED_OUT", "DECLINED", "COMPLETED",
    ]  # fmt: skip


def test_nobody_gets_the_second_text_before_their_own_day_is_over(journeys, put, carrier):
    for phone in (YES, LATE):
        put(phone)
    # Of the second person the first text waits for the morning after.
    put(LATE, attributes={"time_zone": "Asia/Tokyo"})
    started = journeys.start(welcome_series())
    texted_at = {}

    for number in (1, 2):
        plan = journeys.call("plan", journeys.snapshot(started, number))
        while plan["next"] != "DONE":
            if plan["next"] == "WAIT":
                journeys.move(datetime.fromisoformat(plan["until"]))
            else:
                journeys.send(plan)
            for phone in (YES, LATE):
                texted_at.setdefault((phone, len(carrier.texts(phone))), journeys.now())
            plan = journeys.call("plan", plan)

    for phone in (YES, LATE):
        assert texted_at[phone, 2] - texted_at[phone, 1] >= timedelta(hours=24) - timedelta(seconds=5)
    assert texted_at[LATE, 1] - journeys.morning > timedelta(hours=5)


def test_the_second_step_waits_for_whom_the_first_has_not_texted_yet(journeys, newcomers, carrier):
    started = journeys.start(welcome_series())
    waiting = journeys.snapshot(started, 1)
    journeys.skip(hours=24)

    plan = journeys.call("plan", journeys.snapshot(started, 2))
    journeys.send(plan)
    plan = journeys.call("plan", plan)

    assert plan["next"] == "WAIT"
    assert [texts(carrier, phone) for phone in EVERYBODY] == [[]] * 4
    journeys.finish(waiting)
    journeys.finish(plan)
    assert [texts(carrier, phone) for phone in EVERYBODY] == [[WELCOME, REMINDER]] * 4


def test_a_later_moment_waits_for_the_snapshot_of_the_first_and_gives_up_in_the_end(
    journeys, newcomers, carrier, modules, monkeypatch
):
    # A million people and a Wait of a minute: the first snapshot is still being taken.
    pauses, steps = [], journeys.start(welcome_series())["steps"]
    started = {"journey": welcome_series().to_json(), "steps": steps}

    def sleep(seconds):
        pauses.append(seconds)
        journeys.skip(seconds=seconds)
        if len(pauses) == 90:
            journeys.snapshot(started, 1)

    monkeypatch.setattr(modules["audience"], "_sleep", sleep)
    journeys.snapshot(started, 2)
    assert pauses == [60] * 90

    pauses.clear()
    never = journeys.start(welcome_series(), run_id="never")
    with pytest.raises(ServiceCallError, match="has no audience yet"):
        journeys.snapshot(never, 2)
    assert len(pauses) == 12 * 60


def test_runs_of_one_name_of_two_journeys_are_two(journeys, put, carrier):
    put(YES, "ACTIVE")
    put(SILENT, "NEW")
    everybody = frozenset(SubscriberState)
    tips = JourneyDefinition(name="tips", audience=everybody, steps=(Send("tip", "Tip one"),))

    first = journeys.step(journeys.start(tips, run_id="spring"), 1)
    journeys.skip(days=1)
    second = journeys.step(journeys.start(promotional(), run_id="spring"), 1)

    assert (first["runId"], second["runId"]) == ("spring_tips-1", "spring_promotional-1")
    assert len(texts(carrier, YES)) == 2


def test_the_journey_is_in_a_state_once(journeys):
    started = journeys.start(welcome_series())

    assert started["journey"] == welcome_series().to_json()
    assert all("journey" not in step["input"]["about"] for step in started["steps"].values())


def test_a_second_run_welcomes_nobody_again_and_follows_nobody_up(journeys, newcomers, carrier):
    first = journeys.start(welcome_series(), run_id="run-a")
    journeys.step(first, 1)

    second = journeys.start(welcome_series(), run_id="run-b")
    again = journeys.step(second, 1)
    later = journeys.step(second, 2)
    own = journeys.step(first, 2)

    assert again["outcomes"] == {"ALREADY_SENT": 4}
    assert later["reasons"] == {"ALREADY_TEXTED": 4}
    assert own["outcomes"] == {"ACCEPTED": 4}
    assert [len(texts(carrier, phone)) for phone in EVERYBODY] == [2] * 4


def test_a_part_that_is_sent_again_sends_nothing_and_tells_the_same(journeys, newcomers, carrier):
    started = journeys.start(welcome_series())
    plan = journeys.call("plan", journeys.snapshot(started, 1))
    journeys.send(plan)

    journeys.send(plan)
    summary = journeys.finish(plan)

    assert summary["outcomes"] == {"ACCEPTED": 4}
    assert [len(carrier.texts(phone)) for phone in EVERYBODY] == [1] * 4


def test_whoever_is_active_or_gone_is_not_welcomed(journeys, put, carrier):
    put(YES, "NEW")
    put(STOPS, "OPTED_OUT")
    put(REFUSES, "BOUNCED")
    put(SILENT, "ACTIVE")
    put(LATE, "NEW", id="v1:of-another-number")

    summary = journeys.step(journeys.start(welcome_series()), 1)

    assert summary["outcomes"] == {"ACCEPTED": 1, "SUPPRESSED": 1}
    assert summary["reasons"] == {"PHONE_CHANGED": 1}
    assert [len(carrier.texts(phone)) for phone in (YES, STOPS, REFUSES, SILENT, LATE)] == [1, 0, 0, 0, 0]


def test_asking_makes_a_person_pending_before_the_text_and_tells_the_bus(journeys, put, contact):
    put(YES)

    journeys.step(journeys.start(welcome_series()), 1)

    asked = contact(YES)
    assert asked.consents == {Scope.MARKETING: ConsentState.PENDING}
    assert asked.pending_since is not None
    assert [(name, told["journeyId"]) for name, told in journeys.published] == [
        ("ConfirmationAsked", "welcome")
    ]


def test_a_yes_after_thirty_days_is_a_text_like_any_other(journeys, put, carrier, contact):
    put(YES)
    journeys.step(journeys.start(welcome_series()), 1)
    journeys.skip(days=30)

    journeys.write(YES, "YES")

    assert contact(YES).consents[Scope.MARKETING] is ConsentState.PENDING
    assert CONFIRMED not in texts(carrier, YES)


def test_a_neutral_answer_goes_to_a_human_and_the_next_one_still_counts(journeys, put, carrier, enrolment):
    put(YES)
    started = journeys.start(welcome_series())
    journeys.step(started, 1)

    journeys.write(YES, "Who is this?")
    journeys.write(YES, "No thanks")
    journeys.step(started, 2)

    assert [told.partition("\n")[0] for told in told_humans()] == [f"{YES} wrote “Who is this?”"]
    assert enrolment(YES).ended == "DECLINED"
    assert texts(carrier, YES) == [WELCOME]


def test_a_yes_after_the_decision_and_before_the_text_gets_the_promotion(
    journeys, put, carrier, modules, monkeypatch
):
    put(YES)
    started = journeys.start(welcome_series())
    journeys.step(started, 1)
    sender = modules["send_part"]._sender.send_service
    real, answered = type(sender.pacer).acquire, []

    def acquire(pacer, *arguments):
        # The rate's wait lies between the decision and the gate.
        if not answered:
            answered.append(True)
            journeys.write(YES, "YES")
        return real(pacer, *arguments)

    plan = journeys.call("plan", journeys.snapshot(started, 2))
    while plan["next"] == "WAIT":
        journeys.move(datetime.fromisoformat(plan["until"]))
        plan = journeys.call("plan", plan)
    monkeypatch.setattr(type(sender.pacer), "acquire", acquire)
    journeys.finish(plan)

    assert answered == [True]
    assert texts(carrier, YES) == [WELCOME, CONFIRMED, "Hi, use code WELCOME for 10% off!"]


def test_promotions_go_to_who_agreed(journeys, put, carrier, contact):
    put(YES, "ACTIVE", attributes={"segment": "vip", "name": "Ana Lima", "language": "en"})
    put(STOPS, "ACTIVE", attributes={"segment": "vip"}, opted_in=False)
    put(REFUSES, "PENDING", attributes={"segment": "vip"})
    put(SILENT, "ACTIVE", attributes={"segment": "other"})
    given = {"segment": "vip", "values": {"promo": "SPRING", "discount": "20"}, "campaign": "spring-sale"}

    started = journeys.start(promotional(), given)
    summary = journeys.step(started, 1)

    assert summary["runId"] == "spring-sale-run_promotional-1"
    assert journeys.outcomes("spring-sale-run_promotional-1") == {
        id_of(YES): ("ACCEPTED", None),
        id_of(STOPS): ("SUPPRESSED", "NO_CONSENT"),
    }
    assert texts(carrier, YES) == ["Hi Ana, use code SPRING for 20% off!"]
    assert texts(carrier, SILENT) == []


def test_a_yes_to_a_promotion_is_counted_as_one(journeys, put, capsys):
    put(YES, "ACTIVE")
    journeys.step(journeys.start(promotional(), {}), 1)
    capsys.readouterr()

    journeys.write(YES, "YES")

    assert ("JourneyPositive", {"service": "tests"}) in emitted(capsys)


def test_each_run_of_a_promotion_texts_again_and_one_occasion_once(journeys, put, carrier):
    put(YES, "ACTIVE")
    for run, given in (("a", {}), ("b", {}), ("c", {"occasion": "o"}), ("d", {"occasion": "o"})):
        journeys.step(journeys.start(promotional(), given, run_id=run), 1)
        journeys.skip(days=1)

    assert len(texts(carrier, YES)) == 3


def test_a_promotion_waits_for_the_preferred_hour(journeys, put, carrier):
    put(YES, "ACTIVE", attributes={"preferred_time": "18:30"})
    put(STOPS, "ACTIVE", attributes={"preferred_time": "03:00"})
    put(REFUSES, "ACTIVE", attributes={"preferred_time": "08:30"})

    plan = journeys.call("plan", journeys.snapshot(journeys.start(promotional()), 1))
    journeys.send(plan)
    at_once = [len(carrier.texts(phone)) for phone in (YES, STOPS, REFUSES)]
    journeys.finish(plan)

    assert at_once == [0, 1, 1]
    assert len(carrier.texts(YES)) == 1
    waited = journeys.now() - journeys.morning
    assert timedelta(hours=9, minutes=30) <= waited < timedelta(hours=10)


def test_a_dry_run_says_what_would_be_sent_and_changes_nothing(
    journeys, newcomers, carrier, dynamodb, contact
):
    started = journeys.start(welcome_series(), {"dryRun": True})

    summary = journeys.step(started, 1)

    assert started["dryRun"] is True
    assert list(started["steps"]) == ["step1"]
    assert summary["outcomes"] == {"WOULD_SEND": 4}
    assert [len(carrier.texts(phone)) for phone in EVERYBODY] == [0] * 4
    assert contact(YES).version == 0
    assert dynamodb.scan(TableName=ENROLMENTS)["Items"] == []
    assert journeys.published == []


def test_named_subscribers_alone_enter(journeys, newcomers, carrier):
    given = {"subscriberIds": [id_of(YES), id_of(YES), "v1:nobody"]}

    summary = journeys.step(journeys.start(welcome_series(), given), 1)

    assert summary["outcomes"] == {"ACCEPTED": 1, "SUPPRESSED": 1}
    assert summary["reasons"] == {"NO_SUBSCRIBER": 1}


def test_the_confirmation_asks_once_ever_and_not_who_is_on_record(journeys, put, carrier):
    put(YES, "NEW")
    put(STOPS, "ACTIVE")
    put(SILENT, "ACTIVE", opted_in=False)

    journeys.step(journeys.start(confirmation(), run_id="a"), 1)
    journeys.skip(days=2)
    summary = journeys.step(journeys.start(confirmation(), run_id="b"), 1)

    assert [len(carrier.texts(phone)) for phone in (YES, STOPS, SILENT)] == [1, 0, 1]
    assert summary["outcomes"] == {"ALREADY_SENT": 2, "SUPPRESSED": 1}
    assert summary["reasons"] == {"ALREADY_TEXTED": 2, "ALREADY_CONFIRMED": 1}


def test_a_third_journey_is_declared(journeys, put, carrier):
    put(YES, "ACTIVE", attributes={"language": "fr-CA"})
    third = JourneyDefinition(
        name="tips",
        steps=(
            Send("first", {"en": "Tip one", "fr": "Conseil un"}),
            Wait(timedelta(days=2)),
            Branch(Confirmed(), then=(Send("second", "Tip two"),)),
            Wait(timedelta(days=2)),
            Send("third", "Tip three"),
        ),
    )
    started = journeys.start(third)

    for number in (1, 2, 3):
        journeys.step(started, number)

    assert [body.split(" Rép")[0] for body in carrier.texts(YES)] == ["Conseil un", "Tip two", "Tip three"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([], "must be a JSON object"),
        ({"segments": "vip"}, "got segments"),
        ({"segment": ""}, "segment must not be empty"),
        ({"dryRun": "yes"}, "dryRun must be true or false"),
        ({"campaign": "spring sale"}, "campaign must be"),
        ({"subscriberIds": []}, "a list of 1 to 1000 ids"),
        ({"subscriberIds": ["v1:a", 7]}, "a list of 1 to 1000 ids"),
        ({"values": {"code": "X"}}, "the values are discount, promo, got code"),
        ({"values": {"promo": 20}}, "value of promo must be a text"),
        ({"values": {"promo": "{{name}}"}}, "without braces"),
        ({"values": {"promo": "\u2603" * 40, "discount": "\u2603" * 40}}, "takes 2 message parts"),
    ],
)
def test_a_start_that_nobody_understands_texts_nobody(journeys, given, sentence):
    event = {"runId": "run", "input": given, "journey": promotional().to_json()}

    with pytest.raises(JourneyInputError, match=sentence):
        journeys.call("start", event)


def test_no_log_line_holds_a_number_a_name_or_words(journeys, newcomers):
    with captured_logs() as logs:
        started = journeys.start(welcome_series())
        journeys.step(started, 1)
        journeys.write(SILENT, "my secret words")
        journeys.step(started, 2)

    assert logs.getvalue()
    for personal in (*(phone[1:] for phone in EVERYBODY), "Ana", "secret"):
        assert personal not in logs.getvalue()


def emitted(capsys):
    """Metrics in what the functions printed: name, and names and values of the dimensions."""
    return [(datum.name, dict(datum.dimensions)) for datum in metrics_of(capsys.readouterr().out)]


@pytest.mark.parametrize(
    "event",
    [
        {"id": "e1", "detail-type": "ReplyReceived", "detail": {"construct": "journeys"}},
        {"id": "e2", "detail-type": "Unheard", "detail": {}},
    ],
)
def test_an_event_that_cannot_be_read_is_logged_counted_and_gone(journeys, capsys, event):
    with captured_logs() as logs:
        assert journeys.call("phone_events", event) == {"action": "MALFORMED"}

    assert event["id"] in logs.getvalue()
    assert emitted(capsys) == [("MalformedEvents", {"service": "tests"})]


def test_a_turn_that_fails_as_nobody_foresaw_is_logged_for_the_alarm(
    journeys, newcomers, modules, monkeypatch
):
    def fail(*_arguments, **_options):
        raise ZeroDivisionError(SILENT)

    monkeypatch.setattr(type(modules["send_part"]._sender), "take_turn", fail)

    with captured_logs() as logs:
        journeys.step(journeys.start(welcome_series()), 1)

    errors = [line for line in map(json.loads, logs.getvalue().splitlines()) if line["level"] == "ERROR"]
    assert {(line["message"], line["error"], line["service"]) for line in errors} == {
        ("Person not texted", "ZeroDivisionError", "tests")
    }


def test_an_account_that_may_not_send_is_counted_for_the_alarm(
    journeys, newcomers, carrier, capsys, monkeypatch
):
    def refuse(*_arguments):
        raise SendingDisabledError("NO_ORIGINATION_IDENTITIES_FOUND")

    monkeypatch.setattr(EndUserMessagingSender, "send", refuse)
    # Nobody waits for it to get better.
    plan = journeys.call("plan", journeys.snapshot(journeys.start(welcome_series()), 1))
    capsys.readouterr()

    journeys.send(plan)

    assert ("SendingDisabled", {"service": "tests"}) in emitted(capsys)
