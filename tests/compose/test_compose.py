"""What can be said about docker-compose.airflow.yml without a Docker engine."""

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
"""Workspaces of the demo, as in the names of their connections, and the services that emulate them."""
PROVIDERS = {"celery": "airflow.providers.celery", "users": "airflow.providers.fab"}
"""First part of a section or of a command, and the provider that brings it; both are in Airflow's image."""

VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?::(?P<how>[-?])(?P<text>[^}]*))?\}")
EXAMPLE_LINE = re.compile(r"^(?P<comment># )?(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)$", re.MULTILINE)
SECRET_NAME = re.compile(r"PASSWORD|SECRET|KEY|TOKEN|_AUTH$")
PASSWORD_IN_URL = re.compile(r"://[^/\s:@]*:(?P<password>.*?)@")

ASK_AIRFLOW = """
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
sys.__stdout__.write("ANSWER" + json.dumps({"errors": errors, "options": options}))
"""


class Variable(NamedTuple):
    """One use of `${NAME…}`, or of a variable that is passed on under its own name."""

    name: str
    how: str
    text: str


class AirflowAnswer(NamedTuple):
    """What the installed Airflow knows."""

    errors: dict[str, str]
    options: dict[str, list[str]]


def strings(node: Any) -> Iterator[str]:
    """All values under a node of the file, those of `x-…` included."""
    if isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)
    elif node is not None:
        yield str(node)


def variables(node: Any) -> set[Variable]:
    """The variables that Compose replaces under a node."""
    return {
        Variable(match["name"], match["how"] or "", match["text"] or "")
        for text in strings(node)
        for match in VARIABLE.finditer(text)
    }


def environment(service: str) -> dict[str, Any]:
    found: dict[str, Any] = SERVICES[service].get("environment", {})
    return found


def passed_on() -> set[str]:
    """The variables that containers get under their own name, and only when they are set."""
    return {name for service in SERVICES for name, value in environment(service).items() if value is None}


def mounts(service: str) -> dict[str, Any]:
    """Target and mount of a service's volumes, with the short form `volume:target` made long."""
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
    """The commands of a shell script, each without its `||` and what follows."""
    lines = script.replace("\\\n", " ").splitlines()
    commands = [shlex.split(line.partition("||")[0], comments=True) for line in lines]
    return [command for command in commands if command]


def airflow_commands() -> list[list[str]]:
    """Arguments of every call of `airflow`: commands of services, health checks and the init script."""
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
    """Section and option of every `AIRFLOW__SECTION__OPTION`."""
    names = {name for service in SERVICES for name in environment(service) if name.startswith("AIRFLOW__")}
    return sorted((section, option) for _, section, option in (name.lower().split("__") for name in names))


def need_provider(prefix: str) -> None:
    """Skip, and say so, when the provider is missing here that brings a section or a command."""
    provider = PROVIDERS.get(prefix)
    if provider:
        pytest.importorskip(provider, reason=f"{provider} is in Airflow's image, but not installed here")


@pytest.fixture(scope="module")
def installed_airflow(tmp_path_factory: pytest.TempPathFactory) -> AirflowAnswer:
    """What the installed Airflow says to all commands, and the options it has."""
    home = tmp_path_factory.mktemp("airflow")
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    done = subprocess.run(
        [sys.executable, "-c", ASK_AIRFLOW],
        input=json.dumps(airflow_commands()),
        env={**surroundings, "AIRFLOW_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return AirflowAnswer(**json.loads(done.stdout.rpartition("ANSWER")[2]))


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_checked_or_ends(service: str) -> None:
    """A long-running service has a health check; one without it ends, and others wait for its success."""
    check = SERVICES[service].get("healthcheck")
    if check:
        assert check["test"][0] in {"CMD", "CMD-SHELL"}
        assert {"interval", "timeout", "retries", "start_period"} <= check.keys()
    else:
        assert SERVICES[service]["restart"] == "no"
        conditions = [other.get("depends_on", {}).get(service, {}) for other in SERVICES.values()]
        assert {"condition": "service_completed_successfully"} in conditions


@pytest.mark.parametrize("service", SERVICES)
def test_every_long_running_service_comes_back(service: str) -> None:
    """Whatever is not a one-shot restarts after a crash and after a reboot of the host."""
    expected = "no" if is_one_shot(service) else "unless-stopped"
    assert SERVICES[service]["restart"] == expected


@pytest.mark.parametrize("service", SERVICES)
def test_dependencies_can_be_met(service: str) -> None:
    """A dependency exists, can reach its condition, runs without a profile and does not wait in a circle."""
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


def test_every_service_waits_for_what_it_uses() -> None:
    """The migration waits for the database, Airflow for that, Celery's two sides for the broker."""
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
    """Everything the file takes from the repository is there, and a missing folder would be an error."""
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
    """Compose knows exactly the volumes that services mount."""
    used = {
        mount["source"]
        for service in SERVICES
        for mount in mounts(service).values()
        if mount["type"] == "volume"
    }
    assert used == set(COMPOSE["volumes"])


@pytest.mark.parametrize("service", AIRFLOW_SERVICES)
def test_airflow_services_see_the_same_folders(service: str) -> None:
    """All have the DAGs and the logs."""
    found = mounts(service)
    assert found["/opt/airflow/dags"]["source"] == "./dags"
    assert found["/opt/airflow/logs"]["source"] == "logs"


def test_example_lists_exactly_the_variables_in_use() -> None:
    """Every variable of the file is in .env.example, and nothing else is."""
    assert set(example()) == {variable.name for variable in variables(COMPOSE)} | passed_on()


def test_required_variables_wait_to_be_filled_in() -> None:
    """A variable without which Compose refuses to start says what to do, and stands in .env.example empty."""
    required = {variable for variable in variables(COMPOSE) if variable.how == "?"}
    assert required
    assert all(len(variable.text) > 10 for variable in required)
    ready = {match["name"] for match in EXAMPLE_LINE.finditer(EXAMPLE) if not match["comment"]}
    assert ready == {variable.name for variable in required}


def test_example_holds_no_secret() -> None:
    """A secret's line in .env.example is empty, so copying the file gives nobody a known password."""
    values = example()
    secrets = [name for name in values if SECRET_NAME.search(name)]
    assert len(secrets) > 5
    assert {name: values[name] for name in secrets if values[name]} == {}
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_defaults_in_the_example_are_the_defaults() -> None:
    """A commented setting in .env.example shows the value that holds without it."""
    defaults = {variable.name: variable.text for variable in variables(COMPOSE) if variable.how == "-"}
    assert len(defaults) > 5
    assert {name: example()[name] for name in defaults} == defaults
    assert {variable for variable in variables(COMPOSE) if not variable.how} == set()


def test_commands_that_generate_secrets_work() -> None:
    """Every secret names a command that makes one which fits: into a URL, into JSON, or as a Fernet key."""
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
    """No password, key or token is written in the file: not as a value, not in a URL, not as an argument."""
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
    """Nothing listens on other interfaces than the loopback one, and databases of Airflow on none at all."""
    ports = SERVICES[service].get("ports", [])
    assert all(re.fullmatch(r"127\.0\.0\.1:\$\{\w+:-\d+\}:\d+", port) for port in ports)
    assert bool(ports) is (service in {"api-server", "demo-source", "demo-workspace", "demo-newsletter"})


def test_airflow_services_are_one_airflow() -> None:
    """All Airflow services run one image, and agree on every setting and secret they share."""
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
    """Database, broker and api-server are addressed by name, with the password that they ask for."""
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


def test_health_checks_ask_something_that_answers() -> None:
    """The scheduler serves the port its check asks, and a worker's check asks its own container's worker."""
    assert environment("scheduler")["AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK"] == "True"
    assert SERVICES["scheduler"]["healthcheck"]["test"][-1] == "http://localhost:8974/health"
    assert SERVICES["api-server"]["healthcheck"]["test"][-1].endswith(":8080/api/v2/monitor/health")
    assert '"celery@$${HOSTNAME}"' in SERVICES["worker"]["healthcheck"]["test"][-1]


def test_workers_can_be_scaled() -> None:
    """Nothing of the worker exists only once: no fixed name, no published port; how many is a setting."""
    worker = SERVICES["worker"]
    assert not {"container_name", "hostname", "ports"} & worker.keys()
    assert worker["deploy"]["replicas"] == "${AIRFLOW_WORKERS:-2}"
    assert worker["environment"]["DUMB_INIT_SETSID"] == "0"


def test_connections_are_optional() -> None:
    """Those of the specs reach the containers, if .env has them: empty ones would hide those of the UI."""
    folder = SpecFolder(ROOT / "dags" / "syncs")
    specs = [folder.load(path) for path in folder.paths()]
    used = {name for spec in specs for name in (spec.postgres_conn_id, spec.connection)}
    assert passed_on() == {f"AIRFLOW_CONN_{name.upper()}" for name in used}
    assert not passed_on() & {variable.name for variable in variables(COMPOSE)}


def test_the_demo_is_apart() -> None:
    """Only the profile `demo` starts demo services; they get no secret of Airflow, and require none."""
    demo = [service for service in SERVICES if is_demo(service)]
    assert demo == [service for service in SERVICES if service.startswith("demo-")]
    assert len(demo) == 3
    for service in demo:
        assert SERVICES[service]["profiles"] == ["demo"]
        names = {variable.name for variable in variables(SERVICES[service])} - {"AIRFLOW_IMAGE"}
        assert all(name.startswith("DEMO_") for name in names)
        # Compose replaces variables of profiles that are off too.
        assert all(variable.how == "-" for variable in variables(SERVICES[service]))


def test_the_demo_connections_fit_the_demo_services() -> None:
    """With the commented section of .env.example, Airflow reaches the source database and both workspaces."""
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
    """Without a key in .env a workspace does not start, and says which variable is missing."""
    flags = emulator_arguments(service)
    for name, option in {"TRACK_API_KEY": "--api-key", "APP_API_KEY": "--app-api-key"}.items():
        value = flags[flags.index(option) + 1]
        assert value == f"${{{name}:?set DEMO_{name} in .env}}"


def test_the_source_is_filled_when_it_is_created() -> None:
    """The source database runs the sample script when it starts for the first time."""
    assert mounts("demo-source")["/docker-entrypoint-initdb.d/sample.sql"]["source"] == "./local/sample.sql"


@pytest.mark.parametrize(("section", "option"), settings())
def test_settings_are_real(section: str, option: str, installed_airflow: AirflowAnswer) -> None:
    """Every AIRFLOW__SECTION__OPTION is an option of the installed Airflow, or of a provider in it."""
    if section not in installed_airflow.options:
        need_provider(section.partition("_")[0])
    assert option in installed_airflow.options.get(section, [])


@pytest.mark.parametrize("command", [" ".join(command) for command in airflow_commands()])
def test_airflow_commands_are_real(command: str, installed_airflow: AirflowAnswer) -> None:
    """Every `airflow …` of services, health checks and the init script parses with Airflow's own parser."""
    need_provider(command.partition(" ")[0])
    assert command not in installed_airflow.errors, installed_airflow.errors[command]


def test_every_airflow_service_runs_a_command() -> None:
    """The parser is asked about every component, the dag-processor's health check and all steps of init."""
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
    """A demo workspace starts with flags that the emulator has, and listens where its port is published."""
    from airflow_provider_cio.emulator.options import add_arguments

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    arguments = parser.parse_args(emulator_arguments(service))
    assert arguments.host == "0.0.0.0"  # noqa: S104 - inside the container
    assert SERVICES[service]["ports"][0].endswith(f":{arguments.port}")
    assert SERVICES[service]["healthcheck"]["test"][-1] == f"http://localhost:{arguments.port}/"


def test_the_init_script_stops_at_the_first_failure() -> None:
    """The init script is valid, and a failed migration or user keeps Airflow down; a failed pool does not."""
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
