from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from sms_engagement_runtime.settings import SettingsError, load


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    contacts_table: str
    max_parts: int
    is_local: bool
    allowed_countries: frozenset[str]
    replies: Mapping[str, str]
    origination: str = ""
    days: int | None = None
    texts: Mapping[str, Any] = field(default_factory=dict)


COMPLETE = {
    "CONTACTS_TABLE": "contacts",
    "MAX_PARTS": "1",
    "IS_LOCAL": "true",
    "ALLOWED_COUNTRIES": "US, CA,",
    "REPLIES": '{"help": "Ask us."}',
}


def test_each_type_is_read_from_the_variable_named_as_its_field():
    settings = load(Everything, COMPLETE)

    assert settings == Everything(
        contacts_table="contacts",
        max_parts=1,
        is_local=True,
        allowed_countries=frozenset({"US", "CA"}),
        replies={"help": "Ask us."},
    )


def test_optional_fields_are_read_when_given():
    settings = load(Everything, {**COMPLETE, "DAYS": "30", "ORIGINATION": "arn:x", "TEXTS": '{"en": "Hi"}'})

    assert (settings.days, settings.origination, settings.texts) == (30, "arn:x", {"en": "Hi"})


def test_an_empty_variable_takes_the_default():
    assert load(Everything, {**COMPLETE, "DAYS": "", "ORIGINATION": " "}).days is None


@pytest.mark.parametrize("name", COMPLETE)
@pytest.mark.parametrize("text", [None, "", "  "])
def test_a_missing_variable_is_named(name, text):
    environ = dict(COMPLETE)
    del environ[name]
    if text is not None:
        environ[name] = text

    with pytest.raises(SettingsError, match=f"environment variable {name} is missing or empty"):
        load(Everything, environ)


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("MAX_PARTS", "1.5", "a whole number"),
        ("MAX_PARTS", "hunter2", "a whole number"),
        ("IS_LOCAL", "yes please", "true or false"),
        ("REPLIES", "hunter2", "a JSON object"),
        ("REPLIES", '["hunter2"]', "a JSON object"),
    ],
)
def test_a_malformed_variable_is_named_and_its_text_is_not_shown(name, text, wanted):
    with pytest.raises(SettingsError, match=f"environment variable {name} must be {wanted}") as caught:
        load(Everything, {**COMPLETE, name: text})

    assert text not in str(caught.value)


def test_the_process_environment_is_the_default(monkeypatch):
    for name, text in COMPLETE.items():
        monkeypatch.setenv(name, text)

    assert load(Everything).contacts_table == "contacts"


def test_a_field_of_a_type_that_no_variable_can_hold_is_refused():
    @dataclass(frozen=True)
    class Odd:
        rate: complex

    with pytest.raises(SettingsError, match=r"RATE: fields of type .*complex"):
        load(Odd, {"RATE": "1"})
