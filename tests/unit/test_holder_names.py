"""A holder is an opaque name; the number at its end, if there is one, tells those apart that came together."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pools.claims.kinds import Ask, Grant, number_of


@pytest.mark.parametrize(
    ("holder", "number"),
    [("op:41", 41), ("run:7", 7), ("code:web:3", 3), ("code:abc", 0), ("code:", 0), ("op:٣", 0), ("op:" + "9" * 30, 0)],
)
def test_the_number_at_the_end_of_a_name(holder, number):
    assert number_of(holder) == number
    assert Ask(holder, 0, datetime.now(UTC), []).number == number
    assert Grant(holder, 1).id == number
