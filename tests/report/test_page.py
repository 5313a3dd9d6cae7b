"""The page is one file: its data can't become markup, and its policy lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blazen_anyio._report.page import embed, page


class Elements(HTMLParser):
    """The elements of a page, and what is in those that hold nothing but text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._open = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.found.append((tag, attributes))
        self._open = attributes.get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        self.texts[self._open] = self.texts.get(self._open, "") + data


HOSTILE: list[Any] = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]>",
    "&lt;&amp;",
    "\u2028\u2029",
    "'\"`",
    "%%script%%",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_data_changes_nothing_but_the_data(text: str) -> None:
    plain, hostile = Elements(page({"x": "y"}, "t")), Elements(page({"x": text}, text))
    assert [tag for tag, _ in plain.found] == [tag for tag, _ in hostile.found]
    assert json.loads(hostile.texts["data"]) == {"x": text}
    assert hostile.texts["title"] == text


@given(st.recursive(st.text() | st.integers() | st.none(), st.lists, max_leaves=10))
def test_embedded_data_comes_back_and_has_nothing_that_markup_needs(value: Any) -> None:
    text = embed(value)
    assert json.loads(text) == value
    assert not set(text) & set("<>&\u2028\u2029")


def test_numbers_that_json_lacks_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        embed(float("nan"))


def test_the_policy_allows_the_script_and_the_style_of_the_page_and_nothing_else() -> None:
    elements = Elements(page({}, "t"))
    (policy,) = (
        attributes["content"]
        for tag, attributes in elements.found
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    digests = {
        name: base64.b64encode(hashlib.sha256(elements.texts[name].encode()).digest()).decode()
        for name in ("script", "style")
    }
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digests['style']}'; "
        f"script-src 'sha256-{digests['script']}'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


def test_nothing_in_the_page_is_anywhere_else() -> None:
    text = page({}, "t")
    places = {
        value
        for _, attributes in Elements(text).found
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "action", "style") or name.startswith("on")
    }
    assert places == {"data:,", "#canvas"}
    assert not re.search(r"@import|url\(\s*[\"']?(?!#)|fetch\(|XMLHttp|innerHTML|eval\(", text)
    assert set(re.findall(r"https?://[^\"'\s]*", text)) == {"http://www.w3.org/2000/svg"}
