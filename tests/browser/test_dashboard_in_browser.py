"""The dashboard as a person sees it: the same numbers as the tables, the metrics and Athena give."""

import csv
import io
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import Counts
from sms_engagement_runtime.sms_analytics_pipeline.domain.metrics import total
from sms_local.testing import Cloud
from tests.browser.phone_page_driving import (
    DESKTOP_SIZED,
    PATIENCE_MS,
    PHONE_SIZED,
    SIZES,
    Keyboard,
    button,
    contrast,
)
from tests.support.analytics_drive import counted, settle_stream, start_journey, wait_for_texts

JOHN, LUKASZ, ZOE = "+14045550101", "+12125550102", "+14155550103"
WELCOMED = [JOHN, LUKASZ, ZOE, "+16175550104", "+13125550105"]

type TakePicture = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def told(running_cloud: Cloud) -> Cloud:
    """A welcome series with answers, counted and archived; the tests leave it as it is."""
    cloud = running_cloud
    cloud.reset()
    start_journey(cloud, "journey_welcome", {"segment": "demo"})
    wait_for_texts(cloud, WELCOMED, 1)
    for phone, body in ((JOHN, "YES"), (LUKASZ, "STOP"), (ZOE, "not interested")):
        cloud.text_from(phone, body)
    wait_for_texts(cloud, [JOHN, LUKASZ], 2)
    settle_stream(cloud)
    return cloud


def open_dashboard(
    cloud: Cloud, open_window: Any, size: Mapping[str, int] = DESKTOP_SIZED, **options: Any
) -> Page:
    page: Page = open_window(size, **options).page
    page.goto(f"{cloud.outputs['phone_url']}dashboard")
    expect(page.get_by_role("status")).to_have_text("Up to date; refreshed every two seconds.")
    return page


def figure(page: Page, name: str) -> Locator:
    return page.locator(f'#figures [data-key="{name}"] dd').first


def elsewhere(page: Page) -> Locator:
    return page.get_by_role("region", name="The same numbers elsewhere")


def row_of(page: Page, name: str) -> Locator:
    return elsewhere(page).get_by_role("row").filter(has=page.get_by_role("rowheader", name=name, exact=True))


def cells(row: Locator) -> list[str]:
    return row.get_by_role("cell").all_inner_texts()


def texts_of(counts: Counts) -> dict[str, str]:
    return {
        "Delivered": str(counts.delivered),
        "Failed": str(counts.failed),
        "Answers": str(counts.responses),
        "Opt-outs": str(counts.opt_outs),
        "Cost": f"${counts.cost_millicents / 100_000:.5f}",
    }


@SIZES
def test_the_numbers_are_the_same_everywhere(
    told: Cloud, open_window: Any, take_picture: TakePicture, size: dict[str, int]
) -> None:
    page = open_dashboard(told, open_window, size)
    keyboard, label = Keyboard(page), "phone" if size is PHONE_SIZED else "desktop"
    sums = total(counted(told).values())

    # Two of the texts are answers to YES and to STOP.
    assert (sums.delivered, sums.failed, sums.responses, sums.opt_outs) == (7, 0, 3, 1)
    for name, number in (("delivered", 7), ("failed", 0), ("answered", 3), ("opted-out", 1)):
        expect(figure(page, name)).to_have_text(str(number))
    keyboard.press("Ask Athena")

    expect(page.get_by_role("status")).to_contain_text("Athena answered", timeout=PATIENCE_MS)
    for name, number in texts_of(sums).items():
        expect(row_of(page, name)).to_contain_text("✓ equal", timeout=PATIENCE_MS)
        assert cells(row_of(page, name))[:3] == [number] * 3
    expect(elsewhere(page)).to_contain_text("Every event is in the archive.")
    expect(page.get_by_role("region", name="Athena’s answer").get_by_role("row")).not_to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    page.evaluate("window.scrollTo(0, 0)")
    take_picture(page, f"dashboard-{label}")
    elsewhere(page).scroll_into_view_if_needed()
    page.evaluate("window.scrollTo(0, document.querySelector('#same').offsetTop - 90)")
    take_picture(page, f"dashboard-{label}-the-same-numbers")


def test_charts_and_tables_say_what_the_counts_say(told: Cloud, open_window: Any) -> None:
    page = open_dashboard(told, open_window)

    expect(
        page.get_by_role("img", name=re.compile("^Over time: 7 delivered, 0 failed, 3 answered"))
    ).to_be_visible()
    expect(page.get_by_role("img", name="Answers: 1 positive, 0 neutral, 2 negative")).to_be_visible()
    expect(
        page.get_by_role("img", name=re.compile("^Subscribers: 0 new, 3 pending, 2 active"))
    ).to_be_visible()
    expect(page.get_by_role("region", name="Counts by country")).to_contain_text("US")
    campaigns = page.get_by_role("region", name="Counts by campaign").get_by_role("row")
    expect(campaigns.filter(has_text="welcome")).not_to_have_count(0)
    delivered = [int(texts[1]) for texts in map(cells, campaigns.all()) if len(texts) > 1]
    assert sum(delivered) == 7


def test_a_rate_is_said_from_its_minimum_volume_on(told: Cloud, open_window: Any) -> None:
    page = open_dashboard(told, open_window)
    rates = page.get_by_role("img", name=re.compile("^Rates: "))

    expect(rates).to_have_attribute("aria-label", re.compile("delivered 100.0 %, answered 42.9 %"))
    page.get_by_label("Rates from").select_option("100")

    expect(rates).to_have_attribute("aria-label", re.compile("delivered fewer than 100 texts"))
    page.reload()
    expect(rates).to_have_attribute("aria-label", re.compile("fewer than 100 texts"))


def test_a_refresh_moves_nothing_and_draws_nothing_anew(told: Cloud, open_window: Any) -> None:
    page = open_dashboard(told, open_window)
    # From now on every element that comes or goes is noted.
    page.evaluate(
        """() => {
            window.changes = [];
            const note = ({target}) => window.changes.push(target.id || target.nodeName);
            const observer = new MutationObserver((some) => some.forEach(note));
            observer.observe(document.querySelector("main"), {childList: true, subtree: true});
        }"""
    )

    for _ in range(2):
        with page.expect_response(lambda answer: "/api/dashboard?" in answer.url):
            pass

    changed = set(page.evaluate("window.changes"))
    # The time at which it was read goes on.
    assert changed <= {"time-counts", "time-metrics"}


def test_the_csv_has_the_same_sums(told: Cloud, open_window: Any) -> None:
    page = open_dashboard(told, open_window)
    with page.expect_download() as started:
        page.get_by_role("link", name="As CSV").click()

    lines = list(csv.DictReader(io.StringIO(started.value.path().read_text())))

    assert started.value.suggested_filename == "sms-counts.csv"
    sums = {name: sum(int(line[name]) for line in lines) for name in ("delivered", "answers", "opt_outs")}
    assert sums == {"delivered": 7, "answers": 3, "opt_outs": 1}


def test_no_phone_number_is_shown(told: Cloud, open_window: Any) -> None:
    page = open_dashboard(told, open_window)
    button(page, "Ask Athena").click()
    expect(page.get_by_role("status")).to_contain_text("Athena answered", timeout=PATIENCE_MS)

    assert not re.search(r"\+1\d{6,}|55501\d\d", page.content())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read_in_light_and_dark(told: Cloud, open_window: Any, scheme: str) -> None:
    page = open_dashboard(told, open_window, color_scheme=scheme)

    for selector in (
        "#figures dt",
        "#figures dd",
        "#figures .note",
        ".head a",
        "#same-rows td",
        ".compared",
        ".sub",
    ):
        assert contrast(page, selector) >= 4.5, selector


def test_an_empty_cloud_says_what_to_do_and_counts_arrive_by_themselves(
    cloud: Cloud, open_window: Any
) -> None:
    page = open_dashboard(cloud, open_window)
    expect(page.get_by_text("Nothing has been counted yet")).to_be_visible()

    start_journey(cloud, "journey_welcome", {"segment": "demo"})
    wait_for_texts(cloud, WELCOMED, 1)
    cloud.advance(timedelta(seconds=30))

    expect(figure(page, "delivered")).to_have_text("5", timeout=PATIENCE_MS)
    expect(page.get_by_text("Nothing has been counted yet")).to_be_hidden()
    expect(elsewhere(page)).to_contain_text("Athena has not been asked yet.")
    button(page, "Ask Athena").click()
    expect(elsewhere(page)).to_contain_text("Not in the archive yet: 5 events", timeout=PATIENCE_MS)
    settle_stream(cloud)
    button(page, "Ask Athena").click()
    expect(elsewhere(page)).to_contain_text("Every event is in the archive.", timeout=PATIENCE_MS)
