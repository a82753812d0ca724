"""A headless Chromium for the tests of the HTML page, driven by Playwright. `make browser` installs both.

The first of these that starts is taken: the program that CHROMIUM names; what `make browser` installed; a Chromium or Chrome
of the machine. Without any the tests are skipped with NOT RUN and that command; with CI=true in the environment they fail
instead. As a program, this says which one is taken, and ends with status 1 if there is none."""

import contextlib
import os
import shutil
import sys
from pathlib import Path

INSTALLED = Path(os.environ.get("BROWSER_FOLDER", Path(__file__).parents[2] / ".venv" / "browser"))
OF_THE_MACHINE = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
NOT_RUN = (
    "browser test NOT RUN: there is no Playwright or no Chromium that starts. Install them with: make browser. If that does not "
    "reach them, install a Chromium first, for example with: apt-get install chromium-headless-shell"
)


def programs() -> list[str]:
    """What may be a Chromium."""
    of_npm = INSTALLED / "chromium"
    of_playwright = sorted(INSTALLED.glob("playwright/*/*/*headless*shell*"))
    of_machine = [shutil.which(name) for name in OF_THE_MACHINE]
    found = [os.environ.get("CHROMIUM"), of_npm, *of_playwright, *of_machine]
    return [str(program) for program in found if program and os.path.isfile(program) and os.access(program, os.X_OK)]


def environment() -> dict[str, str]:
    """The installed Chromium brings the libraries and the font that a bare machine lacks."""
    libraries = [str(INSTALLED / "lib"), os.environ.get("LD_LIBRARY_PATH", "")]
    brought = {"LD_LIBRARY_PATH": ":".join(filter(None, libraries)), "XDG_DATA_HOME": str(INSTALLED / "share")}
    return dict(os.environ) | brought


@contextlib.contextmanager
def running():
    """The browser, while a `with` block lasts; None if none starts."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        yield None
        return
    with sync_playwright() as playwright:
        for program in programs():
            try:
                of_npm = program == str(INSTALLED / "chromium")
                browser = playwright.chromium.launch(
                    executable_path=program, env=environment() if of_npm else dict(os.environ), timeout=60_000
                )
            except Error as problem:
                print(f"{program} does not start: {str(problem).splitlines()[0]}", file=sys.stderr)
                continue
            try:
                yield browser
            finally:
                browser.close()
            return
        yield None


if __name__ == "__main__":
    with running() as browser:
        if browser is None:
            sys.exit(NOT_RUN)
        print(f"Chromium {browser.version} is there for the tests of the HTML page.")
