"""The browser of the tests: an installed Chromium, else Debian's package, else Playwright's own download.

`python -m sms_local.chromium` makes sure that there is one; a missing browser is a failure, never a skipped
test.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from sms_local.failures import LocalCloudError

#: Names under which distributions install the browser.
_COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_MACOS = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")

#: Own variable, so that a machine with an unusual installation can name it.
EXECUTABLE_VARIABLE = "PLAYWRIGHT_CHROMIUM"


def find_chromium() -> Path | None:
    """Return the browser to drive, or None where there is none yet.

    Raises
    ------
    LocalCloudError
        When ``PLAYWRIGHT_CHROMIUM`` names a file that does not exist.
    """
    named = os.environ.get(EXECUTABLE_VARIABLE)
    if named:
        if not Path(named).is_file():
            msg = f"{EXECUTABLE_VARIABLE} names {named}, which is not a file"
            raise LocalCloudError(msg)
        return Path(named)
    for command in _COMMANDS:
        found = shutil.which(command)
        if found:
            return Path(found)
    if _MACOS.is_file():
        return _MACOS
    return _playwrights_own()


def require_chromium() -> Path:
    """Return the browser to drive.

    Raises
    ------
    LocalCloudError
        When there is none.
    """
    browser = find_chromium()
    if browser is None:
        msg = f"no Chromium found: run `make setup`, or name one in {EXECUTABLE_VARIABLE}"
        raise LocalCloudError(msg)
    return browser


def install_chromium() -> Path:
    """Return the browser to drive, after installing it where there is none.

    Raises
    ------
    LocalCloudError
        When it could not be installed; the message says what was tried.
    """
    browser = find_chromium()
    if browser is not None:
        return browser
    tried = []
    if os.geteuid() == 0 and shutil.which("apt-get"):
        tried.append("`apt-get install chromium`")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-dejavu-core"],
        ):
            subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=False)
    if find_chromium() is None:
        tried.append("`playwright install chromium`")
        subprocess.run(
            [sys.executable, "-m", "playwright", "install", "chromium"], stdin=subprocess.DEVNULL, check=False
        )
    browser = find_chromium()
    if browser is None:
        msg = (
            f"no Chromium: {' and '.join(tried)} did not bring one (their messages are above); "
            f"install Chromium by hand, or name one in {EXECUTABLE_VARIABLE}"
        )
        raise LocalCloudError(msg)
    return browser


def _playwrights_own() -> Path | None:
    # Only the development environment has Playwright; the embedded cloud itself does without a browser.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
    return own if own.is_file() else None


def main() -> int:
    """Install the browser where it is missing and say which one the tests will drive."""
    try:
        browser = install_chromium()
    except LocalCloudError as error:
        print(f"make setup: {error}", file=sys.stderr)
        return 1
    print(f"The browser of the tests is {browser}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
