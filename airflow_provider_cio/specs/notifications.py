"""Airflow's notifiers, by import path. Mistakes are found when a spec is read, and not when a run fails."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_cio.specs.problems import closest, cut, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import BaseNotifier

_IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII).fullmatch


def make_notifier(path: str, arguments: Mapping[str, Any]) -> BaseNotifier:
    """Create a notifier.

    The text of an error of its module or class is not repeated, because it can quote an argument.

    Args:
        path: The import path of its class, such as
            ``airflow.providers.smtp.notifications.smtp.SmtpNotifier``.
        arguments: Its arguments.

    Raises:
        ValueError: The notifier does not exist, or refuses these arguments.
    """
    notifier_class = _notifier_class(path)
    name = cut(path.rpartition(".")[2])
    try:
        problem = _argument_problem(notifier_class, arguments)
        notifier = None if problem else notifier_class(**arguments)
    except BaseException as error:  # noqa: BLE001 - a notifier can raise anything, SystemExit too
        _reraise_interrupt(error)
        raise ValueError(f"{name} refuses these arguments: {type(error).__name__}") from None
    if problem or not notifier:
        raise ValueError(f"{name} {problem}")
    return notifier


def _notifier_class(path: str) -> type[BaseNotifier]:
    from airflow.sdk import BaseNotifier  # noqa: PLC0415 - most specs have no notifier

    if not _IMPORT_PATH(path):  # not quoted, because it can be a token in the wrong position
        raise ValueError("notifier must be the import path of a class, such as package.module.Notifier")
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
        is_notifier = inspect.isclass(found) and issubclass(found, BaseNotifier)
    except BaseException as error:  # noqa: BLE001 - a module can raise anything, SystemExit too
        _reraise_interrupt(error)
        raise ValueError(f"{cut(path)} cannot be imported: {type(error).__name__}") from None
    if not is_notifier:
        raise ValueError(f"{cut(path)} is not a notifier of Airflow")
    return cast("type[BaseNotifier]", found)


def _reraise_interrupt(error: BaseException) -> None:
    """Raise the error again if it comes from outside: Ctrl+C, or the timeout of Airflow's parser."""
    from airflow.sdk.exceptions import AirflowTaskTimeout  # noqa: PLC0415 - as above

    if isinstance(error, KeyboardInterrupt | AirflowTaskTimeout):
        raise error


def _argument_problem(notifier: type[BaseNotifier], arguments: Mapping[str, Any]) -> str:
    """Return which argument is unknown or missing; empty if none is.

    An unknown argument that is similar to no other is not quoted: it can be a value in the wrong position.
    """
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
                quoted = f"no argument {name}" if closest(name, named) else "an unknown argument"
                return f"has {quoted}: {did_you_mean(name, named)}"
    missing = [
        name
        for name in named
        if parameters[name].default is inspect.Parameter.empty and name not in arguments
    ]
    return f"needs {' and '.join(missing)}" if missing else ""
