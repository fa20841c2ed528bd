"""Look at pages in Chromium: in both themes, on a phone and on a wide screen.

``python -m tests.support.browser FOLDER OUT`` writes screenshots of every page of a folder (`make screens`).
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

THEMES = ("light", "dark")
#: Width and height in pixels, by name.
SCREENS = {"phone": (390, 844), "wide": (1440, 900)}
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_CONTRAST = {"runOnly": {"type": "rule", "values": ["color-contrast"]}, "resultTypes": ["violations"]}


class Look(NamedTuple):
    """A page as it was shown: `faults` are sentences, none if all is well."""

    address: str
    theme: str
    screen: str
    faults: list[str]


def find_chromium() -> str | None:
    """Return the path of an installed Chromium, or None."""
    return next((path for name in CHROMIUM if (path := shutil.which(name))), None)


@contextlib.contextmanager
def start_browser() -> Iterator[Browser]:
    """Start Chromium. Raises `RuntimeError` if there is none."""
    from playwright.sync_api import sync_playwright

    executable = find_chromium()
    if executable is None:
        raise RuntimeError("Chromium is not installed")
    arguments = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def serve_folder(folder: Path) -> Iterator[str]:
    """Serve the files of `folder` on the loopback interface, and yield the address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=os.fspath(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def inspect_pages(
    browser: Browser, addresses: list[str], *, contrast: bool = True, out: Path | None = None
) -> Iterator[Look]:
    """Show each page in both themes and on both screens, and yield what is wrong with it.

    A page is at fault if it is wider than the screen, if an error occurs on it, or if a text has too little contrast
    (WCAG 2 AA, `contrast`). With `out` each is stored there as a picture.
    """
    for theme in THEMES:
        for screen, (width, height) in SCREENS.items():
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=theme,  # type: ignore[arg-type]
                reduced_motion="reduce",
            )
            page = context.new_page()
            errors = _collect_errors(page)
            for address in addresses:
                errors.clear()
                page.goto(address)
                faults = [*_measure(page), *(f"error: {error}" for error in errors)]
                if contrast and screen == "wide":
                    faults += _find_low_contrast(page)
                if out is not None:
                    name = address.rpartition("/")[2].partition(".html")[0] or "index"
                    page.screenshot(path=out / f"{name}-{screen}-{theme}.png", full_page=True)
                yield Look(address, theme, screen, faults)
            context.close()


def _collect_errors(page: Page) -> list[str]:
    """Return a list to which every error on the page is added."""
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    return errors


def _measure(page: Page) -> list[str]:
    shown, window = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    return [f"{shown} px wide on a screen of {window} px"] if shown > window else []


def _find_low_contrast(page: Page) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    violations = Axe().run(page, options=_CONTRAST).response["violations"]
    return [
        f"low contrast: {node['html'][:120]} ({node['any'][0]['message']})"
        for violation in violations
        for node in violation["nodes"][:3]
    ]


def main(folder: Path, out: Path) -> int:
    """Write a picture of each page of `folder` to `out`, and print what is wrong. Return the exit status."""
    out.mkdir(parents=True, exist_ok=True)
    status = 0
    with serve_folder(folder) as base, start_browser() as browser:
        addresses = [f"{base}/{page.relative_to(folder)}" for page in sorted(folder.glob("*.html"))]
        for look in inspect_pages(browser, addresses, out=out):
            for fault in look.faults:
                status = 1
                print(f"{look.address.rpartition('/')[2]}, {look.screen}, {look.theme}: {fault}")
    print(out)
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
