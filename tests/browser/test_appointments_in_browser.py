"""Appointments on the phone page as a person uses them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from sms_local.testing import Cloud
from tests.browser.phone_page_driving import (
    DESKTOP_SIZED,
    PATIENCE_MS,
    PHONE_SIZED,
    SIZES,
    Keyboard,
    account_of,
    button,
    contrast,
    open_page,
    phone_of,
    show,
    skip,
)

JOHN, LUKASZ = "+14045550101", "+12125550102"

type TakePicture = Callable[[Page, str], None]


def panel_of(page: Page) -> Locator:
    return page.get_by_role("region", name="Appointments", exact=True)


def item_of(page: Page, name: str, when: str = "") -> Locator:
    return panel_of(page).get_by_role("listitem").filter(has_text=name).filter(has_text=when)


def talk_of(page: Page, name: str) -> Locator:
    """What stands about appointments above the texts of a phone."""
    return page.get_by_role("list", name=f"Appointments of {name}")


def open_appointments(cloud: Cloud, open_window: Any, size: dict[str, int] = DESKTOP_SIZED) -> Page:
    page = open_page(cloud, open_window, size)
    page.get_by_role("tab", name="Appointments").click()
    expect(panel_of(page)).to_be_visible()
    return page


def book(page: Page, name: str, event_name: str = "Coffee tasting") -> None:
    page.get_by_label("Who", exact=True).select_option(label=name)
    page.get_by_label("What", exact=True).fill(event_name)
    button(page, "Book an appointment").click()
    expect(page.get_by_role("status")).to_have_text(f"{name} booked: {event_name}.")


def act(page: Page, what: str, item: Locator) -> None:
    item.get_by_role("button").filter(has_text=what).click()


def expect_possible(item: Locator, *possible: str) -> None:
    for what in ("Cancel", "Move a day later", "no-show"):
        found = item.get_by_role("button").filter(has_text=what)
        if any(one in what or what in one for one in possible):
            expect(found).to_be_enabled()
        else:
            expect(found).to_be_disabled()


@SIZES
def test_two_appointments_by_keyboard_alone_one_answered_and_one_not(
    cloud: Cloud, open_window: Any, take_picture: TakePicture, size: dict[str, int]
) -> None:
    page = open_page(cloud, open_window, size)
    keyboard, label = Keyboard(page), "phone" if size is PHONE_SIZED else "desktop"
    account = account_of(page)

    keyboard.press("Review requests", "ArrowRight")
    expect(panel_of(page)).to_be_visible()
    expect(page.get_by_role("region", name="Today’s review requests")).to_be_hidden()
    keyboard.press("Book an appointment")

    john, lukasz = phone_of(page, "John Doe"), phone_of(page, "Łukasz Wójcik")
    expect(john).to_contain_text("Hi John, your Coffee tasting is on", timeout=PATIENCE_MS)
    expect(john).to_contain_text("Reply 1 to confirm or R for another time.")
    expect(john).to_contain_text("1 part · Delivered")
    expect(talk_of(page, "John Doe")).to_contain_text("Waits for an answer CONFIRMED_SENT")

    keyboard.press("Who", "ArrowDown")
    expect(page.get_by_label("Who", exact=True)).to_have_value("customer-002")
    keyboard.press("Book an appointment")
    expect(lukasz).to_contain_text("Hi Lukasz, your Coffee tasting is on", timeout=PATIENCE_MS)
    keyboard.go_to("Text from Łukasz Wójcik")
    page.keyboard.type("1")
    page.keyboard.press("Enter")

    expect(talk_of(page, "Łukasz Wójcik")).to_contain_text("Said yes RESPONDED", timeout=PATIENCE_MS)
    expect(account).to_contain_text("Taken as an answer of Łukasz Wójcik: said yes")
    show(page, page.locator(".desk"))
    take_picture(page, f"appointments-{label}")

    skip(keyboard, "Skip 30 minutes")

    expect(john).to_contain_text("Hi John, can you make your Coffee tasting on", timeout=PATIENCE_MS)
    expect(talk_of(page, "John Doe")).to_contain_text("Asked once more, waits for an answer FOLLOWED_UP")
    expect(account).to_contain_text("John Doe is asked once more")
    expect(account).to_contain_text("No second text: Łukasz Wójcik answered")
    expect(account).to_contain_text("A reminder to John Doe is due at")
    expect(item_of(page, "Łukasz Wójcik")).to_contain_text("Said yes RESPONDED")
    assert [len(cloud.texts(phone)) for phone in (JOHN, LUKASZ)] == [2, 1]
    show(page, john if size is PHONE_SIZED else page.locator(".desk"))
    take_picture(page, f"appointments-{label}-followed-up")


def test_move_and_cancel_by_button_and_each_state_stands_beside_the_phone(
    cloud: Cloud, open_window: Any
) -> None:
    page = open_appointments(cloud, open_window)
    book(page, "John Doe")
    john, talk = phone_of(page, "John Doe"), talk_of(page, "John Doe")
    expect(talk).to_contain_text("CONFIRMED_SENT", timeout=PATIENCE_MS)
    [row] = cloud.rows("conversations")
    item = panel_of(page).get_by_role("listitem")
    expect(item).to_contain_text("15:00 in Atlanta")
    expect_possible(item, "Cancel", "Move a day later")

    act(page, "Move a day later", item)

    expect(john).to_contain_text("Hi John, your Coffee tasting is now on", timeout=PATIENCE_MS)
    expect(panel_of(page).get_by_role("listitem")).to_have_count(2)
    moved, gone = panel_of(page).get_by_role("listitem").nth(0), panel_of(page).get_by_role("listitem").nth(1)
    expect(moved).to_contain_text("Waits for an answer CONFIRMED_SENT")
    expect(gone).to_contain_text("RESCHEDULED")
    expect(gone).to_contain_text("Moved to")
    expect_possible(gone)
    expect(talk.get_by_role("listitem")).to_have_count(1)

    act(page, "Cancel", moved)

    expect(john).to_contain_text("will not take place", timeout=PATIENCE_MS)
    expect(talk).to_contain_text("Cancelled CANCELED")
    expect(moved).to_contain_text("Cancelled CANCELED")
    expect_possible(moved)
    expect(account_of(page)).to_contain_text("Over: nothing more is sent, since it was cancelled")
    expect(account_of(page)).to_contain_text("Over: nothing more is sent about the former time")
    assert cloud.conversation(row["appointmentId"])["status"] == "RESCHEDULED"  # type: ignore[index]
    cloud.advance(timedelta(days=5))
    about_it = [text for text in cloud.texts(JOHN) if "Coffee tasting" in text["body"]]
    assert len(about_it) == 3


def test_a_no_show_is_marked_once_it_has_begun_and_taken_back(cloud: Cloud, open_window: Any) -> None:
    page = open_appointments(cloud, open_window)
    book(page, "John Doe")
    item, talk = item_of(page, "John Doe"), talk_of(page, "John Doe")
    expect(talk).to_contain_text("CONFIRMED_SENT", timeout=PATIENCE_MS)
    [row] = cloud.rows("conversations")
    expect_possible(item, "Cancel", "Move a day later")

    cloud.advance(timedelta(seconds=int(row["startsAt"]) + 60 - cloud.now().timestamp()))

    expect_possible(item, "Mark as no-show")
    texts = len(cloud.texts(JOHN))

    act(page, "Mark as no-show", item)

    expect(talk).to_contain_text("Did not come NO_SHOW", timeout=PATIENCE_MS)
    expect_possible(item, "Undo no-show")
    expect(account_of(page)).to_contain_text("John Doe did not come to Coffee tasting")
    cloud.advance(timedelta(0))
    assert len(cloud.texts(JOHN)) == texts + 1

    act(page, "Undo no-show", item)

    expect(talk).to_contain_text("FOLLOWED_UP", timeout=PATIENCE_MS)
    expect_possible(item, "Mark as no-show")
    cloud.advance(timedelta(0))
    assert len(cloud.texts(JOHN)) == texts + 1


def test_stop_ends_the_texts_and_not_the_appointment(cloud: Cloud, open_window: Any) -> None:
    page = open_appointments(cloud, open_window)
    book(page, "John Doe")
    expect(talk_of(page, "John Doe")).to_contain_text("CONFIRMED_SENT", timeout=PATIENCE_MS)

    button(page, "Answer STOP as John Doe").click()

    expect(talk_of(page, "John Doe")).to_contain_text("OPTED_OUT", timeout=PATIENCE_MS)
    item = item_of(page, "John Doe")
    expect(item).to_contain_text("Gets no more texts; the appointment stands")
    expect(item).to_contain_text("answered STOP")
    expect_possible(item, "Cancel", "Move a day later")
    texts = len(cloud.texts(JOHN))
    cloud.advance(timedelta(hours=1))
    assert len(cloud.texts(JOHN)) == texts


def test_the_link_to_another_time_leads_to_moving_it_here(cloud: Cloud, open_window: Any) -> None:
    page = open_appointments(cloud, open_window)
    book(page, "John Doe")
    expect(talk_of(page, "John Doe")).to_contain_text("CONFIRMED_SENT", timeout=PATIENCE_MS)
    cloud.text_from(JOHN, "R")
    expect(talk_of(page, "John Doe")).to_contain_text("Wants another time RESPONDED", timeout=PATIENCE_MS)
    page.get_by_role("tab", name="Review requests").click()

    phone_of(page, "John Doe").get_by_role("link").click()

    move = item_of(page, "John Doe").get_by_role("button").filter(has_text="Move a day later")
    expect(move).to_be_focused()
    expect(move).to_be_in_viewport()
    assert len(page.context.pages) == 1
    page.keyboard.press("Enter")
    expect(phone_of(page, "John Doe")).to_contain_text("is now on", timeout=PATIENCE_MS)


def test_free_words_reach_the_host_and_are_shown(cloud: Cloud, open_window: Any) -> None:
    page = open_appointments(cloud, open_window)
    book(page, "John Doe")
    expect(talk_of(page, "John Doe")).to_contain_text("CONFIRMED_SENT", timeout=PATIENCE_MS)

    cloud.text_from(JOHN, "Is there parking nearby?")

    admin = page.get_by_role("region", name="The admin’s line")
    expect(admin).to_contain_text("Is there parking nearby?", timeout=PATIENCE_MS)
    expect(account_of(page)).to_contain_text("The host is told:")
    expect(item_of(page, "John Doe")).to_contain_text("Wrote something else, which the host reads")


@SIZES
def test_nothing_reaches_beyond_the_window(cloud: Cloud, open_window: Any, size: dict[str, int]) -> None:
    page = open_appointments(cloud, open_window, size)
    book(page, "ليلى حداد", "Extraordinarilylongunbrokennameofanappointment " + "and so on" * 10)
    book(page, "John Doe", "Café ☕")
    expect(talk_of(page, "John Doe")).to_contain_text("CONFIRMED_SENT", timeout=PATIENCE_MS)

    assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
    cut_off = page.evaluate(
        """() => [...document.querySelectorAll(
                "#appointments :is(button, select, .about), [role=tab], .tabs a, .talks")]
            .filter((one) => one.offsetParent
                && (one.scrollWidth > one.clientWidth + 1 || one.getBoundingClientRect().width > innerWidth))
            .map((one) => one.outerHTML)"""
    )
    assert cut_off == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_control_has_a_name_and_text_stands_out(cloud: Cloud, open_window: Any, scheme: str) -> None:
    page = open_page(cloud, open_window, color_scheme=scheme)
    page.get_by_role("tab", name="Appointments").click()
    expect(page.locator("#booking-hints")).to_be_visible()
    hints = contrast(page, "#booking-hints li")
    book(page, "John Doe")
    expect(talk_of(page, "John Doe")).to_contain_text("CONFIRMED_SENT", timeout=PATIENCE_MS)

    names = page.get_by_role("button").evaluate_all(
        "all => all.map((one) => one.ariaLabel ?? one.textContent)"
    )
    assert all(name.strip() for name in names)
    assert len(set(names)) == len(names)
    assert hints >= 4.5
    for selector in (
        *('[role="tab"][aria-selected="true"]', '[role="tab"][aria-selected="false"]', ".tabs a"),
        *(".field label", ".field select", "#book-when", "#book-button"),
        *(".appointment-list .what span", ".appointment-list .when", ".appointment-list .state"),
        *(".appointment-list code", ".acts button:not([aria-disabled=true])", ".talks b", ".talks .state"),
    ):
        assert contrast(page, selector) >= 4.5, selector


def test_links_to_what_a_tab_hides_open_it(cloud: Cloud, open_window: Any) -> None:
    page = open_page(cloud, open_window, PHONE_SIZED)
    parts = page.get_by_role("navigation", name="Parts of the page")

    parts.get_by_role("link", name="Book").click()

    expect(panel_of(page)).to_be_in_viewport()
    expect(page.get_by_role("tab", name="Appointments")).to_have_attribute("aria-selected", "true")
    parts.get_by_role("link", name="Send").click()
    expect(button(page, "Send now")).to_be_in_viewport()
    expect(panel_of(page)).to_be_hidden()


def test_tabs_are_gone_through_by_arrow_keys(cloud: Cloud, open_window: Any) -> None:
    page = open_page(cloud, open_window)
    reviews = page.get_by_role("tab", name="Review requests")
    appointments = page.get_by_role("tab", name="Appointments")
    campaigns = page.get_by_role("tab", name="Campaigns")
    reviews.focus()

    for key, chosen in (
        ("ArrowRight", appointments),
        ("ArrowRight", campaigns),
        ("ArrowRight", reviews),
        ("ArrowLeft", campaigns),
        ("Home", reviews),
        ("End", campaigns),
    ):
        page.keyboard.press(key)
        expect(chosen).to_be_focused()
        expect(chosen).to_have_attribute("aria-selected", "true")


def test_an_hour_that_is_over_is_refused_in_a_sentence(cloud: Cloud, browser: Any) -> None:
    # A window whose console may tell of the refusal.
    context = browser.new_context()
    page = context.new_page()
    page.goto(cloud.outputs["phone_url"])
    page.get_by_role("tab", name="Appointments").click()
    expect(button(page, "Book an appointment")).to_be_enabled()
    page.get_by_label("When", exact=True).select_option(label="today")
    page.get_by_label("At which hour").select_option(label="08:00")

    button(page, "Book an appointment").click()

    expect(page.get_by_role("status")).to_have_text("That hour is over there already: choose a later one.")
    expect(button(page, "Book an appointment")).to_be_enabled()
    context.close()
    assert cloud.rows("conversations") == []


def test_a_webhook_that_is_refused_is_said_and_the_button_is_free_again(cloud: Cloud, browser: Any) -> None:
    context = browser.new_context()
    page = context.new_page()
    problem = "The webhook answered 401, and not with success."

    def refuse(route: Route) -> None:
        route.fulfill(status=502, json={"problem": problem})

    page.route("**/api/appointments", refuse)
    page.goto(cloud.outputs["phone_url"])
    page.get_by_role("tab", name="Appointments").click()
    expect(button(page, "Book an appointment")).to_be_enabled()

    button(page, "Book an appointment").click()

    expect(page.get_by_role("status")).to_have_text(problem)
    expect(button(page, "Book an appointment")).to_be_enabled()
    context.close()


def test_what_another_program_books_appears_and_a_reset_clears_it(cloud: Cloud, open_window: Any) -> None:
    page = open_appointments(cloud, open_window)

    cloud.book(phone="+12135550177", name="<b>Kim</b> 😀", event_name="<i>Grinder</i> & more")

    item = item_of(page, "<b>Kim</b> 😀")
    expect(item).to_contain_text("<i>Grinder</i> & more", timeout=PATIENCE_MS)
    expect(item).to_contain_text("CONFIRMED_SENT", timeout=PATIENCE_MS)
    expect_possible(item, "Cancel", "Move a day later")
    expect(talk_of(page, "+1 213 555 0177")).to_contain_text("CONFIRMED_SENT")
    expect(account_of(page)).to_contain_text("A webhook told of <b>Kim</b> 😀’s <i>Grinder</i> & more")

    cloud.reset()

    expect(panel_of(page).get_by_text("Calendly’s webhook comes in")).to_be_visible(timeout=PATIENCE_MS)
    expect(item).to_have_count(0)
    expect(page.get_by_role("list", name="Appointments of")).to_have_count(0)
