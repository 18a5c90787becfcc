"""A deployment that stands still: a filled database, a web server at a fixed time, and nothing that works in it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.request import urlopen

from tests import servers
from tests.deployments import ROOT, own_environment


class Still:
    """A web server in a process of its own, with its own Redis."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="sluice-still-")
        self.redis = servers.Redis()
        port = servers.free_port()
        self.url = f"http://127.0.0.1:{port}"
        environment = own_environment(
            self.folder,
            CONTROLPLANE_MODULES="tests.screenshots.shop",
            REDIS_URL=self.redis.url,
            DATABASE_URL=f"sqlite:///{self.folder}/sluice.sqlite3",
        )
        written = Path(self.folder) / "facts.json"
        command = [sys.executable, "-m", "tests.screenshots.serve", str(port), str(written)]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            servers.wait_for(self._answers, "the web server does not answer", 60.0)
        except BaseException:
            self.stop()
            raise
        facts = json.loads(written.read_text())
        self.login_link: str = facts["login"]
        self.names: dict[str, str] = facts["names"]  # what the examples of pages are about

    def log(self) -> str:
        """The end of what the web server said."""
        return self._log.read_text()[-5000:]

    @property
    def _log(self) -> Path:
        return Path(self.folder) / "web.log"

    def _answers(self) -> bool:
        assert self.process.poll() is None, f"the web server has ended:\n{self.log()}"
        try:
            with urlopen(f"{self.url}/login/", timeout=2):
                return True
        except OSError:
            return False

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        self.redis.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
