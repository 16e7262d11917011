"""The commands and their arguments. Every call of ``airflow`` imports this, so it imports very little."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand, lazy_load_command

from airflow_provider_cio.emulator.options import add_arguments

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable

_DIRECTORY = Arg(("directory",), metavar="DIR", help="The folder with the specs")
_FORMAT = Arg(
    ("--format",),
    choices=("text", "json", "github"),
    default="text",
    help="The format of the result: for people, for programs, or as annotations of GitHub Actions",
)
_SHOW = Arg(("--show",), action="store_true", help="Print each spec with its defaults")
_SPECS = Arg(
    ("--specs",),
    metavar="DIR",
    help="The folder that build_dags reads, if a defaults.yaml above the folder of the spec applies",
)
_FULL_REFRESH = Arg(("--full-refresh",), action="store_true", help="Use last sync time 0")
_ROWS = Arg(("--rows",), type=int, metavar="N", default=100, help="The number of rows of each query")
_COLUMNS = Arg(
    ("--columns",), metavar="A,B", help="Show only these columns of the rows; the operations have all columns"
)
_NARROW = Arg(("--narrow",), action="store_true", help="Show each value on a line of its own")
_NO_COUNT = Arg(
    ("--no-count",), action="store_true", help="Do not count the rows, which can take as long as the query"
)
_SEND_ONE = Arg(
    ("--send-one",), type=int, metavar="ROW", help="Send this row, and show what Customer.io stores of it"
)
_SPEC = Arg(("spec",), metavar="SPEC", help="The file of the spec")
_STATUS_FORMAT = Arg(
    ("--format",), choices=("text", "json"), default="text", help="A table for people, or JSON for programs"
)
_ONLY_WORKSPACE = Arg(("--workspace",), metavar="NAME", help="Show only the syncs of this workspace")
_WORKSPACE = Arg(("workspace",), help="The name of the workspace")
_SYNC = Arg(("sync",), help="The name of the sync")


class _EmulatorArguments(Arg):
    """All flags of the emulator, from the module that defines them. Airflow sorts them by the first one."""

    def __init__(self) -> None:
        super().__init__(("--host",))  # type: ignore[no-untyped-call]

    def add_to_parser(self, parser: ArgumentParser) -> None:
        """Add the flags to a parser."""
        add_arguments(parser)


def _lazy(command: str) -> Callable[..., Any]:
    return lazy_load_command(f"airflow_provider_cio.cli.commands.{command}")


def get_customerio_cli_commands() -> list[GroupCommand]:
    """Return the command group for Airflow."""
    commands = (
        ActionCommand(
            name="validate",
            help="Check specs, and list every mistake with its file and line",
            func=_lazy("validate"),
            args=(_DIRECTORY, _FORMAT, _SHOW),
        ),
        ActionCommand(
            name="preview",
            help="Print the first rows of a spec's queries, and what would be sent or refused. Sends nothing",
            func=_lazy("preview"),
            args=(_SPEC, _SPECS, _FULL_REFRESH, _ROWS, _COLUMNS, _NARROW, _NO_COUNT, _SEND_ONE),
        ),
        ActionCommand(
            name="status",
            help="Show each sync with its last run, failing rows, last sync time and next run",
            func=_lazy("status"),
            args=(_STATUS_FORMAT, _ONLY_WORKSPACE),
        ),
        ActionCommand(
            name="pools",
            help="Create the pools that the workspaces of the specs need",
            func=_lazy("pools"),
            args=(_DIRECTORY,),
        ),
        ActionCommand(name="schema", help="Print the JSON Schema of specs", func=_lazy("schema"), args=()),
        ActionCommand(
            name="reset",
            help="Set the last sync time of a sync to 0, so that its next run sends every row",
            func=_lazy("reset"),
            args=(_WORKSPACE, _SYNC),
        ),
        ActionCommand(
            name="emulator",
            help="Run a local Customer.io workspace",
            func=_lazy("emulator"),
            args=(_EmulatorArguments(),),
        ),
    )
    return [GroupCommand(name="customerio", help="Sync Postgres with Customer.io", subcommands=commands)]
