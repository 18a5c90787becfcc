"""docs/reference/settings.md lists every environment variable that controlplane/settings.py reads, and no other."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_lists_every_variable() -> None:
    code = (ROOT / "controlplane" / "settings.py").read_text()
    page = (ROOT / "docs" / "reference" / "settings.md").read_text().partition("\n## ")[0]
    read = set(re.findall(r"""(?:env\.\w+|_list)\("([A-Z_]+)",""", code))
    assert read
    rows = re.findall(r"^\| (`[A-Z_]+`(?:, `[A-Z_]+`)*) \|", page, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"[A-Z_]+", row)} == read


def test_the_page_says_the_defaults_of_the_engine() -> None:
    code = (ROOT / "controlplane" / "settings.py").read_text()
    page = (ROOT / "docs" / "reference" / "settings.md").read_text()
    for name in ("LEASE_SECONDS", "CANCEL_GRACE_SECONDS"):
        said = re.search(rf"^\| `{name}` \| (\d+) \|", page, re.MULTILINE)
        written = re.search(rf"^{name} = ([\d.]+)$", code, re.MULTILINE)
        assert said, name
        assert written, name
        assert float(said[1]) == float(written[1])
