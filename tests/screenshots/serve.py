"""`python -m tests.screenshots.serve PORT FACTS`: fills the database, then shows it as it is at one fixed moment."""

from __future__ import annotations

import json
import os
import random
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

MOMENT = datetime(2026, 11, 23, 14, 3, 20, tzinfo=UTC)


def main(port: int, facts: Path) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "controlplane.settings"
    import django

    django.setup()
    from django.core.management import call_command

    from controlplane.dashboard import login_links
    from tests.screenshots import past, scene

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    _number_what_is_born()
    names = scene.play(MOMENT)
    past.play(MOMENT)
    link = login_links.make("admin", f"http://127.0.0.1:{port}")
    names["link"] = login_links.make("ops-lead", "")
    facts.write_text(json.dumps({"login": link, "names": names}))
    _stop_the_clock()
    _serve(port)


def _number_what_is_born() -> None:
    """The same uids each time."""
    dice = random.Random(4)
    uuid.uuid4 = lambda: uuid.UUID(int=dice.getrandbits(128), version=4)  # type: ignore[assignment]


def _stop_the_clock() -> None:
    from django.utils import timezone

    timezone.now = lambda: MOMENT


def _serve(port: int) -> None:
    import uvicorn

    uvicorn.run("controlplane.asgi:application", port=port, access_log=False, log_level="warning")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
