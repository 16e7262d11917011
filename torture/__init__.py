"""Whole deployments under load and damage: what is promised must hold whatever happens.

Each scenario is a module with one function, ``run(trial) -> str``. It damages something as its seed decides,
then compares what arrived with what should have. It returns its figures, or raises `BrokenPromiseError`.
"""
