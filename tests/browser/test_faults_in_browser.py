"""The switches of what goes wrong, on the phone page as a person uses them."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from sms_local.testing import Cloud
from tests.browser.phone_page_driving import PHONE_SIZED, SIZES, Keyboard, open_page, show


@SIZES
def test_a_fault_is_switched_on_and_off_by_keyboard_and_the_cloud_has_it(
    cloud: Cloud, open_window: Any, take_picture: Callable[[Page, str], None], size: dict[str, int]
) -> None:
    page = open_page(cloud, open_window, size)
    keyboard = Keyboard(page)
    panel = page.get_by_role("region", name="What goes wrong", exact=True)
    expect(panel).to_contain_text("All goes well.")

    keyboard.press("Duplicate")

    expect(panel.get_by_role("button", name="Duplicate", pressed=True)).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("Duplicate: on.")
    assert cloud.carrier.get("/control/fault").json()["duplicate"] > 0
    cloud.text_from("+14045550101", "HELP")
    expect(panel).to_contain_text("gone wrong")
    show(page, panel)
    take_picture(page, f"faults-{'phone' if size is PHONE_SIZED else 'desktop'}")

    keyboard.press("Duplicate")

    expect(panel).to_contain_text("All goes well.")
    assert cloud.carrier.get("/control/fault").json()["duplicate"] == 0
