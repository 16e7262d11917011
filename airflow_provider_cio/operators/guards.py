"""The guards of a run: the argument of the operator, with what the last runs and the template add to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jinja2
from jinja2 import meta

from airflow_provider_cio.engine import Guards
from airflow_provider_cio.specs.templates import undeclared_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_cio.state.last_completed import LastCompleted


def build_guards(
    guards: Mapping[str, Any] | None, last_completed: LastCompleted, *, reads_everything: bool
) -> Guards | None:
    """Return the guards of a run, or None if the operator has none.

    Args:
        guards: The argument of the operator.
        last_completed: The last run that Completed.
        reads_everything: Whether the main query reads everything, and not only changes.
    """
    if not guards:
        return None
    last = last_completed.read() if "max_growth" in guards else None
    return Guards(
        **guards, reads_everything=reads_everything, last_row_count=last.full_rows if last else None
    )


def uses_last_sync_time(template: Any, environment: jinja2.Environment) -> bool:
    """Return whether a template uses the last sync time. A template that cannot be examined counts as yes.

    Args:
        template: The text of a query, the name of a ``.sql`` file, or another value of the argument.
        environment: The environment in which the template was rendered without an error.
    """
    if not isinstance(template, str):  # a function, or the output of another task
        return True
    text = _read(template, environment) if template.endswith(".sql") else template
    return _text_uses_last_sync_time(text, environment)


def _text_uses_last_sync_time(text: str, environment: jinja2.Environment) -> bool:
    tree = environment.parse(text)
    if "last_sync_time" in undeclared_names(tree, environment):
        return True
    included = meta.find_referenced_templates(tree)  # a name is None if the template computes it
    return any(
        name is None or _text_uses_last_sync_time(_read(name, environment), environment) for name in included
    )


def _read(name: str, environment: jinja2.Environment) -> str:
    """Return the text of a file in the environment's folders."""
    if not environment.loader:
        raise jinja2.TemplateNotFound(name)
    return environment.loader.get_source(environment, name)[0]
