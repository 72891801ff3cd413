"""The deployment files say what the code does: their commands and settings exist, and the API image holds no torch."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from lamina.cli import app
from service.settings import ELSEWHERE, PREFIX, Settings

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
COMMANDS = set(get_command(app).commands)  # type: ignore[attr-defined]  # the app is a group


def stages() -> dict[str, list[str]]:
    """Instructions of each stage of the Dockerfile, by the stage's name; a line that ends in \\ goes on."""
    found: dict[str, list[str]] = {}
    for line in re.sub(r"\\\n", " ", DOCKERFILE).splitlines():
        if start := re.match(r"FROM \S+ AS (\S+)", line):
            found[start[1]] = [line]
        elif found and line.strip() and not line.startswith("#"):
            found[list(found)[-1]].append(" ".join(line.split()))
    return found


def ancestry(stage: str) -> list[str]:
    """Instructions of a stage and of the stages it starts from or copies from."""
    lines = stages()[stage]
    for line in lines:
        for other in re.findall(r"(?:FROM |--from=)(\S+)", line):
            if other in stages():
                lines = [*lines, *ancestry(other)]
    return lines


def known(variable: str) -> bool:
    name = variable.removeprefix(PREFIX).lower()
    return variable in ELSEWHERE or name in Settings.model_fields or name.removesuffix("_file") in Settings.model_fields


def test_every_service_of_the_design_is_there() -> None:
    assert set(SERVICES) == {
        "postgres", "valkey", "migrate", "api", "scheduler", "worker-cpu", "worker-gpu",
    }  # fmt: skip
    assert SERVICES["postgres"]["image"].endswith("postgres:18}")
    assert SERVICES["valkey"]["image"].endswith("valkey:9}")


@pytest.mark.parametrize("name", OURS)
def test_a_service_runs_a_command_that_exists(name: str) -> None:
    [command] = OURS[name]["command"]
    assert command in COMMANDS


@pytest.mark.parametrize("name", OURS)
def test_a_service_sets_only_settings_that_exist(name: str) -> None:
    variables = [variable for variable in OURS[name]["environment"] if variable.startswith(PREFIX)]
    assert variables
    assert [variable for variable in variables if not known(variable)] == []


@pytest.mark.parametrize("name", OURS)
def test_the_settings_of_a_service_are_accepted(name: str, tmp_path: Path) -> None:
    """Its literal values, with files in the place of secrets and defaults in the place of compose's variables."""
    environment = {}
    for variable, value in OURS[name]["environment"].items():
        environment[variable] = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))
        if variable.endswith("_FILE"):
            secret = tmp_path / Path(value).name
            secret.write_text("x" * 32)
            environment[variable] = str(secret)
    Settings.from_environment(environment)


def test_the_images_set_only_settings_that_exist() -> None:
    variables = re.findall(r"\bLAMINA_\w+", DOCKERFILE)
    assert variables
    assert [variable for variable in variables if not known(variable)] == []


@pytest.mark.parametrize("name", OURS)
def test_a_service_builds_a_target_that_runs_the_same_command_or_another_of_its_image(name: str) -> None:
    target = OURS[name]["build"]["target"]
    assert target in stages()
    assert target == ("worker" if name.startswith("worker") else "api")


@pytest.mark.parametrize("target", ["api", "worker"])
def test_an_image_starts_a_command_that_exists_and_is_not_root(target: str) -> None:
    lines = ancestry(target)
    assert 'ENTRYPOINT ["lamina"]' in lines
    [command] = re.findall(r'CMD \["(\w+)"\]', "\n".join(stages()[target]))
    assert command in COMMANDS
    assert "USER lamina" in lines
    assert "USER root" not in lines


def test_the_api_image_installs_no_worker_extra() -> None:
    installs = [line for line in ancestry("api") if "pip install" in line]
    assert installs == ["RUN /opt/lamina/bin/pip install --constraint constraints.txt '.[api]'"]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    heavy = ("torch", "captum", "numpy", "lime", "lamina[worker]", "lamina[all]")
    assert [name for name in extras["api"] if name.startswith(heavy)] == []


@pytest.mark.parametrize("target", ["api", "worker"])
def test_every_install_is_pinned(target: str) -> None:
    installs = [line for line in ancestry(target) if "pip install" in line]
    assert installs
    assert all("--constraint constraints.txt" in line for line in installs)


def test_the_base_image_can_be_pinned_by_digest() -> None:
    assert DOCKERFILE.count("ARG PYTHON=python:3.11-slim") == 1
    bases = {line.split()[1] for lines in stages().values() for line in lines if line.startswith("FROM")}
    assert bases - set(stages()) == {"${PYTHON}"}


def test_an_image_has_every_package_that_the_wheel_ships() -> None:
    include = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    packages = {pattern.rstrip("*") for pattern in include}
    copied = {line.split()[1] for line in stages()["source"] if line.startswith("COPY")}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert packages <= copied
    assert {f"!{package}" for package in packages} <= set(ignored)


def test_the_worker_is_stopped_by_the_signal_on_which_it_puts_its_work_back() -> None:
    assert "STOPSIGNAL SIGQUIT" in stages()["worker"]
    for name in ("worker-cpu", "worker-gpu"):
        assert SERVICES[name]["stop_grace_period"] == "60s"


@pytest.mark.parametrize("name", ["api", "scheduler", "worker-cpu", "worker-gpu"])
def test_nothing_starts_before_the_database_is_migrated(name: str) -> None:
    assert SERVICES[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert SERVICES["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert SERVICES["migrate"]["restart"] == "no"


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_confined(name: str) -> None:
    service = OURS[name]
    assert service["init"] is True
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_broker_has_a_password_forgets_nothing_and_keeps_what_it_holds() -> None:
    script = SERVICES["valkey"]["command"][-1]
    assert "requirepass $$(cat /run/secrets/valkey_password)" in script
    assert "--appendonly yes" in script
    assert "--maxmemory-policy noeviction" in script


def test_no_secret_stands_in_a_file_or_in_an_environment() -> None:
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            secret = re.search(r"PASSWORD|SECRET|KEY|DATABASE_URL|BROKER_URL", variable)
            assert secret is None or str(value).startswith("/run/secrets/"), variable
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
    assert all(secret["file"].startswith("./secrets/") for secret in COMPOSE["secrets"].values())
    assert not (ROOT / "secrets").exists() or "secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_key_that_signs_is_held_by_those_who_sign_alone() -> None:
    holders = {name for name, service in SERVICES.items() if "signing_key" in service.get("secrets", ())}
    assert holders == {"api", "scheduler"}
    assert holders == {name for name, one in OURS.items() if "LAMINA_SIGNING_KEY_FILE" in one["environment"]}


def test_only_the_profile_gpu_asks_for_a_device() -> None:
    with_devices = {name for name, service in SERVICES.items() if "deploy" in service}
    assert with_devices == {"worker-gpu"}
    assert SERVICES["worker-gpu"]["profiles"] == ["gpu"]
    [device] = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
    assert device["capabilities"] == ["gpu"]


def test_the_page_says_that_no_engine_ran_these_files_and_names_every_secret() -> None:
    page = (ROOT / "docs" / "deployment.md").read_text()
    assert "not run: no engine here" in page
    for secret in COMPOSE["secrets"]:
        assert secret in page
    for variable in re.findall(r"\bLAMINA_[A-Z_]+", page):
        assert known(variable), variable
