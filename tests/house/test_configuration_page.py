"""docs/reference/configuration.md lists every key of the file, and the published schema is the one that is made."""

from __future__ import annotations

import re

from runs import config
from runs.config.shape import INSTEAD, spellings
from tests.house.code import ROOT

REFERENCE = ROOT / "docs" / "reference"


def test_the_published_schema_is_the_one_of_the_code() -> None:
    published = (REFERENCE / "controlplane.schema.json").read_text()
    assert published == config.as_json(), "run: manage.py concurrency schema > docs/reference/controlplane.schema.json"


def test_the_page_lists_every_key_in_every_spelling() -> None:
    page = (REFERENCE / "configuration.md").read_text()
    listed = set(re.findall(r"^\| `([a-z_]+\.[a-z_.]+)` \|", page, re.MULTILINE))
    assert listed == {".".join(path) for paths in spellings().values() for path in paths}


def test_what_is_written_instead_of_other_keys_exists() -> None:
    known = {".".join(path) for paths in spellings().values() for path in paths}
    for advice in INSTEAD.values():
        for path in re.findall(r"write ([a-z_.]+)\.$", advice):
            assert any(key == path or key.startswith(f"{path}.") for key in known), path
