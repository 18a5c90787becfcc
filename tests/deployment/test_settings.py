"""A setting that is wrong is one clear line, whichever command reads it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.deployments import ROOT, lay_tables, own_environment
from tests.servers import free_port


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEBUG", "perhaps"),
        ("LIVE", "maybe"),
        ("HTTPS", "2"),
        ("TIME_ZONE", "Mars"),
        ("TIME_ZONE", "Europe"),
        ("TIME_ZONE", "/etc/localtime"),
        ("LOG_LEVEL", "chatty"),
        ("DATABASE_URL", "somewhere"),
        ("REDIS_URL", "somewhere"),
        ("REDIS_URL", "redis://127.0.0.1:port/0"),
        ("REDIS_URL", "redis://127.0.0.1/0?no_such_option=1"),
        ("REDIS_URL", "redis://127.0.0.1/0?socket_timeout=soon"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite://:memory:"),
        ("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none?no_such_option=1"),
        ("CONTROLPLANE_DATA", "/proc/no/folder"),
        ("CONTROLPLANE_DATA", "~no-such-user/data"),
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


def test_a_data_folder_that_can_not_be_written_is_named() -> None:
    assert "the secret key /proc/" in refused({"CONTROLPLANE_DATA": "/proc/self"}, "runs", "list")
    with_a_key = {"CONTROLPLANE_DATA": "/proc/self/fdinfo", "SECRET_KEY": "k" * 50}
    assert refused(with_a_key, "runs", "list").startswith("error: the database ")


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "is empty"), (b"\xff\xfe", "can't decode"), (None, "Is a directory")]
)
def test_a_secret_key_that_is_none_is_named(tmp_path, content: bytes | None, said: str) -> None:
    path = tmp_path / "secret_key"
    path.mkdir() if content is None else path.write_bytes(content)
    line = refused({"CONTROLPLANE_DATA": str(tmp_path)}, "runs", "list")
    assert str(path) in line
    assert said in line


def test_a_file_that_is_no_database_is_said(tmp_path) -> None:
    (tmp_path / "sluice.sqlite3").write_text("this is no database" * 100)
    line = refused({"CONTROLPLANE_DATA": str(tmp_path)}, "runs", "list")
    assert line == "error: the database can't be used: file is not a database"


@pytest.mark.parametrize("name", ["dj_database_url", "environs", "uvicorn"])
def test_a_library_that_is_missing_is_named(tmp_path, name: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{name!r}] = None\n")
    environment = {"CONTROLPLANE_DATA": str(tmp_path / "data"), "PYTHONPATH": str(tmp_path)}
    line = refused(environment, "up", "--no-demo", "--port", str(free_port()))
    assert line == f"error: {name} is not installed; run `make up`, which installs everything"


def test_a_settings_module_that_is_not_there_is_named(tmp_path) -> None:
    environment = {"CONTROLPLANE_DATA": str(tmp_path), "DJANGO_SETTINGS_MODULE": "no_such.settings"}
    assert "DJANGO_SETTINGS_MODULE: there is no module 'no_such.settings'" in refused(environment, "runs", "list")


def test_a_link_or_a_worker_needs_the_schema(tmp_path) -> None:
    for command in ("login_link", "worker"):
        assert "run `manage.py migrate`" in refused({"CONTROLPLANE_DATA": str(tmp_path)}, command)


def test_a_worker_without_redis_says_so(tmp_path) -> None:
    environment = {"CONTROLPLANE_DATA": str(tmp_path), "REDIS_URL": "redis://127.0.0.1:1/0"}
    lay_tables(str(tmp_path))
    assert refused(environment, "worker").startswith("error: Redis did not answer: ")
    assert "--queue: 'a b' is not allowed" in refused(environment, "worker", "--queue", "a b")


def test_options_of_the_address_are_added_to_ours(tmp_path) -> None:
    address = "postgresql://nobody@127.0.0.1:1/none?options=-c%20statement_timeout%3D7&connect_timeout=3"
    show = "from django.conf import settings; print(settings.DATABASES['default']['OPTIONS'])"
    options = said(own_environment(str(tmp_path), DATABASE_URL=address), show)
    assert "lock_timeout=2000" in options
    assert "timezone=UTC -c statement_timeout=7'" in options
    assert "'connect_timeout': 3" in options


def refused(environment: dict[str, str], *command: str) -> str:
    """The one line on stderr of a command that can't do what it should."""
    done = subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env={**own_environment(""), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    return line


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
