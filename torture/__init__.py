"""Tests of whole deployments under faults, kills and load. See docs/reliability.md for the promises.

Each scenario is a module with one function, ``run(trial) -> str``. It damages a deployment in ways that its
seed determines, and compares the result with the expected one. It returns its figures, or raises
`BrokenPromiseError`.
"""
