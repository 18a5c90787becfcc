"""How a pool's name stands in an address, whatever characters it has."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote


def pool_key(name: str) -> str:
    """A pool's name as one part of an address: no slash, no dot, no percent sign that a server could unquote."""
    return quote(name, safe="").replace("~", "%7E").replace(".", "%2E").replace("%", "~")


class PoolKey:
    """The converter for addresses: `/pools/<pool:name>/`."""

    regex = r"[A-Za-z0-9_~-]+"

    def to_python(self, value: str) -> str:
        """The name. Raises ValueError for what `pool_key` never writes."""
        name = unquote(value.replace("~", "%"), errors="strict")
        if pool_key(name) != value:
            raise ValueError(value)
        return name

    def to_url(self, name: str) -> str:
        return pool_key(name)


def safe_id(name: str) -> str:
    """A name as part of an element's id."""
    return re.sub(r"[^A-Za-z0-9_-]", lambda match: f"_{ord(match[0]):x}_", name)
