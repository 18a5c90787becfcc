"""Presets: launches of a job that people keep under a name. Each change is a line of the ledger, and can be undone.

A preset is kept as it was filled in, finished or not: whether it can be launched is said when it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pools import claims
from pools.limits import shown
from pools.sizing import DELETED, Author, Conflict, first_version, latest_change, record
from runs import params
from runs.kept import Preset

FIELD = "preset"  # the ledger's name for what a preset holds
LONGEST_NAME = 60


class InvalidPreset(ValueError):
    """A name or a content that can't be kept. The text says why, and what is allowed."""


class NoSuchPreset(LookupError):
    """No job has this preset."""


def of_job(job: str) -> list[Preset]:
    """The presets of a job, by name."""
    return list(Preset.objects.filter(job=job).order_by("name"))


def find(job: str, preset_id: int) -> Preset:
    """A preset of a job. Raises NoSuchPreset."""
    found = Preset.objects.filter(job=job, pk=preset_id).first()
    if found is None:
        raise NoSuchPreset("There is no such preset: it may have been deleted.")
    return found


def add(job: str, name: str, document: Mapping[str, Any], author: Author) -> Preset:
    """Keep a launch under a new name. Raises InvalidPreset, also for a name that is taken."""
    name = name.strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise InvalidPreset(f"{shown(name)} is not allowed: use a name of 1 to {LONGEST_NAME} characters.")
    _check(document)
    with claims.desk() as desk:
        taken = Preset.objects.filter(job=job, name=name).first()
        if taken is not None:
            raise InvalidPreset(f"There is a preset {name} already, by {taken.saved_by}: choose another name.")
        preset = Preset.objects.create(
            job=job,
            name=name,
            document=dict(document),
            saved_by=author.who[:150],
            saved_at=desk.now,
            version=first_version(),
        )
        record(desk, author, subject(preset), FIELD, "", "saved", _detail(preset))
    return preset


def change(preset: Preset, document: Mapping[str, Any], author: Author, version: int | None = None) -> Preset:
    """Keep something else under the same name. Raises InvalidPreset, NoSuchPreset; Conflict when `version` is given
    and another change came between.
    """
    _check(document)
    with claims.desk() as desk:
        was = find(preset.job, preset.pk)
        if version is not None and was.version != version:
            raise Conflict(subject(was), was.version, "saved", latest_change(subject(was), FIELD))
        Preset.objects.filter(pk=was.pk, version=was.version).update(
            document=dict(document), saved_by=author.who[:150], saved_at=desk.now, version=was.version + 1
        )
        record(desk, author, subject(was), FIELD, "saved", "changed", _detail(was))
    preset.refresh_from_db()
    return preset


def delete(preset: Preset, author: Author) -> None:
    """Forget a preset. Raises NoSuchPreset."""
    with claims.desk() as desk:
        was = find(preset.job, preset.pk)
        record(desk, author, subject(was), DELETED, "saved", "", _detail(was))
        Preset.objects.filter(pk=was.pk, version=was.version).delete()


def subject(preset: Preset) -> str:
    """A preset's name in the ledger."""
    return f"preset:{preset.job}: {preset.name}"


def named(job: str, name: str) -> Preset | None:
    """The preset that a line of the ledger is about, None if it is not there."""
    return Preset.objects.filter(job=job, name=name).first()


def _detail(was: Preset) -> dict[str, Any]:
    """What an undo needs: what the preset held before, or, of a new one, which it is."""
    return {"job": was.job, "name": was.name, "document": was.document}


def _check(document: Mapping[str, Any]) -> None:
    if wrong := params.why_not_kept(dict(document)):
        raise InvalidPreset(f"It can't be kept: {wrong}.")
