"""The JSON Schema of the file and our own check agree: what one allows, the other allows."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import yaml

from runs import config
from runs.config import InvalidConfiguration
from tests.documents import BAD, GOOD, ONLY_THE_CHECK_KNOWS

SCHEMA = jsonschema.Draft7Validator(config.json_schema())


def the_check_allows(document: Any) -> bool:
    try:
        config.parse(yaml.safe_dump(document))
    except InvalidConfiguration:
        return False
    return True


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(config.json_schema())


@pytest.mark.parametrize("document", GOOD, ids=str)
def test_both_allow_what_is_good(document: Any) -> None:
    assert [error.message for error in SCHEMA.iter_errors(document)] == []
    assert the_check_allows(document)


@pytest.mark.parametrize("document", BAD, ids=str)
def test_neither_allows_what_is_bad(document: Any) -> None:
    assert not SCHEMA.is_valid(document)
    assert not the_check_allows(document)


@pytest.mark.parametrize("document", ONLY_THE_CHECK_KNOWS, ids=str)
def test_what_a_schema_can_not_say_the_check_finds(document: Any) -> None:
    assert SCHEMA.is_valid(document)
    assert not the_check_allows(document)
