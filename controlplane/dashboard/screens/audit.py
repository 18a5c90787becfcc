"""The audit: the last one, what it found, what was repaired."""

from __future__ import annotations

from controlplane.dashboard import audits
from controlplane.dashboard.screens.block import Block
from runs.audit import record


def audit(argument: str = "") -> list[Block]:
    last, stuck, others = audits.last()
    return [
        Block("audit-head", "audit/_head.html", {"audit": last, "drift": str(last.drift) if last else ""}),
        Block("stuck", "audit/_stuck.html", {"audit": last, "stuck": stuck}),
        Block("findings", "audit/_findings.html", {"found": others}),
        Block("warnings", "audit/_warnings.html", {"warnings": audits.warnings(last)}),
        Block("compared", "audit/_compared.html", {"kinds": audits.by_kind(last)}),
        Block("repairs", "audit/_repairs.html", {"repairs": record.repairs()}),
    ]
