"""One attempt of one op: start, run, verdict, complete. Knows no queue: whoever has a ticket calls it."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runs import catalog, graph, interrupts, logs, outputs, params, retry, states, transitions
from runs.context import AssetExecutionContext, OpExecutionContext
from runs.definitions import OpDefinition
from runs.patience import patiently
from runs.transitions import Attempt, Taker
from runs.verdict import TIMED_OUT, Verdict

log = logging.getLogger(__name__)

CONTEXT = ""  # no parameter has this name


@dataclass(frozen=True)
class Done:
    """What came of an attempt. No verdict: the op was interrupted or fenced.

    `following`: an op that has started in its place, and that the caller is to run: nobody else will.
    """

    verdict: Verdict | None = None
    following: Attempt | None = None


def start(op_id: int, token: int, worker_id: int | None = None) -> Attempt | None:
    """Start an admitted op in this process: a guarded write under the ticket's token. None: the ticket is stale."""
    # The guarded verbs may be called twice while the database is away: the token fences.
    return patiently(lambda: transitions.start(op_id, token, worker_id, os.getpid()))


def attempt(
    started: Attempt,
    clear: Callable[[], None] = lambda: None,
    taker: Callable[[Attempt], Taker | None] = lambda _: None,
) -> Done:
    """Run a started op to its verdict.

    `clear` ends what the op has started and left running; called before its slots are free, unless it succeeded.
    `taker` says, once it has succeeded, whether the caller would run another op in its place.

    1. Run the op's function with its inputs, while everything it says is kept.
    2. Store what it returned, and form the verdict.
    3. Complete: a guarded write under the token that it was started with.
    """
    op_id, token = started.op_id, started.token
    try:
        verdict = _run(started)
    except interrupts.Interrupted:
        clear()
        patiently(lambda: transitions.give_back(op_id, token))
        return Done()
    if verdict.state != states.SUCCESS:
        clear()
    goes_on = taker(started) if verdict.state == states.SUCCESS else None
    is_ours = patiently(lambda: transitions.complete(op_id, token, verdict, goes_on))
    following = goes_on.begun if goes_on else None
    if is_ours:
        return Done(verdict, following)
    late = f"its result came too late and was refused: {verdict.state} {verdict.error}".strip()[:500]
    log.warning("op %s: attempt %s is not ours any more; %s", op_id, started.number, late)
    patiently(lambda: transitions.note_late(op_id, started.number, late))
    outputs.discard(verdict.output)
    return Done(following=following)


def _run(started: Attempt) -> Verdict:
    """What came of the op's code. Success, only if all that it said is kept: a full disk is a reason to fail."""
    problems: list[str] = []
    with logs.capture(started, problems) as logger:
        verdict = _verdict(started, logger)
    if problems and verdict.state == states.SUCCESS:
        outputs.discard(verdict.output)
        return Verdict.failure(problems[0])
    return verdict


def _verdict(started: Attempt, logger: logging.Logger) -> Verdict:
    spec = started.plan.by_key[started.key]
    tries = started.number - started.forgiven
    try:
        definition = catalog.current().definition(started.job, spec)
        arguments = _arguments(spec, definition, started, logger)
        with interrupts.interruptible(spec.timeout):
            value = _call(definition, arguments)
            if inspect.iscoroutine(value):
                value = asyncio.run(value)
        return Verdict.success(outputs.pack(value, f"{started.run_uid}/{started.key}-{started.token}"))
    except interrupts.Interrupted:
        logger.warning("The attempt was interrupted.")
        raise
    except interrupts.TimedOut as error:
        logger.error("The attempt %s.", error)
        return Verdict.failure(str(error), retry.delay_before_next(spec.retry, tries), TIMED_OUT)
    except outputs.CannotStore as error:
        logger.error("The op ended, but %s", error)
        return Verdict.failure(str(error))
    except BaseException as error:  # whatever an op raises, SystemExit too, is its verdict
        logs.say_traceback(logger, error, __file__)
        return Verdict.failure(_in_one_line(error), retry.delay_before_next(spec.retry, tries))


def _call(definition: OpDefinition, arguments: dict[str, Any]) -> Any:
    if definition.takes_context:
        return definition.fn(arguments.pop(CONTEXT), **arguments)
    return definition.fn(**arguments)


def _arguments(
    spec: graph.OpSpec, definition: OpDefinition, started: Attempt, logger: logging.Logger
) -> dict[str, Any]:
    """The inputs by parameter, and the context under CONTEXT. Raises CannotLoad."""
    sources: set[str] = set()
    for source in spec.inputs.values():
        sources.update((source,) if isinstance(source, str) else source)
    values = outputs.of_run(started.run_id, sources) if sources else {}
    arguments: dict[str, Any] = {}
    for name, source in spec.inputs.items():
        arguments[name] = values[source] if isinstance(source, str) else [values[key] for key in source]
    for name, asset in spec.outside.items():
        arguments[name] = outputs.last_of_asset(asset)
    if definition.takes_context:
        job = catalog.current().jobs.get(started.job)
        kind = AssetExecutionContext if spec.asset else OpExecutionContext
        arguments[CONTEXT] = kind(
            run_id=started.run_uid,
            job_name=started.job,
            op_key=spec.key,
            attempt=started.number,
            idempotency_key=f"{started.run_uid}:{spec.key}",
            tags=started.tags,
            op_tags=spec.tags,
            params=params.restore(job.params if job else None, started.params),
            log=logger,
        )
    return arguments


def _in_one_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
