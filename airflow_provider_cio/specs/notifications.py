"""Airflow's notifiers, by import path; a mistake shows when a spec is read, not when a run has failed."""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any

from airflow_provider_cio.specs.faults import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import BaseNotifier


def make_notifier(path: str, arguments: Mapping[str, Any]) -> BaseNotifier:
    """Make a notifier.

    Args:
        path: Where its class is, such as ``airflow.providers.smtp.notifications.smtp.SmtpNotifier``.
        arguments: What it is given.

    Raises:
        ValueError: There is no such notifier, or it does not take these arguments.
    """
    notifier = _notifier_class(path)
    _check_arguments(notifier, arguments)
    try:
        return notifier(**arguments)
    except Exception as error:  # noqa: BLE001 - whatever a notifier has against them
        raise ValueError(f"{notifier.__name__} refuses these arguments: {error}") from None


def _notifier_class(path: str) -> type[BaseNotifier]:
    from airflow.sdk import BaseNotifier  # noqa: PLC0415 - most specs tell nobody

    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # noqa: BLE001 - a module may fail in any way when it is imported
        raise ValueError(f"{path} cannot be imported: {error}") from None
    if not (inspect.isclass(found) and issubclass(found, BaseNotifier)):
        raise ValueError(f"{path} is no notifier of Airflow")
    return found


def _check_arguments(notifier: type[BaseNotifier], arguments: Mapping[str, Any]) -> None:
    """Name a wrong argument, and a missing one."""
    parameters = dict(inspect.signature(notifier).parameters)
    kinds = {parameter.kind for parameter in parameters.values()}
    named = [
        name
        for name, parameter in parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        for name in arguments:
            if name not in named:
                raise ValueError(f"{notifier.__name__} has no argument {name}: {did_you_mean(name, named)}")
    missing = [
        name
        for name in named
        if parameters[name].default is inspect.Parameter.empty and name not in arguments
    ]
    if missing:
        raise ValueError(f"{notifier.__name__} needs {' and '.join(missing)}")
