import json
import shutil
import stat
import sys
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_lambda as lambda_

from sms_engagement.appointment_follow_up.texts import check_texts
from sms_engagement.text_layer import text_layer
from sms_engagement_runtime.appointment_follow_up.domain.standard_texts import STANDARD_TEXTS
from sms_engagement_runtime.channel.adapters.text_files import PACKAGE, load_texts
from tests.infrastructure.synthesis import new_app, new_stack, template_of


def check(text, purpose="confirmation", locale="en", max_parts=1, **options):
    texts = {"en": "{{link}} {{choices}}" if purpose == "which" else "{{link}}"} if locale != "en" else {}
    return list(check_texts({purpose: {**texts, locale: text}}, max_parts=max_parts, **options))


def test_standard_texts_as_given_ones_are_beyond_doubt() -> None:
    given = {purpose.value: texts for purpose, texts in STANDARD_TEXTS.items()}

    doubts = list(check_texts(given, max_parts=1))

    # The longest link of a review form leaves no room for a name beside a title; most are a third shorter.
    assert [
        doubt for doubt in doubts if not doubt.startswith(("the feedback text", "the reschedule text"))
    ] == []
    assert (
        list(check_texts({"feedback": STANDARD_TEXTS["feedback"]}, max_parts=1, review_link_length=60)) == []
    )


def test_nothing_given_is_nothing_to_check() -> None:
    assert list(check_texts({}, max_parts=1)) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"greeting": {"en": "Hi"}}, "unknown purpose 'greeting'; known are confirmation, moved, follow-up"),
        ({"confirmation": {"en": "Hi {{nmae}}"}}, "confirmation text for en: unknown placeholder nmae"),
        ({"confirmation": {"en": "Hi {{name"}}, "confirmation text for en: malformed braces"),
        ({"confirmation": {"en": ""}}, "confirmation text for en: .* must not be blank"),
        ({"confirmation": "Hi"}, "must be given by locale"),
        ({"confirmation": {"es": "Hola"}}, "the confirmation texts must have one for en"),
        ({"moved": {"en": ["a", "b"], "es": "c"}}, "same number of variants .*, got 2 for en, 1 for es"),
        ({"moved": {"en": ["a"] * 6}}, "and 1 to 5 of them, got 6 for en"),
        ({"feedback": {"en": "How was it?"}}, r"feedback text for en must contain \{\{link\}\}"),
        ({"reschedule": {"en": "Sure"}}, r"reschedule text for en must contain \{\{link\}\}"),
        ({"which": {"en": "Which?"}}, r"which text for en must contain \{\{choices\}\}"),
    ],
)
def test_what_cannot_be_used_is_refused(given, message) -> None:
    with pytest.raises(ValueError, match=message):
        list(check_texts(given, max_parts=2))


def test_a_token_is_refused() -> None:
    parameter = cdk.CfnParameter(new_stack(), "Text").value_as_string

    with pytest.raises(ValueError, match="texts must be known at synthesis"):
        check(parameter)
    with pytest.raises(ValueError, match="texts must be known at synthesis"):
        check(["Booked", f"See you {parameter}"])


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Reply 1 to confirm or CANCEL to cancel", "CANCEL"),
        ("Reply CANCEL to call it off", "CANCEL"),
        ("Reply cancel to call it off", "cancel"),
        ('Text "stop" if you cannot come', "stop"),
        ("Answer with Quit", "Quit"),
        ("Send: remove", "remove"),
        ("Reply STOP to cancel", "STOP"),
        ("1 = yes, END = no", "END"),
        ("UNSUBSCRIBE", "UNSUBSCRIBE"),
        ("OPT-OUT or 1", "OPT-OUT"),
        ("Responde stop para anular", "stop"),
        ("Responda STOP para cancelar", "STOP"),
        ("Répondez par arrêt", "arrêt"),
        ("Répondez ARRET pour annuler", "ARRET"),
        ("Antworten Sie mit Stop", "Stop"),
        ("Antworten Sie END", "END"),
    ],
)
def test_an_opt_out_word_is_no_answer(text, word) -> None:
    with pytest.raises(ValueError, match=f"the confirmation text for en has {word} in it, .* ask for 1"):
        check(text)


@pytest.mark.parametrize(
    "text",
    [
        "To cancel the appointment, call us",
        "See you at the end of the week",
        "Your weekend visit, at the END2END office",
        "Reply to this text to end the wait",
        "Stop by at {{time}}",
        "Booked. Reply STOP to opt out",
        "Booked. Text STOP to unsubscribe.",
        "Reservado. Responde STOP para darte de baja",
        "Réservé. Répondez STOP pour vous désinscrire",
        "Gebucht. Antworten Sie STOP zum Abmelden",
    ],
)
def test_such_a_word_elsewhere_is_fine(text) -> None:
    assert check(text) == []


def test_a_text_of_too_many_parts_is_refused() -> None:
    with pytest.raises(
        ValueError, match="the confirmation text for en takes 2 message parts without a name and"
    ):
        check("x" * 161)
    with pytest.raises(ValueError, match="max_parts of the channel is 2: shorten it"):
        check("x" * 400, max_parts=2)


def test_a_text_that_the_service_would_refuse_is_refused() -> None:
    with pytest.raises(ValueError, match="takes 11 message parts"):
        check("x" * 1_531, max_parts=20)


def test_the_longest_link_time_and_choices_count() -> None:
    with pytest.raises(ValueError, match="the feedback text for en takes 2"):
        check("x" * 60 + "{{link}}", "feedback")
    with pytest.raises(ValueError, match="the reschedule text for en takes 2"):
        check("x" * 61 + "{{link}}", "reschedule")
    with pytest.raises(ValueError, match="the confirmation text for en takes 2"):
        check("x" * 131 + "{{time}}")
    with pytest.raises(ValueError, match="the which text for en takes 2"):
        check("x" * 60 + "{{choices}}", "which")

    assert check("x" * 100 + "{{link}}", "feedback", review_link_length=60) == []


def test_the_refused_variant_is_named() -> None:
    with pytest.raises(ValueError, match="the moved text 2 for es takes 2 message parts"):
        list(check_texts({"moved": {"en": ["a", "b"], "es": ["a", "x" * 161]}}, max_parts=1))


def test_the_character_that_makes_it_long_is_named() -> None:
    with pytest.raises(ValueError, match="shorten it; ó is outside the GSM alphabet"):
        check("Confirmación " + "x" * 60)


def test_two_parts_are_doubtful_where_the_channel_allows_them() -> None:
    assert check("x" * 161, "moved", max_parts=2) == [
        "the moved text for en takes 2 message parts, so it costs as many times as much"
    ]


def test_a_character_outside_gsm_is_doubtful() -> None:
    assert check("Adiós", "moved") == [
        "the moved text for en has room for 70 characters instead of 160; ó is outside the GSM alphabet and "
        "halves what a part holds"
    ]


def test_no_room_for_a_name_is_doubtful() -> None:
    text = "Hi {{name}}, {{event}} " + "x" * 115

    assert check(text, "moved") == [
        "the moved text for en has no room for a first name of 10 letters with a title of 30 in its one "
        "message part, so many people get it without one of them"
    ]
    assert check(text[:-10], "moved") == []


def test_no_room_for_how_to_opt_out_is_doubtful_in_the_first_text() -> None:
    assert check("x" * 139) == [
        "the confirmation text for en has no room for how to opt out, not even without a name and a title, "
        "so the first text to a person will not say it: shorten it"
    ]
    assert check("x" * 138) == []
    assert check("x" * 139, "moved") == []


TEXTS = {"appointments": {"moved": {"en": "Now {{time}}", "fr": "Désormais {{time}}"}}}


def asset_of(app: cdk.App) -> Path:
    assembly = app.synth()
    (folder,) = Path(assembly.directory).glob("asset.*")
    return folder


def test_a_layer_holds_the_texts_by_name(tmp_path: Path) -> None:
    app = cdk.App(outdir=str(tmp_path), analytics_reporting=False)
    text_layer(new_stack(app), "Texts", TEXTS)

    file = asset_of(app) / "python" / "sms_engagement_texts" / "appointments.json"

    assert json.loads(file.read_text(encoding="utf-8")) == TEXTS["appointments"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_functions_read_what_the_layer_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = cdk.App(outdir=str(tmp_path), analytics_reporting=False)
    text_layer(new_stack(app), "Texts", TEXTS)
    monkeypatch.syspath_prepend(str(asset_of(app) / "python"))

    loaded = load_texts("appointments")
    sys.modules.pop(PACKAGE)

    assert loaded == TEXTS["appointments"]


def test_the_same_texts_are_the_same_asset_in_any_order(tmp_path: Path) -> None:
    names = []
    for number, texts in enumerate(
        (TEXTS, {"appointments": {"moved": dict(reversed(TEXTS["appointments"]["moved"].items()))}})
    ):
        app = cdk.App(outdir=str(tmp_path / str(number)), analytics_reporting=False)
        text_layer(new_stack(app), "Texts", texts)
        names.append(asset_of(app).name)
    other = cdk.App(outdir=str(tmp_path / "other"), analytics_reporting=False)
    text_layer(new_stack(other), "Texts", {"appointments": {}})

    assert names[0] == names[1] != asset_of(other).name


def test_functions_share_one_layer() -> None:
    stack = new_stack()

    assert text_layer(stack, "Texts", TEXTS) is text_layer(stack, "Texts", TEXTS)
    layers = [
        resource
        for resource in template_of(stack)["Resources"].values()
        if resource["Type"] == "AWS::Lambda::LayerVersion"
    ]
    assert len(layers) == 1
    assert layers[0]["Properties"]["CompatibleRuntimes"] == [lambda_.Runtime.PYTHON_3_13.name]


def test_texts_stay_where_assets_do() -> None:
    """``cdk synth --no-staging``: the folder itself is the asset."""
    app = new_app(**{"aws:cdk:disable-asset-staging": True})
    stack = new_stack(app)
    text_layer(stack, "Texts", TEXTS)

    manifest = json.loads((Path(app.synth().directory) / "Test.assets.json").read_text(encoding="utf-8"))
    (folder,) = [
        Path(file["source"]["path"])
        for file in manifest["files"].values()
        if file["source"]["packaging"] == "zip"
    ]
    assert (folder / "python" / "sms_engagement_texts" / "appointments.json").is_file()
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["", "Appointments", "../secret", "a/b", "a.json", "1"])
def test_a_name_that_is_no_file_name_is_refused(name) -> None:
    with pytest.raises(ValueError, match="names of texts must be lower-case letters"):
        text_layer(new_stack(), "Texts", {name: {}})
