"""Airflow's notifiers, by import path; a mistake shows when a spec is read, not when a run has failed."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_cio.specs.problems import cut, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import BaseNotifier

_IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII).fullmatch


def make_notifier(path: str, arguments: Mapping[str, Any]) -> BaseNotifier:
    """Make a notifier.

    What its module and its class say when they fail is not repeated, since it may quote an argument.

    Args:
        path: Where its class is, such as ``airflow.providers.smtp.notifications.smtp.SmtpNotifier``.
        arguments: What it is given.

    Raises:
        ValueError: There is no such notifier, or it does not take these arguments.
    """
    notifier = _notifier_class(path)
    name = cut(path.rpartition(".")[2])
    try:
        wrong = _wrong_arguments(notifier, arguments)
        made = None if wrong else notifier(**arguments)
    except BaseException as error:  # noqa: BLE001 - whatever ends it
        _let_through(error)
        raise ValueError(f"{name} refuses these arguments: {type(error).__name__}") from None
    if wrong or not made:
        raise ValueError(f"{name} {wrong}")
    return made


def _notifier_class(path: str) -> type[BaseNotifier]:
    from airflow.sdk import BaseNotifier  # noqa: PLC0415 - most specs tell nobody

    if not _IMPORT_PATH(path):  # it might be a token out of place
        raise ValueError("notifier has to be the import path of a class, such as package.module.Notifier")
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
        is_notifier = inspect.isclass(found) and issubclass(found, BaseNotifier)
    except BaseException as error:  # noqa: BLE001 - whatever ends it
        _let_through(error)
        raise ValueError(f"{cut(path)} cannot be imported: {type(error).__name__}") from None
    if not is_notifier:
        raise ValueError(f"{cut(path)} is not a notifier of Airflow")
    return cast("type[BaseNotifier]", found)


def _let_through(error: BaseException) -> None:
    """Raise what comes from outside: an interrupt, or the end of the time that Airflow gives a DAG file."""
    from airflow.sdk.exceptions import AirflowTaskTimeout  # noqa: PLC0415 - the same

    if isinstance(error, KeyboardInterrupt | AirflowTaskTimeout):
        raise error


def _wrong_arguments(notifier: type[BaseNotifier], arguments: Mapping[str, Any]) -> str:
    """Say which argument is unknown or missing; one like no known name might be a value out of place."""
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
                hint = did_you_mean(name, named)
                return (
                    f"has no argument {name}: {hint}"
                    if "mean" in hint
                    else f"has an unknown argument: {hint}"
                )
    missing = [
        name
        for name in named
        if parameters[name].default is inspect.Parameter.empty and name not in arguments
    ]
    return f"needs {' and '.join(missing)}" if missing else ""
