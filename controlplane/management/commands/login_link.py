"""`manage.py login_link`: a one-time login link."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError

from controlplane.dashboard import login_links
from runs import schema
from runs.management.plain_command import PlainCommand


class Command(PlainCommand):
    help = "Print a link that signs a user in, once, within an hour."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", nargs="?", default="admin")
        parser.add_argument("--address", default="http://127.0.0.1:8000", help="where the page is reached")

    def handle(self, *args: Any, **options: Any) -> None:
        schema.require_current()
        try:
            self.stdout.write(login_links.make(options["user"], options["address"]))
        except get_user_model().DoesNotExist:
            raise CommandError(f"there is no user {options['user']!r}.") from None
