"""Templates say what is shown; looks are in CSS and behaviour in JavaScript files, as the content policy demands."""

from __future__ import annotations

import re

import pytest

from tests.house.code import ROOT

TEMPLATES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "templates").rglob("*.html"))

FORBIDDEN = {
    "an inline style": re.compile(r"\sstyle\s*=", re.I),
    "a style element": re.compile(r"<style\b", re.I),
    "an inline script": re.compile(r"<script\b(?![^>]*\ssrc\s*=)", re.I),
    "hx-on": re.compile(r"\bhx-on\b|\bhx-on:", re.I),
    "an event attribute": re.compile(r"\son[a-z]+\s*=", re.I),
    "a javascript address": re.compile(r"javascript:|\bjs:", re.I),
    "markup that is not escaped": re.compile(r"\|\s*safe\b|\{%\s*autoescape\s+off"),
    "something from another site": re.compile(r"(src|href)\s*=\s*[\"'](https?:)?//", re.I),
}


def test_the_rules_find_what_they_forbid():
    bad = [
        '<p style="color: red">', "<style>", "<script>x()</script>", '<a hx-on:click="x()">', '<a onclick="x()">',
        '<a href="javascript:x()">', "{{ text|safe }}", '<script src="https://example.com/x.js"></script>',
    ]  # fmt: skip
    for what, text in zip(FORBIDDEN, bad, strict=True):
        assert FORBIDDEN[what].search(text), what
    fine = '<script src="{% static \'js/page.js\' %}" defer></script><p class="style" data-onset="1">{{ text }}</p>'
    assert not any(pattern.search(fine) for pattern in FORBIDDEN.values())


@pytest.mark.parametrize("path", TEMPLATES)
def test_a_template_carries_no_looks_and_no_behaviour(path):
    text = re.sub(r"\{#.*?#\}|\{% comment %\}.*?\{% endcomment %\}", "", (ROOT / path).read_text(), flags=re.S)
    found = [what for what, pattern in FORBIDDEN.items() if pattern.search(text)]
    assert found == []


@pytest.mark.parametrize("path", TEMPLATES)
def test_what_is_asked_for_by_a_row_is_told_when_the_row_is_gone(path):
    """htmx drops an answer whose target is gone, as a row may be that the stream has redrawn: toasts stay."""
    elements = re.findall(r"<[a-z]+\b[^<]*\bhx-swap=\"none\"[^<]*", (ROOT / path).read_text())
    assert [element for element in elements if 'hx-target="#' not in element] == []
