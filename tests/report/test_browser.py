"""The page in a real browser: quick with ten thousand invocations, quiet, usable by keyboard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from blazen_anyio import HistoryFact, Report
from blazen_anyio._report.document import Record, document
from blazen_anyio._report.summary import Topology
from blazen_anyio._report.timeline import Outcome

from .chromium import EXECUTABLE, Browser
from .told import Story

pytestmark = pytest.mark.skipif(
    EXECUTABLE is None, reason="no Chromium: `apt-get install chromium` brings it"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


def write(path: Path, facts: list[HistoryFact], **about: Any) -> Path:
    record = Record(
        **{"workflow": "w", "run_id": "r", "status": "completed", "facts": facts, **about}
    )
    return Report("a report", document(record)).write(path)


def many(count: int) -> list[HistoryFact]:
    """A fan-out of which each item is handled, forty at a time, some only at the second attempt."""
    story = Story().routed().step("started", 1, "split").step("completed", 1, "split", duration=1)
    for number in range(2, count + 1):
        story.now = number / 40
        story.step("started", number, "price", cause=1)
        story.now = number / 40 + (number % 7) / 7
        if number % 50 == 0:
            story.step("failed", number, "price", cause=1, error="builtins.OSError")
            story.step("started", number, "price", cause=1, attempt=2)
        story.step("completed", number, "price", cause=1)
    return story.facts


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("large") / "run.html", many(10_000))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    story = Story().routed("Order").step("started", 1, "split", event_type="Order")
    story.step("completed", 1, "split", event_type="Order")
    for number in (2, 3):
        story.step("started", number, "price", cause=1)
    story.step("failed", 2, "price", cause=1, error="builtins.OSError")
    story.step("started", 2, "price", cause=1, attempt=2)
    story.step("waiting", 3, "price", cause=1).step("continued", 3, "price", cause=1)
    story.step("completed", 2, "price", cause=1).step("completed", 3, "price", cause=1)
    story.step("started", 4, "total", cause=2).step("completed", 4, "total", cause=2)
    return write(
        tmp_path_factory.mktemp("small") / "run.html",
        story.facts,
        offset=0.0,
        state={"login": "Login(\n  password = ***\n)"},
        result="42",
    )


def focus(browser: Browser, identity: str) -> None:
    browser.run(f"document.getElementById({identity!r}).focus()")


def chosen(browser: Browser) -> str | None:
    """The title of what is in the details."""
    title: str | None = browser.run("document.querySelector('#details h3')?.textContent ?? null")
    return title


# ---- ten thousand --------------------------------------------------------------------------------


def test_ten_thousand_invocations_are_there_in_two_seconds(browser: Browser, large: Path) -> None:
    # The best of three: what else runs on the machine is not the page's fault.
    assert min(browser.open(large) for _ in range(3)) < 2
    assert "10,000" in browser.text("#numbers")
    assert browser.complaints == []


def test_of_many_facts_only_those_on_the_screen_have_rows(browser: Browser, large: Path) -> None:
    browser.open(large)
    rows = "document.querySelectorAll('#facts .body .row').length"
    assert 5 < browser.run(rows) < 60
    focus(browser, "facts")
    browser.press("End")
    assert 5 < browser.run(rows) < 60
    last = browser.text("#facts .row.now")
    assert last.startswith("20,400")
    assert browser.run("document.getElementById('facts').getAttribute('aria-rowcount')") == "20402"


def test_a_filter_of_many_is_quick(browser: Browser, large: Path) -> None:
    browser.open(large)
    took = browser.run(
        "(() => { const field = document.getElementById('filter-outcome'); field.value = 'retried';"
        " const begun = performance.now(); field.dispatchEvent(new Event('change'));"
        " return performance.now() - begun; })()"
    )
    assert browser.text("#shown") == "200 of 10,000 invocations shown."
    assert took < 500


# ---- nothing but the page ------------------------------------------------------------------------


def test_nothing_is_asked_of_anybody(browser: Browser, small: Path) -> None:
    browser.open(small)
    focus(browser, "canvas")
    browser.press("Home", "ArrowRight", "+", "0")
    assert browser.requests == [small.as_uri()]
    assert browser.complaints == []


def test_the_policy_stops_what_is_not_of_the_page(browser: Browser, small: Path) -> None:
    browser.open(small)
    browser.run(
        "(() => { const script = document.createElement('script');"
        " script.textContent = 'window.broken = true'; document.body.append(script);"
        " const image = new Image(); image.src = 'http://127.0.0.1:9/x.png';"
        " document.body.append(image); })()"
    )
    browser.painted()
    assert browser.run("window.broken ?? false") is False
    assert len(browser.complaints) == 2
    assert all("Content Security Policy" in each for each in browser.complaints)


HOSTILE = [
    "</script><script>window.broken = true</script>",
    "<img src=x onerror='window.broken = true'>",
    "\"'`${window.broken = true}",
    "javascript:window.broken=true",
    "\u202egpj.exe\u2066\u200f",
    "\x00\x1b[31m\u2028\u2029",
    "a" * 5_000,
    "\ud800 and 💥",
    "__proto__",
    "constructor",
    "",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_nothing_but_text(browser: Browser, tmp_path: Path, text: str) -> None:
    story = Story().tell("event_routed", event_type=text, cause=0)
    story.step("started", 1, text, event_type=text)
    story.step("failed", 1, text, event_type=text, error=text)
    story.step("started", 2, f"{text}2", event_type=text, cause=1)
    story.inside((text,)).step("started", 1, text, event_type=text)
    story.step("completed", 1, text, event_type=text)
    page = write(
        tmp_path / "run.html",
        story.facts,
        workflow=text,
        run_id=text,
        error=text,
        result=text,
        state={text: text},
        state_note="note",
        requests=[text],
        gaps=["gap"],
        offset=0.0,
    )
    browser.open(page)
    focus(browser, "canvas")
    browser.press("Home", "ArrowDown", "End", "c", "e")
    focus(browser, "facts")
    browser.press("End", "Enter")
    browser.run(f"document.getElementById('filter-step').value = {json.dumps(text)}")
    browser.run("document.getElementById('filter-step').dispatchEvent(new Event('change'))")
    browser.painted()
    assert browser.run("window.broken ?? false") is False
    assert browser.run("document.querySelectorAll('script').length") == 2
    assert browser.run("document.querySelectorAll('img, iframe, object').length") == 0
    assert (browser.complaints, browser.requests) == ([], [page.as_uri()])
    assert browser.run("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_run_without_anything_has_a_page(browser: Browser, tmp_path: Path) -> None:
    page = write(tmp_path / "run.html", [], topology=Topology([], [], declared=True))
    browser.open(page)
    focus(browser, "canvas")
    browser.press("Home", "End", "ArrowLeft", "ArrowUp", "c", "e", "+", "-", "0", "Escape")
    focus(browser, "facts")
    browser.press("End", "Enter", "PageUp")
    assert browser.complaints == []


# ---- using it ------------------------------------------------------------------------------------


def test_the_head_tells_what_run_it_is(browser: Browser, small: Path) -> None:
    browser.open(small)
    assert browser.run("document.title") == "a report"
    assert (browser.text("#workflow"), browser.text("#status")) == ("w", "completed")
    assert "12 s" in browser.text("#numbers")
    assert "42" in browser.text("#state")
    assert "password = ***" in browser.text("#state")


def test_arrow_keys_go_from_invocation_to_invocation(browser: Browser, small: Path) -> None:
    browser.open(small)
    focus(browser, "canvas")
    assert chosen(browser) is None
    ways = {
        "Home": "split #1",
        "ArrowDown": "price #2",
        "ArrowRight": "price #3",
        "ArrowLeft": "price #2",
        "c": "split #1",
        "e": "price #2",
        "End": "total #4",
        "ArrowUp": "price #3",
        "Escape": None,
    }
    for key, title in ways.items():
        browser.press(key)
        assert chosen(browser) == title, key


def test_details_tell_all_of_an_invocation(browser: Browser, small: Path) -> None:
    browser.open(small)
    focus(browser, "canvas")
    browser.press("Home", "ArrowDown")
    text = browser.text("#details")
    for part in ("price #2", "completed", "split #1", "builtins.OSError", "failed", "total #4"):
        assert part in text
    browser.press("ArrowRight")
    assert "waited 1 s" in browser.text("#details")
    assert browser.text("#said") == "price #3, completed, 6 s, 1 attempt"


def test_links_in_the_details_lead_to_causes_and_effects(browser: Browser, small: Path) -> None:
    browser.open(small)
    focus(browser, "canvas")
    browser.press("Home", "Enter", "Enter")  # to the details, to the facts of split #1
    assert browser.run("document.activeElement.id") == "facts"
    assert "split" in browser.text("#facts .row.now")
    browser.run("[...document.querySelectorAll('#details button')].at(-1).click()")
    assert chosen(browser) == "price #3"
    assert browser.run("document.activeElement.id") == "canvas"


def test_a_click_on_a_bar_chooses_it_and_one_beside_it_nothing(
    browser: Browser, small: Path
) -> None:
    browser.open(small)
    browser.run("document.getElementById('timeline').scrollIntoView()")
    left, top, width = browser.run(
        "(() => { const box = document.getElementById('canvas').getBoundingClientRect();"
        " return [box.left, box.top, box.width]; })()"
    )
    plot = width - 190 - 8
    browser.click(left + 190 + plot * 11.5 / 12, top + 26 + 40 + 59 + 15)
    assert chosen(browser) == "total #4"
    browser.mouse("mouseMoved", left + 190 + plot * 1.5 / 12, top + 26 + 15)
    browser.painted()
    assert "split #1" in browser.text("#tip")
    browser.click(left + 190 + plot * 8 / 12, top + 26 + 15)
    assert chosen(browser) is None


def test_dragging_moves_and_the_wheel_zooms(browser: Browser, small: Path) -> None:
    browser.open(small)
    browser.run("document.getElementById('timeline').scrollIntoView()")
    left, top = browser.run(
        "(() => { const box = document.getElementById('canvas').getBoundingClientRect();"
        " return [box.left + 500, box.top + 60]; })()"
    )
    before = browser.picture()
    browser.mouse("mouseWheel", left, top, deltaX=0, deltaY=-200, modifiers=2)
    zoomed = browser.picture()
    assert zoomed != before
    browser.mouse("mousePressed", left, top, button="left", buttons=1, clickCount=1)
    browser.mouse("mouseMoved", left + 90, top, button="left", buttons=1)
    browser.mouse("mouseReleased", left + 90, top, button="left")
    assert browser.picture() != zoomed


def test_keys_zoom_and_say_so(browser: Browser, small: Path) -> None:
    browser.open(small)
    focus(browser, "canvas")
    browser.press("+")
    assert browser.text("#said") == "3 s to 9 s shown"
    browser.press("PageDown")
    assert browser.text("#said") == "6 s to 12 s shown"
    browser.press("0")
    assert browser.text("#said") == "0 to 12 s shown"


def test_filters_leave_what_they_name(browser: Browser, small: Path) -> None:
    browser.open(small)
    focus(browser, "filter-text")
    browser.call("Input.insertText", text="oserror")
    browser.press("Enter")
    assert browser.text("#shown") == "1 of 4 invocations shown."
    assert browser.text("#facts-note").startswith("4 of 13 facts")
    browser.run("document.getElementById('filter-text').value = ''")
    browser.run("document.getElementById('filter').requestSubmit()")
    assert browser.text("#shown") == ""
    browser.run(
        "document.querySelector('.node[data-step=price]').dispatchEvent(new MouseEvent('click'))"
    )
    assert browser.text("#shown") == "2 of 4 invocations shown."
    assert browser.run("document.getElementById('filter-step').value") == "price"


def test_a_step_of_the_graph_is_a_button_for_the_keyboard(browser: Browser, small: Path) -> None:
    browser.open(small)
    browser.run("document.querySelector('.node[data-step=total]').focus()")
    pressed = "document.querySelector('.node[data-step=total]').getAttribute('aria-pressed')"
    browser.press("Enter")
    assert (browser.text("#shown"), browser.run(pressed)) == ("1 of 4 invocations shown.", "true")
    browser.press(" ")
    assert (browser.text("#shown"), browser.run(pressed)) == ("", "false")


def test_the_tab_key_goes_through_the_page_in_its_order(browser: Browser, small: Path) -> None:
    browser.open(small)
    seen = []
    for _ in range(16):
        browser.press("Tab")
        seen.append(
            browser.run(
                "document.activeElement.id || document.activeElement.dataset.step"
                " || document.activeElement.className"
            )
        )
    assert seen[:6] == ["skip", "theme", "split", "price", "total", "filter-text"]
    assert seen[6:13] == [
        *("filter-step", "filter-outcome", "queue", "zoom-out", "zoom-in", "zoom-fit", "canvas"),
    ]
    assert "facts" in seen[13:]


def test_everything_that_can_be_used_has_a_name(browser: Browser, small: Path) -> None:
    browser.open(small)
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "textbox", "searchbox", "combobox", "checkbox", "grid", "application"}
    used = [each for each in nodes if each.get("role", {}).get("value") in roles]
    assert len(used) > 8
    assert [each for each in used if not each.get("name", {}).get("value")] == []


CONTRAST = """((kinds) => {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const light = (colour) => {
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map((each) => {
      const share = each / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const style = getComputedStyle(document.documentElement);
  const grounds = ["--page", "--card"].map((name) => light(style.getPropertyValue(name)));
  return kinds.map((kind) => {
    const chip = document.createElement("span");
    chip.className = kind;
    document.body.append(chip);
    const text = light(getComputedStyle(chip).color);
    chip.remove();
    return Math.min(...grounds.map((ground) => Math.max(text, ground) / Math.min(text, ground)));
  });
})"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_small_text_stands_out_from_its_ground(browser: Browser, small: Path, theme: str) -> None:
    """As the Web Content Accessibility Guidelines want it (AA): by 4.5 to 1."""
    browser.open(small)
    browser.run(f"document.documentElement.dataset.theme = {theme!r}")
    statuses = [*get_args(Outcome), "suspended", "paused"]
    kinds = ["note", *(f"chip is-{status}" for status in statuses), "is-failed"]
    found = browser.run(f"{CONTRAST}({json.dumps(kinds)})")
    assert {kind: rate for kind, rate in zip(kinds, found, strict=True) if rate < 4.5} == {}


def test_colours_follow_the_system_and_the_button(browser: Browser, small: Path) -> None:
    def colour() -> str:
        return str(browser.run("getComputedStyle(document.body).backgroundColor"))

    browser.open(small)
    light, picture = colour(), browser.picture()
    browser.call(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}]
    )
    browser.painted()
    assert colour() != light
    assert browser.text("#theme") == "Light"
    assert browser.picture() != picture
    browser.run("document.getElementById('theme').click()")
    assert colour() == light
    assert browser.text("#theme") == "Dark"
    browser.call("Emulation.setEmulatedMedia", features=[])
