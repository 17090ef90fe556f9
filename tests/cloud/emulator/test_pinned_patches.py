"""A patch says so when the code that it changes is not what it was written for."""

import types

import pytest

from sms_local.emulator.patches import PATCHES, apply_patches
from sms_local.emulator.patches._pinned import (
    MINISTACK_VERSION,
    PatchMismatchError,
    PatchSettings,
    require,
    rewrite,
)


class Greeter:
    """Stands for a class of MiniStack."""

    def greet(self, name):
        greeting = "Hello"
        return f"{greeting}, {name}"


def test_the_source_of_a_method_is_rewritten_and_can_be_rewritten_again():
    rewritten = type("Rewritten", (Greeter,), {"greet": Greeter.greet})

    rewrite(rewritten, "greet", ('"Hello"', '"Good morning"'))
    rewrite(rewritten, "greet", ("{name}", "dear {name}"))

    assert rewritten().greet("Ann") == "Good morning, dear Ann"
    assert Greeter().greet("Ann") == "Hello, Ann"


@pytest.mark.parametrize(
    ("name", "old", "missing"),
    [
        ("greet", "Bonjour", "'Bonjour' in Greeter.greet"),
        ("greet", "name", "'name'"),
        ("leave", "x", "Greeter.leave"),
    ],
    ids=["text is not there", "text is there twice", "function is not there"],
)
def test_a_place_that_is_not_as_expected_is_named_together_with_the_version(name, old, missing):
    with pytest.raises(PatchMismatchError, match=missing) as mismatch:
        rewrite(Greeter, name, (old, "new"))

    assert MINISTACK_VERSION in str(mismatch.value)
    assert Greeter().greet("Ann") == "Hello, Ann"


def test_a_requirement_that_holds_says_nothing():
    require(holds=True, what="anything")
    with pytest.raises(PatchMismatchError, match="this one has no registry"):
        require(holds=False, what="registry")


def test_an_unknown_name_is_refused_before_anything_is_patched():
    with pytest.raises(ValueError, match="no_such; the patches are secure_loopback"):
        apply_patches(PatchSettings(carrier_url=""), without=frozenset({"no_such"}))


def test_each_patch_says_why_and_how():
    for name in PATCHES:
        module = __import__(f"sms_local.emulator.patches.{name}", fromlist=["apply"])

        assert isinstance(module, types.ModuleType)
        for heading in ("Reason\n", "AWS\n", f"MiniStack {MINISTACK_VERSION}\n", "Hook\n"):
            assert f"\n{heading}" in (module.__doc__ or ""), name
        assert "https://" in (module.__doc__ or "")
