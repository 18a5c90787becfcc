"""A setting that is wrong is one clear line, whichever command reads it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.deployments import ROOT, own_environment


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEBUG", "perhaps"),
        ("HTTPS", "2"),
        ("TIME_ZONE", "Mars"),
        ("TIME_ZONE", "Europe"),
        ("TIME_ZONE", "/etc/localtime"),
        ("LOG_LEVEL", "chatty"),
        ("DATABASE_URL", "somewhere"),
        ("REDIS_URL", "somewhere"),
        ("REDIS_URL", "redis://127.0.0.1:port/0"),
        ("CONTROLPLANE_DATA", "/proc/no/folder"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(tmp_path, name: str, value: str) -> None:
    environment = {**own_environment(str(tmp_path)), name: value}
    done = subprocess.run(
        [sys.executable, "manage.py", "runs", "list"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert name in line


@pytest.mark.parametrize(("value", "level"), [("debug", "10"), ("WARNING", "30")])
def test_a_log_level_is_read_in_either_case(tmp_path, value: str, level: str) -> None:
    show = "import logging; print(logging.getLogger().level)"
    assert said(own_environment(str(tmp_path), LOG_LEVEL=value), show) == level


def test_lists_may_have_spaces_after_their_commas(tmp_path) -> None:
    environment = own_environment(str(tmp_path), CONTROLPLANE_MODULES="", ALLOWED_HOSTS="one.example, two.example,")
    show = "from django.conf import settings; print(settings.CONTROLPLANE_MODULES, settings.ALLOWED_HOSTS)"
    assert said(environment, show) == "[] ['one.example', 'two.example']"


def said(environment: dict[str, str], code: str) -> str:
    """What a bit of code prints in a process with this environment."""
    command = [sys.executable, "manage.py", "shell", "-v", "0", "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
