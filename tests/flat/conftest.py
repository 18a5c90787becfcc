"""For pages that are read here."""

from __future__ import annotations

import pytest


@pytest.fixture
def static_files(settings) -> None:
    """Plain names for static files: nothing has been collected."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
