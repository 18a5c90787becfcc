"""Chaos: random work and random limits on a real deployment, while its parts are killed, paused and cut off.

`python -m tests.chaos` is the door. `site` is the deployment, `load` what it has to do, `faults` what happens to it;
`ledger` and the ops' own `trace` are the witnesses, `verdict` and `report` say what came of it.
"""
