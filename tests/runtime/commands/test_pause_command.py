"""The console script, over a table in moto; and what the channel sees of it."""

import sys
import tomllib
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import pytest

from sms_engagement_runtime.channel.adapters.pause import CONTROL_KEY, DynamoPauseFlag, DynamoPauseSwitch
from sms_engagement_runtime.commands import main as command
from tests.support.dynamodb_tables import CONTACTS, channel_tables
from tests.support.fakes import FakeClock


@pytest.fixture
def table(monkeypatch):
    monkeypatch.setenv("LOGNAME", "maria")
    with channel_tables() as client:
        yield client


@pytest.fixture
def flag(table):
    return DynamoPauseFlag(table, table=CONTACTS, max_age_seconds=0)


def run(name, *options, contacts_table=CONTACTS):
    return command.main([name, "--contacts-table", contacts_table, *options])


def row(client):
    return client.get_item(TableName=CONTACTS, Key=CONTROL_KEY)["Item"]


def test_pausing_stops_the_channel_and_resuming_lets_it_go_on(flag, capsys):
    assert run("pause", "--reason", "wrong list") == 0
    assert flag.is_paused() is True
    assert "All sending is paused." in capsys.readouterr().out

    assert run("resume") == 0
    assert flag.is_paused() is False
    assert "Sending goes on." in capsys.readouterr().out


def test_the_row_says_who_when_and_why(table):
    before = datetime.now(UTC)
    run("pause", "--reason", "  wrong\n list ")

    paused = row(table)
    run("resume")
    resumed = row(table)

    assert paused["paused"] == {"BOOL": True}
    assert paused["reason"] == {"S": "wrong list"}
    assert paused["changedBy"] == resumed["changedBy"] == {"S": "maria"}
    assert int(paused["changedAt"]["N"]) >= int(before.timestamp() * 1000)
    assert resumed["paused"] == {"BOOL": False}
    assert "reason" not in resumed


def test_status_tells_by_its_words_and_by_its_exit_status(table, capsys):
    assert run("status") == 0
    assert capsys.readouterr().out == "Sending is on, and was never paused.\n"

    DynamoPauseSwitch(table, table=CONTACTS, clock=FakeClock()).pause("wrong list", by="maria")
    assert run("status") == 3
    assert (
        capsys.readouterr().out == "All sending is paused since 2026-11-21 17:00 UTC, by maria: wrong list\n"
    )

    DynamoPauseSwitch(table, table=CONTACTS, clock=FakeClock()).resume(by="joe")
    assert run("status") == 0
    assert capsys.readouterr().out == "Sending is on, since 2026-11-21 17:00 UTC, when joe resumed it.\n"


def test_a_pause_without_a_reason_says_so(table, capsys):
    run("pause")
    capsys.readouterr()

    assert run("status") == 3
    assert capsys.readouterr().out.endswith(", by maria. No reason was given.\n")


def test_a_flag_that_something_else_set_is_understood(table, capsys):
    table.put_item(TableName=CONTACTS, Item={**CONTROL_KEY, "paused": {"BOOL": True}})

    assert run("status") == 3
    assert capsys.readouterr().out == "All sending is paused. No reason was given.\n"


def test_the_first_reason_stays(table, capsys):
    run("pause", "--reason", "first")
    capsys.readouterr()

    assert run("pause", "--reason", "second") == 0

    assert "Nothing changed: all sending is paused since" in (said := capsys.readouterr().out)
    assert said.endswith("by maria: first\n")


def test_a_pause_after_a_resume_has_a_reason_of_its_own(table, capsys):
    run("pause", "--reason", "first")
    run("resume")
    run("pause")
    capsys.readouterr()

    run("status")

    assert "No reason was given" in capsys.readouterr().out


@pytest.mark.parametrize("was_ever_paused", [False, True])
def test_resuming_what_is_not_paused_changes_nothing(table, capsys, was_ever_paused):
    if was_ever_paused:
        run("pause")
        run("resume")
    capsys.readouterr()

    assert run("resume") == 0
    assert capsys.readouterr().out == "Nothing changed: sending is not paused.\n"


@pytest.mark.parametrize("name", ["pause", "resume", "status"])
def test_a_table_that_is_not_there_is_named(table, capsys, name):
    assert run(name, contacts_table="missing") == 1

    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.startswith("sms-engagement: the table missing could not be used: dynamodb:")
    assert streams.err.rstrip().endswith("ResourceNotFoundException")


def test_without_a_region_it_says_so_in_one_sentence(monkeypatch, capsys):
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")

    assert run("status") == 1
    assert "must specify a region" in capsys.readouterr().err


def test_the_endpoint_can_be_another_one(monkeypatch):
    endpoints = []

    def client(endpoint_url):
        endpoints.append(endpoint_url)
        return StandIn()

    class StandIn:
        def get_item(self, **_):
            return {}

    monkeypatch.setattr("sms_engagement_runtime.channel.adapters.clients.dynamodb_client", client)

    run("status", "--endpoint-url", "http://127.0.0.1:4566")
    run("status")

    assert endpoints == ["http://127.0.0.1:4566", None]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "required: COMMAND"),
        (["stop"], "invalid choice: 'stop'"),
        (["pause"], "required: --contacts-table"),
        (["pause", "--contacts-table", "t", "--reason", "  "], "must be 1 to 500 characters, or left out"),
        (["pause", "--contacts-table", "t", "--reason", "x" * 501], "must be 1 to 500 characters"),
        (["resume", "--contacts-table", "t", "--reason", "x"], "unrecognized arguments: --reason x"),
    ],
)
def test_wrong_usage_ends_with_2_and_a_sentence(capsys, arguments, complaint):
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)

    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_without_the_extra_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "botocore.exceptions", None)

    assert run("status") == 1
    assert "install sms-engagement[runtime]" in capsys.readouterr().err


def test_a_user_without_a_name_can_pause(table, monkeypatch):
    def getuser():
        raise OSError("no name")

    monkeypatch.setattr("getpass.getuser", getuser)

    assert run("pause") == 0
    assert row(table)["changedBy"] == {"S": "somebody without a user name"}


def test_the_console_script_is_this_function():
    project = tomllib.loads(Path(__file__).parents[3].joinpath("pyproject.toml").read_text())["project"]

    module, _, function = project["scripts"]["sms-engagement"].partition(":")

    assert getattr(import_module(module), function) is command.main


class TestPausingByItself:
    """What the channel calls when the service says that nothing more is accepted."""

    @pytest.fixture
    def switch(self, table):
        return DynamoPauseSwitch(table, table=CONTACTS, clock=FakeClock())

    @pytest.mark.parametrize(
        "reason",
        ["MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT", "ACCOUNT_DISABLED", "INSUFFICIENT_ACCOUNT_REPUTATION"],
    )
    def test_a_limit_of_the_account_pauses_all_sending(self, switch, flag, capsys, reason):
        switch.pause_sending(reason)

        assert flag.is_paused() is True
        run("status")
        assert f"by sms-engagement: {reason}" in capsys.readouterr().out

    @pytest.mark.parametrize("reason", ["RESOURCE_NOT_ACTIVE", "ResourceNotFoundException"])
    def test_a_wrong_configuration_does_not(self, switch, flag, reason):
        switch.pause_sending(reason)

        assert flag.is_paused() is False

    def test_what_a_human_paused_keeps_the_human_s_reason(self, switch, table, flag):
        run("pause", "--reason", "wrong list")

        switch.pause_sending("MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT")

        assert row(table)["reason"] == {"S": "wrong list"}
