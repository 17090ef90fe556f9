"""The phone page as a person uses it."""

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from sms_local.people import PEOPLE
from sms_local.testing import Cloud, eventually
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

JOHN, LUKASZ, ZOE, LEILANI = "+14045550101", "+12125550102", "+14155550103", "+18085550109"

#: What may move without anybody having touched the page, as browsers measure it (web.dev, *Cumulative Layout
#: Shift*, calls 0.1 good): people of a run change their places in the report once, when it is over.
_MOVED_AT_MOST = 0.02


def run_of(page: Page) -> Locator:
    return page.get_by_role("region", name="Today’s review requests")


def row_of(page: Page, name: str) -> Locator:
    return run_of(page).get_by_role("row").filter(has_text=name)


@SIZES
def test_the_whole_demo_by_keyboard_alone(
    cloud: Cloud, open_window: Any, take_picture: Any, size: dict[str, int]
) -> None:
    page = open_page(cloud, open_window, size)
    keyboard = Keyboard(page)
    label = "phone" if size is PHONE_SIZED else "desktop"
    run, account = run_of(page), account_of(page)
    expect(phone_of(page, "John Doe")).to_contain_text("No texts yet")
    take_picture(page, f"phones-{label}-at-first")

    keyboard.press("Add Leilani Kealoha")
    keyboard.press("Add Jane Doe")
    expect(phone_of(page, "Leilani Kealoha")).to_contain_text(re.compile(r"Honolulu 07:\d\d"))
    keyboard.press("Dry run")

    expect(run).to_contain_text("6 of 10 people would get it now, 1 later", timeout=PATIENCE_MS)
    expect(run).to_contain_text("7 message parts, about $0.06. Nothing was sent.")
    expect(row_of(page, "Leilani Kealoha")).to_contain_text("18:00")
    expect(row_of(page, "Leilani Kealoha")).to_contain_text("it is not the hour for texts in Honolulu")
    expect(row_of(page, "Jane Doe")).to_contain_text("same phone as another customer")
    expect(row_of(page, "Priya Nair")).to_contain_text("gave no phone number")
    expect(row_of(page, "Harbour Front Desk")).to_contain_text("the number is a landline")
    expect(row_of(page, "John Doe")).to_contain_text("Now")
    assert cloud.texts() == []
    show(page, run)
    take_picture(page, f"phones-{label}-dry-run")

    keyboard.press("Send now")

    john = phone_of(page, "John Doe")
    expect(john).to_contain_text("Hi John! Please review your recent purchase:", timeout=PATIENCE_MS)
    expect(john).to_contain_text("1 part · Delivered")
    expect(run).to_contain_text("1 person waits until 18:00", timeout=PATIENCE_MS)
    expect(account).to_contain_text("Step Functions took the audience: 10 customers, 7 due")
    expect(account).to_contain_text("Text to John Doe accepted, 1 part")
    expect(account).to_contain_text("Waits until 18:00: quiet hours in Honolulu")

    link = john.get_by_role("link")
    keyboard.go_to(link.inner_text())
    with page.context.expect_page(timeout=PATIENCE_MS) as opened:
        page.keyboard.press("Enter")
    form = opened.value
    expect(form.get_by_role("heading", name="Review Your Purchase")).to_be_visible()
    assert form.evaluate("window.opener") is None
    for key in ("Tab", "Space", *["ArrowRight"] * 4, "Tab"):
        form.keyboard.press(key)
    form.keyboard.type("Lovely kettle, and quick.")
    form.keyboard.press("Tab")
    form.keyboard.press("Enter")
    expect(form.get_by_text("Thank you for your review!")).to_be_visible()
    form.close()
    admin = page.get_by_role("region", name="The admin’s line")
    expect(admin).to_contain_text("New 5★ review from John Doe")
    [review] = cloud.rows("reviews")
    assert (review["status"], review["rating"]) == ("new", 5)

    keyboard.press("Answer STOP as Łukasz Wójcik")

    lukasz = phone_of(page, "Łukasz Wójcik")
    expect(lukasz).to_contain_text("You have been unsubscribed. Reply START to subscribe again.")
    expect(account).to_contain_text("Łukasz Wójcik answered “STOP”")
    show(page, run)
    take_picture(page, f"phones-{label}")

    keyboard.press("Pause sending")
    expect(button(page, "Resume sending")).to_be_visible()
    skip(keyboard, "Skip 30 minutes")
    skip(keyboard, "Skip 30 minutes")

    expect(run).to_contain_text("Held: nothing is sent")
    expect(run).to_contain_text("The run waits: all sending is paused.")
    expect(account).to_contain_text("Waits: all sending is paused")
    assert cloud.texts(LEILANI) == []

    keyboard.press("Resume sending")
    expect(button(page, "Pause sending")).to_be_visible()
    skip(keyboard, "Skip 30 minutes")

    leilani = phone_of(page, "Leilani Kealoha")
    expect(leilani).to_contain_text("Hi Leilani! Please review your recent purchase:")
    expect(run).to_contain_text("7 of 10 people got a text")
    expect(run).to_contain_text("Reminders follow on")

    skip(keyboard, "Skip a day")

    expect(account).to_contain_text("A schedule fired: reviews")
    expect(account).to_contain_text("A run begins (schedule)")

    skip(keyboard, "Skip a week")

    zoe = phone_of(page, "Zoë Fontaine")
    expect(zoe).to_contain_text("Hi Zoe! A reminder to review your recent purchase:")
    expect(account.get_by_role("heading", name="Reminders of").first).to_be_attached()
    assert [len(cloud.texts(phone)) for phone in (JOHN, LUKASZ, ZOE, LEILANI)] == [1, 2, 2, 2]
    for element, name in (
        ((run, "a-week-later"), (account, "account")) if size is PHONE_SIZED else ((run, "a-week-later"),)
    ):
        show(page, element)
        take_picture(page, f"phones-{label}-{name}")


def test_a_jump_shows_how_far_it_is_and_lets_no_other_begin(cloud: Cloud, open_window: Any) -> None:
    page = open_page(cloud, open_window)
    day = button(page, "Skip a day")
    # Looks of a run that is held make the jump long enough to be seen.
    button(page, "Pause sending").click()
    button(page, "Send now").click()
    expect(run_of(page)).to_contain_text("Held: nothing is sent", timeout=PATIENCE_MS)

    day.click()

    progress = page.get_by_role("progressbar", name="The clock is jumping")
    expect(progress).to_be_visible()
    for name in ("Skip 30 minutes", "Skip a day", "Skip a week"):
        expect(button(page, name)).to_be_disabled()
    expect(day).to_be_focused()
    eventually(
        lambda: 0 < int(progress.get_attribute("aria-valuenow") or 0) < 100, what="a jump that is under way"
    )

    button(page, "Resume sending").click()

    expect(progress).to_be_hidden(timeout=PATIENCE_MS)
    expect(day).to_be_enabled()
    expect(run_of(page)).to_contain_text("people got a text")


def test_nothing_on_the_page_jumps_while_things_happen(cloud: Cloud, open_window: Any) -> None:
    page = open_window(DESKTOP_SIZED).page
    page.add_init_script(
        """window.moved = [];
        new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) {
                const what = entry.sources.map(({ node }) => node?.id || node?.className);
                window.moved.push([entry.value, ...what]);
            }
        }).observe({type: "layout-shift", buffered: true});"""
    )
    page.goto(cloud.outputs["phone_url"])
    expect(button(page, "Send now")).to_be_enabled()

    # By the page's own script: what moves within half a second of a person's key is not counted as a jump.
    page.evaluate("document.getElementById('dry-run').click()")
    expect(run_of(page)).to_contain_text("would get it now", timeout=PATIENCE_MS)
    page.evaluate("document.getElementById('send').click()")
    expect(run_of(page)).to_contain_text("6 of 8 people got a text", timeout=PATIENCE_MS)
    page.evaluate("document.querySelector('.skips button').click()")
    expect(page.get_by_role("status")).to_contain_text("It is ", timeout=PATIENCE_MS)

    moved = page.evaluate("window.moved")
    assert sum(one[0] for one in moved) <= _MOVED_AT_MOST, moved


@SIZES
def test_nothing_reaches_beyond_the_window(cloud: Cloud, open_window: Any, size: dict[str, int]) -> None:
    page = open_page(cloud, open_window, size)

    assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
    cut_off = page.evaluate(
        """() => [...document.querySelectorAll(".top button, .top select, .top h1, .now, .buttons button")]
            .filter((one) => one.scrollWidth > one.clientWidth + 1
                || one.getBoundingClientRect().right > innerWidth)
            .map((one) => one.outerHTML)"""
    )
    assert cut_off == []


def test_times_are_shown_in_the_chosen_zone_and_it_is_kept(cloud: Cloud, open_window: Any) -> None:
    page = open_page(cloud, open_window)
    button(page, "Send now").click()
    expect(run_of(page)).to_contain_text("6 of 8 people got a text", timeout=PATIENCE_MS)
    meta = phone_of(page, "John Doe").locator(".meta")
    expect(meta).to_contain_text("17:0")

    page.get_by_label("Time zone of the page").select_option("Pacific/Honolulu")

    expect(page.locator("#now")).to_contain_text(re.compile(r"07:\d\d:\d\d"))
    expect(meta).to_contain_text("07:0")
    expect(account_of(page)).to_contain_text("07:0")
    expect(account_of(page)).not_to_contain_text("17:0")
    page.reload()
    expect(page.locator("#now")).to_contain_text(re.compile(r"07:\d\d:\d\d"))


def test_who_wants_no_motion_gets_none(cloud: Cloud, open_window: Any) -> None:
    page = open_page(cloud, open_window, reduced_motion="reduce")
    button(page, "Dry run").click()
    meter = page.get_by_role("progressbar", name="People of this run who are done")
    expect(meter).to_be_visible()

    assert page.evaluate("document.getAnimations().length") == 0


def test_a_run_that_fails_says_so_in_a_sentence(cloud: Cloud, open_window: Any) -> None:
    page = open_page(cloud, open_window)
    machine = cloud.outputs["state_machines"]["review_broadcast"]

    cloud.stepfunctions.start_execution(stateMachineArn=machine, input='{"dryRun": "yes"}')

    run = run_of(page)
    expect(run).to_contain_text("The run failed:", timeout=PATIENCE_MS)
    expect(run).to_contain_text("dryRun must be true or false; leave it out to send")
    expect(run).not_to_contain_text("Traceback")
    expect(account_of(page)).to_contain_text("The run failed:")
    expect(button(page, "Send now")).to_be_enabled()


def test_what_the_server_refuses_is_said_and_the_button_is_free_again(cloud: Cloud, browser: Any) -> None:
    context = browser.new_context()
    page = context.new_page()
    problem = "The clock gave an answer that this page does not understand."
    page.route("**/api/skip", lambda route: route.fulfill(status=502, json={"problem": problem}))
    page.goto(cloud.outputs["phone_url"])
    expect(button(page, "Skip a day")).to_be_enabled()

    button(page, "Skip a day").click()

    expect(page.get_by_role("status")).to_have_text(problem)
    expect(button(page, "Skip a day")).to_be_enabled()
    context.close()


def test_another_program_that_moves_the_clock_is_told(cloud: Cloud, open_window: Any) -> None:
    page = open_page(cloud, open_window)

    cloud.carrier.post("/control/clock", json={"advance_seconds": 3600}, timeout=60).raise_for_status()

    expect(page.locator("#now")).to_contain_text(re.compile(r"18:\d\d:\d\d"))
    expect(account_of(page)).to_contain_text("Somebody skipped an hour")


def test_the_account_stays_where_its_reader_is_and_offers_what_is_new(cloud: Cloud, open_window: Any) -> None:
    page = open_page(cloud, open_window)
    button(page, "Send now").click()
    expect(run_of(page)).to_contain_text("6 of 8 people got a text", timeout=PATIENCE_MS)
    steps = page.get_by_role("region", name="Steps of the cloud, the newest last")
    expect(steps).to_contain_text("Done: 6 texts accepted")
    expect(page.get_by_role("button", name="Newest steps")).to_be_hidden()
    steps.evaluate("one => { one.scrollTop = 0; }")

    cloud.text_from(JOHN, "Thanks!")

    newest = page.get_by_role("button", name="Newest steps")
    expect(newest).to_be_visible()
    assert steps.evaluate("one => one.scrollTop") == 0
    newest.click()
    expect(newest).to_be_hidden()
    expect(steps.get_by_text("John Doe answered “Thanks!”")).to_be_in_viewport()


def test_whatever_is_texted_is_shown_as_text(cloud: Cloud, open_window: Any) -> None:
    page = open_page(cloud, open_window)
    john = phone_of(page, "John Doe")
    nasty = "<img src=x onerror=alert(1)> javascript:alert(2) مرحبا 😀"

    john.get_by_role("textbox").fill(nasty)
    john.get_by_role("button", name="Send the text from John Doe").click()

    expect(john).to_contain_text(nasty)
    assert john.locator("ol img").count() == 0
    assert john.locator("ol a").count() == 0
    expect(account_of(page)).to_contain_text("<img src=x onerror=alert(1)>")
    expect(john.get_by_role("textbox")).to_have_value("")


def test_texts_of_others_appear_without_reloading(cloud: Cloud, open_window: Any) -> None:
    page = open_page(cloud, open_window)

    cloud.text_from("+15035550106", "INFO")

    grace = phone_of(page, "Grace Okafor")
    expect(grace).to_contain_text("INFO")
    expect(grace).to_contain_text("Reply STOP to unsubscribe.")
    expect(grace.get_by_role("log")).to_have_attribute("aria-live", "polite")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_control_has_a_name_and_text_stands_out(cloud: Cloud, open_window: Any, scheme: str) -> None:
    page = open_page(cloud, open_window, color_scheme=scheme)
    button(page, "Send now").click()
    expect(run_of(page)).to_contain_text("6 of 8 people got a text", timeout=PATIENCE_MS)

    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, a, input, select")]
            .filter((one) => !(one.ariaLabel ?? one.labels?.[0]?.textContent ?? one.textContent).trim())
            .map((one) => one.outerHTML)"""
    )
    assert nameless == []
    for selector in (
        *(".promise", ".primary:not([aria-disabled=true])", ".switch", ".skips button", "#zone"),
        *(".lead .sub", "thead th", "tr.not .when", "td.why", "td.why code"),
        *(".who p", ".quick button", ".thread .text", ".thread .text a", ".thread .meta", ".thread .day"),
        *(".account li time", ".account li p", ".account .day", ".more .sub", ".silent li", ".hint"),
    ):
        assert contrast(page, selector) >= 4.5, selector


def test_a_page_without_javascript_says_what_it_needs(cloud: Cloud, open_window: Any) -> None:
    page = open_window(java_script_enabled=False).page
    page.goto(cloud.outputs["phone_url"])

    expect(page.get_by_text("needs JavaScript")).to_be_visible()


def test_another_page_in_the_same_browser_cannot_text(cloud: Cloud, browser: Any) -> None:
    context = browser.new_context()
    page = context.new_page()
    # The carrier's address is another origin on the same machine.
    page.goto(f"{cloud.places.carrier_endpoint}/control/health")
    outcomes = page.evaluate(
        """(url) => Promise.all(
            ["broadcast", "skip", "sending", "customers", "reply", "appointments"].map(async (what) => {
            const foreign = { method: "POST", mode: "no-cors", body: "{}" };
            try { return (await fetch(`${url}/api/${what}`, foreign)).type; }
            catch (error) { return String(error); }
        }))""",
        cloud.places.front_door,
    )
    context.close()

    assert set(outcomes) <= {"opaque", "TypeError: Failed to fetch"}
    machine = cloud.outputs["state_machines"]["review_broadcast"]
    running = cloud.stepfunctions.list_executions(stateMachineArn=machine, statusFilter="RUNNING")[
        "executions"
    ]
    assert running == []
    assert cloud.texts() == []
    assert cloud.rows("conversations") == []


def test_an_emulator_that_is_gone_is_said_so(cloud: Cloud, browser: Any) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.route("**/api/events", lambda route: route.abort())
    page.goto(cloud.outputs["phone_url"])

    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    context.close()


def test_each_person_of_the_demo_is_there(cloud: Cloud, open_window: Any) -> None:
    page = open_page(cloud, open_window)

    for person in PEOPLE:
        expected = 1 if person.phone else 0
        expect(page.get_by_role("article", name=person.name)).to_have_count(expected)
        if not person.phone:
            expect(page.get_by_role("region", name="More customers")).to_contain_text(person.note)


def test_the_status_line_tells_when_a_run_is_over(cloud: Cloud, open_window: Any) -> None:
    page = open_page(cloud, open_window)

    button(page, "Send now").click()

    expect(page.get_by_role("status")).to_have_text("Done: 6 texts sent.", timeout=PATIENCE_MS)
    eventually(lambda: len(cloud.texts()) == 6, what="the six texts")
