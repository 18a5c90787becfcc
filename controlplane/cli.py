"""Runs a management command and turns what a person can mend into one clear line on stderr.

A missing module, a bad setting or a database that is away or is none is the reader's to mend: it ends with exit
status 1 and one sentence. Anything else is ours and keeps its traceback.
"""

from __future__ import annotations

import os
import sys

OURS = {"controlplane", "pools", "runs"}


def main(argv: list[str]) -> int:
    """Run the command that `argv` names. Returns the exit status."""
    if bad := next((argument for argument in argv if not _is_text(argument)), None):
        return fail(f"the argument {bad!r} is not {sys.getfilesystemencoding()} text")
    try:
        return _run(argv)
    except ModuleNotFoundError as missing:
        if str(missing.name).partition(".")[0] in OURS:
            raise
        if missing.name and os.environ.get("DJANGO_SETTINGS_MODULE", "").startswith(missing.name):
            return fail(f"DJANGO_SETTINGS_MODULE: there is no module {os.environ['DJANGO_SETTINGS_MODULE']!r}")
        return fail(f"{missing.name} is not installed; run `make up`, which installs everything")


def _run(argv: list[str]) -> int:
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db.migrations.exceptions import MigrationSchemaMissing
    from django.db.utils import DatabaseError, OperationalError

    try:
        execute_from_command_line(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains once more at its end
        return 1
    except KeyboardInterrupt:
        return 130
    except ImproperlyConfigured as error:
        return fail(first_line(error))
    except OperationalError as error:
        return fail(f"the database did not answer: {first_line(error)}")
    except DatabaseError as error:
        if type(error) not in (DatabaseError, MigrationSchemaMissing):  # those are about our own statements
            raise
        return fail(f"the database can't be used: {first_line(error)}")
    return 0


def _is_text(argument: str) -> bool:
    """Whether an argument was decoded whole: bytes that were not stand in it as halves of surrogate pairs."""
    return not any("\ud800" <= character <= "\udfff" for character in argument)


def fail(sentence: str) -> int:
    """Say what is wrong in one line on stderr and return exit status 1."""
    print(f"error: {sentence}", file=sys.stderr)
    return 1


def first_line(error: BaseException) -> str:
    """The first line of an error's text; drivers add several."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
