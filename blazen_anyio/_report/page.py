"""The page: one HTML file that needs nothing else.

The rule: data never becomes markup. It goes into the page once, as JSON in a block that is not
executed and that no text can close; the page's script puts it on the screen as text. A policy in
the page forbids every request and every script but its own, which it names by its digest.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib import resources
from typing import Any

__all__ = ["embed", "page"]

_SCRIPTS = (
    *("base.js", "model.js", "graph.js", "lanes.js", "painting.js", "overview.js", "moving.js"),
    *("timeline.js", "details.js", "facts.js", "main.js"),
)

_ESCAPES = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


def page(data: dict[str, Any], title: str) -> str:
    """Write the page.

    Args:
        data: what ``document`` made.
        title: of the window.
    """
    style = _asset("report.css")
    script = "\n".join(_asset(name) for name in _SCRIPTS)
    script = f'"use strict";\n(() => {{\n{script}\n}})();\n'
    parts = {
        "policy": _policy(style, script),
        "title": html.escape(title),
        "style": style,
        "data": embed(data),
        "script": script,
    }
    pieces = _asset("report.html").split("%%")  # text, name, text, name, ..., text
    pieces[1::2] = [parts[name] for name in pieces[1::2]]
    return "".join(pieces)


def embed(data: Any) -> str:
    """Write data as JSON that can stand in a script block: no text in it can close the block."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_ESCAPES)


def _policy(style: str, script: str) -> str:
    return (
        "default-src 'none'; "
        f"style-src '{_digest(style)}'; "
        f"script-src '{_digest(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    """The digest by which a policy names an inline block."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _asset(name: str) -> str:
    package = __name__.rpartition(".")[0]
    return (resources.files(package) / "assets" / name).read_text("utf-8")
