import json
import sys

import pytest

from sms_engagement_runtime.channel.adapters.text_files import PACKAGE, load_texts


@pytest.fixture
def layer(tmp_path, monkeypatch):
    """The folder of a layer that a function has on its import path, as yet without a file."""
    folder = tmp_path / "python" / PACKAGE
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(folder.parent))
    yield folder
    sys.modules.pop(PACKAGE, None)


def test_texts_are_read_by_name(layer):
    texts = {"moved": {"en": ["Now {{time}}", "New time: {{time}}"], "fr": ["Désormais", "Le"]}}
    (layer / "appointments.json").write_text(json.dumps(texts, ensure_ascii=False), encoding="utf-8")
    (layer / "reviews.json").write_text("{}", encoding="utf-8")

    assert load_texts("appointments") == texts
    assert load_texts("reviews") == {}


def test_there_are_none_without_a_layer():
    assert load_texts("appointments") is None


def test_there_are_none_in_a_layer_for_others(layer):
    (layer / "reviews.json").write_text("{}", encoding="utf-8")

    assert load_texts("appointments") is None


@pytest.mark.parametrize(
    ("written", "message"), [("[]", "must hold an object, got list"), ("{", "Expecting")]
)
def test_a_file_that_holds_no_texts_is_an_error(layer, written, message):
    (layer / "appointments.json").write_text(written, encoding="utf-8")

    with pytest.raises(ValueError, match=message):
        load_texts("appointments")
