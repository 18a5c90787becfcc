"""A deployment whose run queue has, in a block that changes all the time, all that a reader can be busy with."""

from controlplane.settings import *  # noqa: F403
from controlplane.settings import BASE_DIR, TEMPLATES

TEMPLATES[0]["DIRS"].insert(0, BASE_DIR / "tests" / "browser" / "templates")  # type: ignore[attr-defined]
