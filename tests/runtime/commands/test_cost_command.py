"""``sms-engagement cost``: without an account, from given volumes, prices and templates."""

import json

import pytest

from sms_engagement_runtime.commands import main as command


def run(*arguments: str) -> int:
    return command.main(["cost", *arguments])


def test_it_prints_a_bill_next_to_what_was_published(capsys) -> None:
    assert run("--reviews-per-day", "100", "--countries", "US=0.9,CA=0.1") == 0

    printed = capsys.readouterr().out
    assert printed.startswith("A month costs $")
    assert "message parts, CA" in printed
    assert "1,986.00" in printed
    assert "11.16" in printed


def test_programs_get_json(capsys) -> None:
    assert run("--promotions-per-month", "1000", "--json") == 0

    report = json.loads(capsys.readouterr().out)
    assert report["volumes"]["promotions_per_month"] == 1000
    assert report["usdPerMonth"]["texts"] > 8.81


def test_the_time_of_functions_is_a_given(capsys) -> None:
    totals = []
    for time in ("1", "1000"):
        assert run("--appointments-per-month", "1000", "--function-time", time, "--json") == 0
        totals.append(json.loads(capsys.readouterr().out))

    lines = [
        next(line for line in report["lines"] if line["unit"] == "Lambda GB-seconds, arm64")
        for report in totals
    ]
    assert lines[1]["amount"] == pytest.approx(1000 * lines[0]["amount"])
    assert {line["basis"] for line in lines} == {"assumed"}
    assert totals[0]["byBasis"]["assumed"] < totals[1]["byBasis"]["assumed"]


def test_the_difference_to_what_was_published_is_printed_line_by_line(capsys) -> None:
    assert run() == 0

    printed = capsys.readouterr().out
    _, _, lines = printed.partition("1,000 appointments a month, line by line:")
    assert "dashboards, standing: 2" in lines
    assert "on top: carrier fees" in lines


def test_templates_of_an_environment_are_counted(tmp_path, capsys) -> None:
    folder = tmp_path / "assembly-shop"
    folder.mkdir()
    keys = {f"K{n}": {"Type": "AWS::KMS::Key", "Properties": {}} for n in range(3)}
    (folder / "shopChannel12345678.template.json").write_text(json.dumps({"Resources": keys}))

    assert run("--assembly", str(tmp_path), "--environment", "shop", "--json") == 0

    report = json.loads(capsys.readouterr().out)
    standing = [line for line in report["lines"] if line["isFixed"] and line["system"] == "Channel"]
    assert [(line["unit"], line["amount"]) for line in standing] == [("KMS keys", 3)]


def test_an_environment_that_was_not_synthesized_is_told_how(tmp_path, capsys) -> None:
    assert run("--assembly", str(tmp_path), "--environment", "shop") == 1
    assert "run `cdk synth 'shop/*'` first" in capsys.readouterr().err


def test_prices_come_from_a_file(tmp_path, capsys) -> None:
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"parts": {"US": {"usd": 1, "feeUsd": 0}}}))

    assert run("--promotions-per-month", "7", "--prices", str(path), "--json") == 0

    lines = json.loads(capsys.readouterr().out)["lines"]
    assert [line["usd"] for line in lines if line["unit"] == "message parts, US"] == [7]


@pytest.mark.parametrize("content", ["{", "[]", '{"units": {"none": 1}}'])
def test_a_wrong_price_file_ends_with_a_sentence(tmp_path, capsys, content) -> None:
    path = tmp_path / "prices.json"
    path.write_text(content)

    assert run("--prices", str(path)) == 1
    assert capsys.readouterr().err.startswith("sms-engagement: ")


@pytest.mark.parametrize(
    "wrong", [["--reviews-per-day", "x"], ["--countries", "US"], ["--environments", "-1"]]
)
def test_wrong_values_are_usage_errors(wrong) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*wrong)
    assert ended.value.code == 2
