"""Keeps what ops return: a small JSON value in the database, anything else as a signed file.

A pickle can run code when it is loaded, so a file is loaded only if this deployment wrote it: its HMAC,
made with the secret key, covers the bytes and the name.
"""

from __future__ import annotations

import hmac
import json
import logging
import math
import pickle
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from runs import states
from runs.models import Op, OpOutput

log = logging.getLogger(__name__)

INLINE_BYTES = 64 * 1024


class CannotStore(Exception):
    """What an op returned can't be kept. The text says why."""


class CannotLoad(Exception):
    """A value that an op needs can't be had. The text says why."""


def pack(value: Any, name: str) -> str | None:
    """Keep a value; returns what to write as the op's output, None for None.

    `name` is used for a file, if one is needed: unique for the attempt. Raises CannotStore.
    """
    if value is None:
        return None
    if _is_json(value):
        body = json.dumps({"json": value})
        if len(body.encode()) <= INLINE_BYTES:
            return body
    try:
        data = pickle.dumps(value)
    except Exception as error:
        raise CannotStore(f"its value of type {type(value).__name__} can't be pickled: {error}") from error
    try:
        saved = storages["outputs"].save(f"{name}.pickle", ContentFile(data))
    except OSError as error:
        discard(json.dumps({"file": f"{name}.pickle"}))  # what had been written takes room, too
        raise CannotStore(f"its value can't be written: {error}") from error
    return json.dumps({"file": saved, "mac": _mac(saved, data)})


def has_file(body: str) -> bool:
    """Whether an output is a file."""
    return "file" in json.loads(body)


def discard(*bodies: str | None) -> None:
    """Remove the files of outputs that are not kept. One that can't be removed is left, and said so."""
    for body in bodies:
        name = json.loads(body).get("file") if body else None
        try:
            if name:
                storages["outputs"].delete(name)
        except OSError as error:
            log.warning("the stored value %s can't be removed: %s", name, error)


def unpack(body: str) -> Any:
    """The value behind an op's output. Raises CannotLoad: the file is gone, or is not ours."""
    stored = json.loads(body)
    if "json" in stored:
        return stored["json"]
    name = stored["file"]
    try:
        with storages["outputs"].open(name) as file:
            data = file.read()
    except OSError as error:
        raise CannotLoad(f"the stored value {name} can't be read: {error}") from error
    if not hmac.compare_digest(_mac(name, data), stored["mac"]):
        raise CannotLoad(f"the stored value {name} was not written by this deployment; it is not loaded")
    return pickle.loads(data)


def of_run(run_id: int, keys: set[str]) -> dict[str, Any]:
    """The values that these ops of a run returned. Raises CannotLoad."""
    found = dict(OpOutput.objects.filter(op__run_id=run_id, op__key__in=keys).values_list("op__key", "body"))
    if missing := keys - found.keys():  # they returned None, or were not run again
        reused = Op.objects.filter(run_id=run_id, key__in=missing, reused_from__isnull=False)
        key_of = {source: key for source, key in reused.values_list("reused_from", "key") if source}
        bodies = OpOutput.objects.filter(op_id__in=key_of).values_list("op_id", "body")
        found |= {key_of[op_id]: body for op_id, body in bodies}
    return dict.fromkeys(keys) | {key: unpack(body) for key, body in found.items()}


def last_of_asset(name: str) -> Any:
    """The value of the last success of an asset, in whichever run. Raises CannotLoad if there is none."""
    made = Op.objects.filter(asset=True, key=name, state=states.SUCCESS, reused_from=None)
    op = made.order_by("-id").first()
    if op is None:
        raise CannotLoad(f"asset {name} has no value yet and is not part of this run; launch it first")
    output = OpOutput.objects.filter(op=op).first()
    return unpack(output.body) if output else None


def _mac(name: str, data: bytes) -> str:
    key = sha256(b"sluice outputs" + settings.SECRET_KEY.encode()).digest()
    return hmac.new(key, name.encode() + b"\0" + data, sha256).hexdigest()


def _is_json(value: Any) -> bool:
    """Whether JSON gives back exactly this value: no tuples, no numbers as keys, no subclasses."""
    kind = type(value)
    if kind in (str, bool, type(None)):
        return True
    if kind is int:
        return value.bit_length() <= 10_000  # Python refuses to write much longer ones in digits
    if kind is float:
        return math.isfinite(value)
    if kind is list:
        return all(_is_json(entry) for entry in value)
    if kind is dict:
        return all(type(key) is str and _is_json(entry) for key, entry in value.items())
    return False
