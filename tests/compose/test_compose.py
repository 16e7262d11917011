"""Checks of docker-compose.airflow.yml that need no Docker engine."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml
from cryptography.fernet import Fernet

from airflow_provider_cio.specs import SpecFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.airflow.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EXAMPLE = (ROOT / ".env.example").read_text()
INIT_SCRIPT = ROOT / "docker" / "init.sh"

AIRFLOW_SERVICES = ["init", "api-server", "scheduler", "dag-processor", "worker"]
WORKSPACES = {"PRODUCTION": "demo-workspace", "NEWSLETTER": "demo-newsletter"}
"""Workspaces of the demo, as in their connection ids, to the services that emulate them."""
PROVIDERS = {"celery": "airflow.providers.celery", "users": "airflow.providers.fab"}
"""First part of a section or of a command to its provider. Both providers are in Airflow's image."""

VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?::(?P<how>[-?])(?P<text>[^}]*))?\}")
EXAMPLE_LINE = re.compile(r"^(?P<comment># )?(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)$", re.MULTILINE)
SECRET_NAME = re.compile(r"PASSWORD|SECRET|KEY|TOKEN|_AUTH$")
PASSWORD_IN_URL = re.compile(r"://[^/\s:@]*:(?P<password>.*?)@")

DESCRIBE_AIRFLOW = """
import contextlib, io, json, sys
from airflow.cli.cli_parser import get_parser
from airflow.configuration import conf

errors = {}
for command in json.load(sys.stdin):
    output = io.StringIO()
    with contextlib.redirect_stderr(output), contextlib.redirect_stdout(output):
        try:
            get_parser().parse_args(command)
        except SystemExit:
            errors[" ".join(command)] = output.getvalue()
options = {name: list(section["options"]) for name, section in conf.configuration_description.items()}
sys.__stdout__.write("RESULT" + json.dumps({"errors": errors, "options": options}))
"""


class Variable(NamedTuple):
    """A use of `${NAME…}`."""

    name: str
    how: str
    text: str


class InstalledAirflow(NamedTuple):
    """Errors of the installed Airflow's command parser by command, and its options by section."""

    errors: dict[str, str]
    options: dict[str, list[str]]


def strings(node: Any) -> Iterator[str]:
    """Yield all values below a node of the file."""
    if isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)
    elif node is not None:
        yield str(node)


def variables(node: Any) -> set[Variable]:
    """Return the variables that Compose replaces below a node."""
    return {
        Variable(match["name"], match["how"] or "", match["text"] or "")
        for text in strings(node)
        for match in VARIABLE.finditer(text)
    }


def environment(service: str) -> dict[str, Any]:
    found: dict[str, Any] = SERVICES[service].get("environment", {})
    return found


def passed_on() -> set[str]:
    """Return the variables that Compose passes to containers if they are set."""
    return {name for service in SERVICES for name, value in environment(service).items() if value is None}


def mounts(service: str) -> dict[str, Any]:
    """Return the mounts of a service by target, in the long form."""
    found = {}
    for volume in SERVICES[service].get("volumes", []):
        if isinstance(volume, str):
            source, target = volume.split(":")
            found[target] = {"type": "volume", "source": source, "target": target}
        else:
            found[volume["target"]] = volume
    return found


def is_one_shot(service: str) -> bool:
    return SERVICES[service].get("restart") == "no" and "healthcheck" not in SERVICES[service]


def is_demo(service: str) -> bool:
    return "profiles" in SERVICES[service]


def example() -> dict[str, str]:
    return {match["name"]: match["value"] for match in EXAMPLE_LINE.finditer(EXAMPLE)}


def script_commands(script: str) -> list[list[str]]:
    """Return the commands of a shell script, each up to its `||`."""
    lines = script.replace("\\\n", " ").splitlines()
    commands = [shlex.split(line.partition("||")[0], comments=True) for line in lines]
    return [command for command in commands if command]


def airflow_commands() -> list[list[str]]:
    """Return the arguments of every call of `airflow` in services, health checks and the init script."""
    found = [command[1:] for command in script_commands(INIT_SCRIPT.read_text()) if command[0] == "airflow"]
    for service in AIRFLOW_SERVICES:
        command = SERVICES[service]["command"]
        if isinstance(command, str):
            found.append(shlex.split(command))  # the image's entrypoint puts `airflow` before it
        check = SERVICES[service].get("healthcheck", {"test": ["NONE"]})["test"]
        if check[1:2] == ["airflow"]:
            found.append(check[2:])
    return found


def emulator_arguments(service: str) -> list[str]:
    *_, script = SERVICES[service]["entrypoint"]
    (command,) = script_commands(script.replace("$$", "$"))
    assert command[:4] == ["exec", "python", "-m", "airflow_provider_cio.emulator"]
    return command[4:]


def settings() -> list[tuple[str, str]]:
    """Return section and option of every `AIRFLOW__SECTION__OPTION`."""
    names = {name for service in SERVICES for name in environment(service) if name.startswith("AIRFLOW__")}
    return sorted((section, option) for _, section, option in (name.lower().split("__") for name in names))


def need_provider(prefix: str) -> None:
    """Skip the test if the provider of a section or command is not installed here."""
    provider = PROVIDERS.get(prefix)
    if provider:
        pytest.importorskip(provider, reason=f"{provider} is in Airflow's image, but not installed here")


@pytest.fixture(scope="module")
def installed_airflow(tmp_path_factory: pytest.TempPathFactory) -> InstalledAirflow:
    """Parse all commands with the installed Airflow, and list its options."""
    home = tmp_path_factory.mktemp("airflow")
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    done = subprocess.run(
        [sys.executable, "-c", DESCRIBE_AIRFLOW],
        input=json.dumps(airflow_commands()),
        env={**surroundings, "AIRFLOW_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return InstalledAirflow(**json.loads(done.stdout.rpartition("RESULT")[2]))


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_checked_or_ends(service: str) -> None:
    """A service has a health check, or exits and other services wait for its success."""
    check = SERVICES[service].get("healthcheck")
    if check:
        assert check["test"][0] in {"CMD", "CMD-SHELL"}
        assert {"interval", "timeout", "retries", "start_period"} <= check.keys()
    else:
        assert SERVICES[service]["restart"] == "no"
        conditions = [other.get("depends_on", {}).get(service, {}) for other in SERVICES.values()]
        assert {"condition": "service_completed_successfully"} in conditions


@pytest.mark.parametrize("service", SERVICES)
def test_long_running_services_restart(service: str) -> None:
    """Long-running services restart after a crash and after a reboot of the host."""
    expected = "no" if is_one_shot(service) else "unless-stopped"
    assert SERVICES[service]["restart"] == expected


@pytest.mark.parametrize("service", SERVICES)
def test_dependencies_can_be_met(service: str) -> None:
    """Dependencies exist, can reach their condition, need no profile, and have no circle."""
    for target, dependency in SERVICES[service].get("depends_on", {}).items():
        assert target in SERVICES
        assert not is_demo(target)
        if dependency["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[target]
        else:
            assert dependency["condition"] == "service_completed_successfully"
            assert is_one_shot(target)
    waits_for: set[str] = set()
    waiting = set(SERVICES[service].get("depends_on", {}))
    while waiting:
        target = waiting.pop()
        waits_for.add(target)
        waiting |= set(SERVICES[target].get("depends_on", {})) - waits_for
    assert service not in waits_for


def test_services_wait_for_their_dependencies() -> None:
    """The migration waits for the database, Airflow for the migration, Celery for the broker."""
    for service in AIRFLOW_SERVICES[1:]:
        assert SERVICES[service]["depends_on"]["init"] == {"condition": "service_completed_successfully"}
    for service, target in [
        ("init", "postgres"),
        ("scheduler", "redis"),
        ("worker", "redis"),
        ("worker", "api-server"),
    ]:
        assert SERVICES[service]["depends_on"][target] == {"condition": "service_healthy"}


def test_host_files_exist() -> None:
    """Mounted files of the repository exist, and a missing folder is an error."""
    for service in SERVICES.values():
        build = service.get("build")
        if build:
            assert (ROOT / build["context"] / build["dockerfile"]).is_file()
    binds = [mount for service in SERVICES for mount in mounts(service).values() if mount["type"] == "bind"]
    assert binds
    for mount in binds:
        assert (ROOT / mount["source"]).exists(), mount["source"]
        assert mount["read_only"] is True
        assert mount["bind"] == {"create_host_path": False}


def test_named_volumes_are_declared_and_used() -> None:
    """The declared volumes are those that services mount."""
    used = {
        mount["source"]
        for service in SERVICES
        for mount in mounts(service).values()
        if mount["type"] == "volume"
    }
    assert used == set(COMPOSE["volumes"])


@pytest.mark.parametrize("service", AIRFLOW_SERVICES)
def test_airflow_services_see_the_same_folders(service: str) -> None:
    """All Airflow services mount the DAGs and the logs."""
    found = mounts(service)
    assert found["/opt/airflow/dags"]["source"] == "./dags"
    assert found["/opt/airflow/logs"]["source"] == "logs"


def test_example_lists_exactly_the_variables_in_use() -> None:
    """The variables of .env.example are those of the file."""
    assert set(example()) == {variable.name for variable in variables(COMPOSE)} | passed_on()


def test_required_variables_are_empty_in_the_example() -> None:
    """A required variable is empty in .env.example, and the error of Compose names what to do."""
    required = {variable for variable in variables(COMPOSE) if variable.how == "?"}
    assert required
    assert all(len(variable.text) > 10 for variable in required)
    ready = {match["name"] for match in EXAMPLE_LINE.finditer(EXAMPLE) if not match["comment"]}
    assert ready == {variable.name for variable in required}


def test_example_holds_no_secret() -> None:
    """Secrets are empty in .env.example, so a copy of the file has no known password."""
    values = example()
    secrets = [name for name in values if SECRET_NAME.search(name)]
    assert len(secrets) > 5
    assert {name: values[name] for name in secrets if values[name]} == {}
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_defaults_in_the_example_are_the_defaults() -> None:
    """A commented setting in .env.example shows the default."""
    defaults = {variable.name: variable.text for variable in variables(COMPOSE) if variable.how == "-"}
    assert len(defaults) > 5
    assert {name: example()[name] for name in defaults} == defaults
    assert {variable for variable in variables(COMPOSE) if not variable.how} == set()


def test_commands_that_generate_secrets_work() -> None:
    """The command beside each secret generates a valid one: for a URL, for JSON, or as a Fernet key."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed here")
    for paragraph in EXAMPLE.split("\n\n"):
        secrets = [match["name"] for match in EXAMPLE_LINE.finditer(paragraph)]
        if not any(SECRET_NAME.search(name) for name in secrets):
            continue
        command = re.search(r"openssl .*", paragraph)
        assert command, paragraph
        done = subprocess.run(["bash", "-c", command[0]], capture_output=True, text=True, check=True)
        value = done.stdout.strip()
        if secrets == ["AIRFLOW_FERNET_KEY"]:
            Fernet(value)
        else:
            assert re.fullmatch(r"[0-9a-f]{32,}", value)


@pytest.mark.parametrize("service", SERVICES)
def test_secrets_come_from_the_environment(service: str) -> None:
    """The file contains no password, key or token, neither as a value nor in a URL or an argument."""
    for name, value in environment(service).items():
        if SECRET_NAME.search(name):
            match = VARIABLE.fullmatch(value)
            assert match, name
            assert match["how"] == "?" or not match["text"], name
    for text in strings(SERVICES[service]):
        for url in PASSWORD_IN_URL.finditer(text):
            assert VARIABLE.fullmatch(url["password"]), text
    command = SERVICES[service].get("command")
    arguments = command if isinstance(command, list) else shlex.split(command or "")
    for option, value in itertools.pairwise(arguments):
        if re.search("pass|key|secret|token", option) and option.startswith("--"):
            assert VARIABLE.fullmatch(value), option


@pytest.mark.parametrize("service", SERVICES)
def test_ports_are_published_on_this_machine_only(service: str) -> None:
    """Ports are published on the loopback interface only, and those of Airflow's databases not at all."""
    ports = SERVICES[service].get("ports", [])
    assert all(re.fullmatch(r"127\.0\.0\.1:\$\{\w+:-\d+\}:\d+", port) for port in ports)
    assert bool(ports) is (service in {"api-server", "demo-source", "demo-workspace", "demo-newsletter"})


def test_airflow_services_share_image_and_settings() -> None:
    """All Airflow services have the same image, and the same values of shared settings and secrets."""
    assert [service for service in SERVICES if "AIRFLOW__CORE__EXECUTOR" in environment(service)] == (
        AIRFLOW_SERVICES
    )
    for key in ("image", "build"):
        assert all(SERVICES[service][key] == SERVICES["init"][key] for service in AIRFLOW_SERVICES)
    shared = dict(COMPOSE["x-environment"])
    assert environment("init")["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    for service in AIRFLOW_SERVICES:
        assert {name: environment(service).get(name, "missing") for name in shared} == shared
        own_secrets = {name for name in environment(service).keys() - shared if SECRET_NAME.search(name)}
        assert own_secrets == ({"ADMIN_PASSWORD"} if service == "init" else set())
    for name in (
        "CORE__FERNET_KEY",
        "API__SECRET_KEY",
        "API_AUTH__JWT_SECRET",
        "DATABASE__SQL_ALCHEMY_CONN",
        "CELERY__BROKER_URL",
    ):
        assert f"AIRFLOW__{name}" in shared


def test_urls_point_at_services_and_their_passwords() -> None:
    """URLs of database, broker and api-server have the name of the service and its password."""
    database = environment("postgres")
    assert COMPOSE["x-environment"]["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == (
        f"postgresql+psycopg2://{database['POSTGRES_USER']}:{database['POSTGRES_PASSWORD']}"
        f"@postgres:5432/{database['POSTGRES_DB']}"
    )
    command = SERVICES["redis"]["command"]
    password = command[command.index("--requirepass") + 1]
    assert COMPOSE["x-environment"]["AIRFLOW__CELERY__BROKER_URL"] == f"redis://:{password}@redis:6379/0"
    assert environment("redis")["REDISCLI_AUTH"] == password
    api_server = COMPOSE["x-environment"]["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"]
    assert api_server == "http://api-server:8080/execution/"
    assert SERVICES["api-server"]["ports"][0].endswith(":8080")


def test_health_checks_reach_their_service() -> None:
    """The scheduler serves the port of its check, and the check of a worker reaches its own container."""
    assert environment("scheduler")["AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK"] == "True"
    assert SERVICES["scheduler"]["healthcheck"]["test"][-1] == "http://localhost:8974/health"
    assert SERVICES["api-server"]["healthcheck"]["test"][-1].endswith(":8080/api/v2/monitor/health")
    assert '"celery@$${HOSTNAME}"' in SERVICES["worker"]["healthcheck"]["test"][-1]


def test_workers_can_be_scaled() -> None:
    """Workers have no fixed name and no published port, and their number is a setting."""
    worker = SERVICES["worker"]
    assert not {"container_name", "hostname", "ports"} & worker.keys()
    assert worker["deploy"]["replicas"] == "${AIRFLOW_WORKERS:-2}"
    assert worker["environment"]["DUMB_INIT_SETSID"] == "0"


def test_connections_are_optional() -> None:
    """Connections reach the containers only if .env has them: empty ones would hide those of the UI."""
    folder = SpecFolder(ROOT / "dags" / "syncs")
    specs = [folder.load(path) for path in folder.paths()]
    used = {name for spec in specs for name in (spec.postgres_conn_id, spec.connection)}
    assert passed_on() == {f"AIRFLOW_CONN_{name.upper()}" for name in used}
    assert not passed_on() & {variable.name for variable in variables(COMPOSE)}


def test_the_demo_needs_its_profile() -> None:
    """Only the profile `demo` starts demo services. They get no secrets of Airflow and require none."""
    demo = [service for service in SERVICES if is_demo(service)]
    assert demo == [service for service in SERVICES if service.startswith("demo-")]
    assert len(demo) == 3
    for service in demo:
        assert SERVICES[service]["profiles"] == ["demo"]
        names = {variable.name for variable in variables(SERVICES[service])} - {"AIRFLOW_IMAGE"}
        assert all(name.startswith("DEMO_") for name in names)
        # Compose also replaces variables of inactive profiles.
        assert all(variable.how == "-" for variable in variables(SERVICES[service]))


def test_the_demo_connections_fit_the_demo_services() -> None:
    """The connections in .env.example reach the source database and both workspaces."""
    values = example()
    secrets = {"DEMO_SOURCE_PASSWORD": "one", "DEMO_TRACK_API_KEY": "two", "DEMO_APP_API_KEY": "three"}

    def connection(name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            VARIABLE.sub(lambda match: secrets[match["name"]], values[f"AIRFLOW_CONN_{name}"])
        )
        return found

    database = environment("demo-source")
    assert database["POSTGRES_PASSWORD"] == "${DEMO_SOURCE_PASSWORD:-}"
    assert connection("WAREHOUSE") == {
        "conn_type": "postgres",
        "host": "demo-source",
        "port": 5432,
        "schema": database["POSTGRES_DB"],
        "login": database["POSTGRES_USER"],
        "password": "one",
    }
    for workspace, service in WORKSPACES.items():
        assert environment(service) == {
            "TRACK_API_KEY": "${DEMO_TRACK_API_KEY:-}",
            "APP_API_KEY": "${DEMO_APP_API_KEY:-}",
        }
        arguments = emulator_arguments(service)
        flags = dict(zip(arguments[::2], arguments[1::2], strict=True))
        address = f"http://{service}:{flags['--port']}"
        assert connection(f"CUSTOMERIO_{workspace}") == {
            "conn_type": "customerio",
            "host": address,
            "login": flags["--site-id"],
            "password": "two",
            "extra": {"app_api_key": "three", "app_host": address},
        }


@pytest.mark.parametrize("service", WORKSPACES.values())
def test_the_demo_refuses_empty_keys(service: str) -> None:
    """Without a key in .env a workspace does not start, and its error names the variable."""
    flags = emulator_arguments(service)
    for name, option in {"TRACK_API_KEY": "--api-key", "APP_API_KEY": "--app-api-key"}.items():
        value = flags[flags.index(option) + 1]
        assert value == f"${{{name}:?set DEMO_{name} in .env}}"


def test_the_source_database_has_sample_data() -> None:
    """The source database runs the sample script at its first start."""
    assert mounts("demo-source")["/docker-entrypoint-initdb.d/sample.sql"]["source"] == "./local/sample.sql"


@pytest.mark.parametrize(("section", "option"), settings())
def test_settings_are_real(section: str, option: str, installed_airflow: InstalledAirflow) -> None:
    """Every AIRFLOW__SECTION__OPTION is an option of the installed Airflow or of one of its providers."""
    if section not in installed_airflow.options:
        need_provider(section.partition("_")[0])
    assert option in installed_airflow.options.get(section, [])


@pytest.mark.parametrize("command", [" ".join(command) for command in airflow_commands()])
def test_airflow_commands_are_real(command: str, installed_airflow: InstalledAirflow) -> None:
    """Airflow's own parser accepts every `airflow …` of services, health checks and the init script."""
    need_provider(command.partition(" ")[0])
    assert command not in installed_airflow.errors, installed_airflow.errors[command]


def test_every_airflow_service_runs_a_command() -> None:
    """The checked commands include every component, a health check and all steps of init."""
    commands = [command[:2] for command in airflow_commands()]
    assert sorted(commands) == [
        ["api-server"],
        ["celery", "worker"],
        ["customerio", "pools"],
        ["dag-processor"],
        ["db", "migrate"],
        ["jobs", "check"],
        ["scheduler"],
        ["users", "create"],
    ]


@pytest.mark.parametrize("service", WORKSPACES.values())
def test_the_emulator_takes_its_arguments(service: str) -> None:
    """The emulator accepts the flags of a demo workspace, and listens on the published port."""
    from airflow_provider_cio.emulator.options import add_arguments

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    arguments = parser.parse_args(emulator_arguments(service))
    assert arguments.host == "0.0.0.0"  # noqa: S104 - inside the container
    assert SERVICES[service]["ports"][0].endswith(f":{arguments.port}")
    assert SERVICES[service]["healthcheck"]["test"][-1] == f"http://localhost:{arguments.port}/"


def test_the_init_script_stops_at_the_first_failure() -> None:
    """A failed migration or user stops the init script. A failed pool does not."""
    subprocess.run(["bash", "-n", INIT_SCRIPT], check=True)
    script = INIT_SCRIPT.read_text()
    assert ["set", "-euo", "pipefail"] in script_commands(script)
    assert [line.split()[1] for line in script.replace("\\\n", " ").splitlines() if "||" in line] == [
        "customerio"
    ]
    variables_of_script = set(re.findall(r"\$\{(\w+)\}", script))
    assert variables_of_script <= environment("init").keys()
    path = SERVICES["init"]["command"][-1]
    assert path == "/opt/airflow-provider-cio/docker/init.sh"
