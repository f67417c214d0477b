"""The form of the main job, as a producer sees it: Chromium on the page of a real server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from prefect_server import PrefectServer, deployed_bulk, running_server

from flows.request import BulkRequest

playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs playwright: pip install 'lipsync-flows[browser]'"
)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
PATIENCE_MS = 60_000
KEYSTROKE_MS = 150  # as a person types: the page takes in what was typed a moment later


@dataclass
class Form:
    """The page with the form; ``strangers`` are the addresses it asked beside the server's."""

    page: Any
    server: PrefectServer
    strangers: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Go to a page of the server and wait until it is drawn."""
        self.page.on("request", self._note)
        self.page.goto(f"{self.server.address}/{path}")
        self.titles.first.wait_for()

    def _note(self, request: Any) -> None:
        if not request.url.startswith((self.server.address, "data:", "blob:")):
            self.strangers.append(request.url)

    @property
    def titles(self) -> Any:
        """The headings of all fields, that of the whole request first."""
        return self.page.locator(".schema-form-property__label")

    def __getitem__(self, title: str) -> Any:
        """The field with this title."""
        heading = f'.schema-form-property__label:text-is("{title} (Optional)")'
        return self.page.locator(f".schema-form-property:has(> .p-label__header {heading})")

    def submit(self) -> tuple[int, Any]:
        """Press Submit; the server's status and answer."""
        for _ in range(5):
            with self.page.expect_response("**/create_flow_run") as sent:
                self.page.get_by_role("button", name="Submit").click()
            if sent.value.status != 503:  # its database was busy; a person would press again
                break
        return sent.value.status, sent.value.json()


@pytest.fixture(scope="module")
def server() -> PrefectServer:
    return running_server()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture
def form(browser: Any, server: PrefectServer) -> Iterator[Form]:
    page = browser.new_page(viewport={"width": 1300, "height": 2400})
    page.set_default_timeout(PATIENCE_MS)
    form = Form(page, server)
    form.open(f"deployments/deployment/{deployed_bulk()['id']}/run")
    yield form
    page.close()


def test_shows_every_field_in_order_with_its_description(form: Form) -> None:
    written = [str(field.title) for field in BulkRequest.model_fields.values()]
    assert form.titles.all_inner_texts()[1:] == [f"{title} (Optional)" for title in written]
    for name, shown in BulkRequest.model_fields.items():
        told = form[str(shown.title)].locator(".p-label__description").inner_text()
        assert str(shown.description) in told, name


def test_is_empty_so_that_only_what_a_person_says_is_sent(form: Form) -> None:
    boxes = form.page.locator(".schema-form-property__fields textarea, input[type=number]")
    assert boxes.count() >= 10
    assert {box.input_value() for box in boxes.all()} == {""}


def test_makes_a_run_of_a_video_and_an_audio(form: Form) -> None:
    form["Video"].locator("textarea").fill("films/a.mp4")
    form["Audio"].locator("textarea").fill("speech/a.wav")
    budget = form["Budget"].locator("input")
    budget.press_sequentially("12", delay=KEYSTROKE_MS)
    for _ in "12":  # thought better of it
        budget.press("Backspace", delay=KEYSTROKE_MS)
    budget.press("Tab", delay=KEYSTROKE_MS)
    status, run = form.submit()
    assert status == 201
    made = form.server.get(f"flow_runs/{run['id']}")
    fields = BulkRequest.model_fields.items()
    switches = {name: False for name, field in fields if field.annotation is bool}
    assert {"dry_run", "keep_asd"} < switches.keys()
    assert made["parameters"] == {
        "request": {"video": "films/a.mp4", "audio": "speech/a.wav"} | switches
    }


def test_says_what_is_missing(form: Form) -> None:
    form["Video"].locator("textarea").fill("films/a.mp4")
    status, _ = form.submit()
    assert status == 409
    form.page.get_by_text("'audio' is a required property").first.wait_for()


def test_a_quick_run_asks_for_the_same_fields(form: Form) -> None:
    fields = form.titles.all_inner_texts()
    form.page.goto(f"{form.server.address}/deployments/deployment/{deployed_bulk()['id']}")
    form.page.get_by_role("button", name="Run", exact=True).first.click()
    form.page.get_by_text("Quick run").click()
    form.titles.first.wait_for()
    assert form.titles.all_inner_texts() == fields


def test_asks_nobody_but_the_server(form: Form) -> None:
    form.page.wait_for_load_state("networkidle")
    assert form.strangers == []
