"""Does the supervisor start in order, keep its children alive, give up in time, and leave nothing behind?"""

import json
import os
import signal
import stat
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import psutil
import pytest

from lamina.embedded.devices import Device
from lamina.embedded.folder import InUseError
from lamina.embedded.process import StartError
from lamina.embedded.supervise import Backoff, GivenUpError
from lamina.embedded.variables import VARIABLES
from lamina.up import Stack, command
from service.settings import Settings
from tests.lamina.embedded.witness import left, parent, until
from tests.servers import short_directory

pytestmark = pytest.mark.stack

Commands = Callable[[str], Sequence[str]]
PROGRAM = """
    import http.server, json, os, pathlib, signal, sys, time
    role = sys.argv[1]
    home = pathlib.Path(os.environ["LAMINA_BLOBS"]).parent
    told = {name: value for name, value in os.environ.items() if name.startswith(("LAMINA_", "CUDA_"))}

    def note(what):
        with (home / "diary").open("a") as stream:
            stream.write(json.dumps([role, what, told]) + "\\n")

    def leave(number, frame):
        note(signal.Signals(number).name)
        sys.exit(0)

    for number in (signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, leave)
    note("start")
    print(role, "says its last words", flush=True)
    if (home / f"{role}-fails").exists():
        sys.exit(3)
    if role == "migrate":
        sys.exit(0)
    if role != "api":
        time.sleep(600)

    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/readyz" else 404)
            self.end_headers()
        def log_message(self, *words):
            pass

    http.server.HTTPServer((os.environ["LAMINA_HOST"], int(os.environ["LAMINA_PORT"])), Ready).serve_forever()
"""
QUICK = Backoff(first=0.01, factor=2.0, longest=0.05, restarts=3, settled=30.0)


@pytest.fixture
def fake(tmp_path: Path) -> Commands:
    """Stand-ins that write a diary; a role whose `ROLE-fails` file lies in the home ends at once with status 3."""
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    return lambda role: [sys.executable, "-I", "-S", str(program), role]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def diary(home: Path) -> list[tuple[str, str]]:
    return [(role, what) for role, what, _ in entries(home)]


def entries(home: Path) -> list[tuple[str, str, dict[str, str]]]:
    path = home / "diary"
    return [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def starts(home: Path, role: str) -> int:
    return diary(home).count((role, "start"))


def fail(home: Path, role: str) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / f"{role}-fails").touch()


def test_every_variable_it_sets_is_a_setting_of_the_service(home: Path) -> None:
    with_file = {"LAMINA_CURSOR_KEY_FILE": "LAMINA_CURSOR_KEY"}
    known = {f"LAMINA_{name.upper()}" for name in Settings.model_fields}
    assert {with_file.get(name, name) for name in VARIABLES.values()} <= known
    assert {with_file.get(f"LAMINA_{name.upper()}", f"LAMINA_{name.upper()}") for name in VARIABLES} <= known


def test_a_role_is_run_by_this_python(home: Path) -> None:
    assert command("api") == [sys.executable, "-m", "lamina", "api"]


def test_it_starts_what_others_need_first_and_stops_in_the_other_order(home: Path, fake: Commands) -> None:
    with Stack(home, workers=2, gpus=[], commands=fake) as stack:
        assert httpx.get(f"{stack.url}/readyz").status_code == 200
        assert set(stack.pids()) == {"broker", "api", "scheduler", "worker-cpu0", "worker-cpu1"}
        assert until(lambda: len(diary(home)) == 5)
        broker = psutil.Process(stack.pids()["broker"])
    told = diary(home)
    assert told[0] == ("migrate", "start")
    assert set(told[1:5]) == {("api", "start"), ("scheduler", "start"), ("worker", "start")}
    assert told[5:] == [("api", "SIGTERM"), ("worker", "SIGQUIT"), ("worker", "SIGQUIT"), ("scheduler", "SIGTERM")]
    assert left([broker]) == []
    assert stack.pids() == {}


def test_children_are_told_where_everything_is(home: Path, fake: Commands) -> None:
    gpus = [Device("0", "GPU"), Device("1", "GPU")]
    with Stack(home, workers=1, gpus=gpus, commands=fake, environment={"LAMINA_LEASE_SECONDS": "5"}) as stack:
        assert until(lambda: len(diary(home)) == 6)
        told = [environment for role, _, environment in entries(home) if role == "worker"]
        for environment in told:
            settings = Settings.from_environment(environment)
            assert settings.database_url == f"sqlite:///{home}/lamina.db"
            assert settings.broker_url == f"redis+socket://{home}/broker/valkey.sock?virtual_host=0"
            assert f"http://{settings.host}:{settings.port}" == stack.url
            assert settings.lease_seconds == 5.0
            assert len(settings.cursor_key) == 64
    placed = sorted(
        (worker["CUDA_VISIBLE_DEVICES"], worker["LAMINA_QUEUES"], worker["LAMINA_DEVICE"]) for worker in told
    )
    assert placed == [("", "cpu", "cpu"), ("0", "gpu", "cuda:0"), ("1", "gpu", "cuda:0")]


def test_secrets_and_blobs_are_closed_to_others(home: Path, fake: Commands) -> None:
    with Stack(home, gpus=[], commands=fake):
        modes = {name: stat.S_IMODE((home / name).stat().st_mode) for name in ("secrets", "blobs", "logs", "broker")}
        assert modes == dict.fromkeys(modes, 0o700)
        key = (home / "secrets" / "cursor_key").read_text()
        assert stat.S_IMODE((home / "secrets" / "cursor_key").stat().st_mode) == 0o600
    with Stack(home, gpus=[], commands=fake):
        assert (home / "secrets" / "cursor_key").read_text() == key


@pytest.mark.parametrize("name", ["broker", "api", "scheduler", "worker-cpu0"])
def test_a_killed_child_is_started_again(name: str, home: Path, fake: Commands) -> None:
    with Stack(home, gpus=[], commands=fake, backoff=QUICK) as stack:
        first = stack.pids()[name]
        os.kill(first, signal.SIGKILL)
        assert until(lambda: stack.pids().get(name, first) != first)
        stack.ready(5)
        assert stack.restarts() == {**dict.fromkeys(stack.restarts(), 0), name: 1}


def test_a_child_that_always_ends_is_given_up_with_its_last_words(home: Path, fake: Commands) -> None:
    fail(home, "scheduler")
    with Stack(home, gpus=[], commands=fake, backoff=QUICK) as stack:
        assert until(lambda: stack.failure is not None)
        assert isinstance(stack.failure, GivenUpError)
        assert "scheduler ended with status 3" in str(stack.failure)
        assert "scheduler says its last words" in str(stack.failure)
        assert starts(home, "scheduler") == 1 + QUICK.restarts
    assert stack.pids() == {}


def test_an_api_that_always_ends_is_told_by_ready_and_nothing_is_left(home: Path, fake: Commands) -> None:
    fail(home, "api")
    stack = Stack(home, gpus=[], commands=fake, backoff=QUICK)
    with pytest.raises(GivenUpError, match="api says its last words"), stack:
        pass
    assert stack.pids() == {}


def test_a_failed_migration_starts_nothing_more_and_leaves_nothing(home: Path, fake: Commands) -> None:
    fail(home, "migrate")
    stack = Stack(home, gpus=[], commands=fake)
    with pytest.raises(StartError, match=r"(?s)`migrate` ended with status 3.*migrate says its last words"), stack:
        pass
    assert stack.pids() == {}
    assert diary(home) == [("migrate", "start")]


def test_a_database_that_is_current_is_not_migrated(
    home: Path, fake: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def current(database: Path) -> bool:
        asked.append(database)
        return True

    monkeypatch.setattr("lamina.up.is_current", current)
    with Stack(home, gpus=[], commands=fake):
        assert until(lambda: len(diary(home)) == 3)
    assert asked == [home / "lamina.db"]
    assert starts(home, "migrate") == 0


def test_an_api_that_is_not_ready_in_time_is_told_with_its_last_words(home: Path, fake: Commands) -> None:
    def deaf(role: str) -> Sequence[str]:
        return [*fake(role)[:-1], "worker"] if role == "api" else fake(role)

    stack = Stack(home, gpus=[], commands=deaf)
    try:
        stack.start()
        with pytest.raises(StartError, match=r"was not ready in 0\.5 s"):
            stack.ready(0.5)
    finally:
        stack.stop()


def test_a_second_supervisor_on_the_same_home_is_refused_and_the_first_left_alone(home: Path, fake: Commands) -> None:
    with Stack(home, gpus=[], commands=fake) as first:
        with (
            pytest.raises(InUseError, match=f"{home} is in use by process {os.getpid()}"),
            Stack(home, gpus=[], commands=fake),
        ):
            pass
        first.ready(5)
        assert len(first.pids()) == 4


def test_a_late_worker_is_killed_at_the_soft_deadline(
    home: Path, fake: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lamina.up._WORKER_STOP_SECONDS", 0.2)
    late = tmp_path / "late.py"
    late.write_text(
        "import signal, time; signal.signal(signal.SIGQUIT, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )

    def commands(role: str) -> Sequence[str]:
        return [*fake(role)[:3], str(late)] if role == "worker" else fake(role)

    with Stack(home, gpus=[], commands=commands) as stack:
        assert until(lambda: (home / "logs" / "worker-cpu0.log").read_text() == "up\n")
        worker = psutil.Process(stack.pids()["worker-cpu0"])
    assert left([worker], within=0) == []


FOREVER = """
    import json, os, pathlib, sys
    from lamina.up import Stack

    home, program = pathlib.Path(sys.argv[1]), sys.argv[2]
    stack = Stack(home, workers=2, gpus=[], commands=lambda role: [sys.executable, "-I", "-S", program, role])
    said = []
    stack.run_forever(lambda stack: print(json.dumps({"url": stack.url, "said": said}), flush=True), said.append)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel does not end children")
def test_killing_the_supervisor_leaves_no_process(home: Path, fake: Commands) -> None:
    with parent(FOREVER, str(home), fake("api")[3]) as killed:
        assert len(killed.family) == 5
        killed.kill()
        assert left(killed.family) == []
    with Stack(home, gpus=[], commands=fake) as stack:  # and the home is free again
        assert len(stack.pids()) == 4


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_in_order(by: signal.Signals, home: Path, fake: Commands) -> None:
    with parent(FOREVER, str(home), fake("api")[3]) as asked:
        url = asked.said["url"]
        assert asked.said["said"] == [
            f"Lamina starts in {home}", f"API   {url}/v1", f"docs  {url}/docs", f"logs  {home}/logs",
        ]  # fmt: skip
        assert until(lambda: starts(home, "worker") == 2 and starts(home, "scheduler") == 1)
        asked.popen.send_signal(by)
        assert asked.popen.wait(60) == 0
        assert left(asked.family) == []
    assert diary(home)[-4:] == [
        ("api", "SIGTERM"), ("worker", "SIGQUIT"), ("worker", "SIGQUIT"), ("scheduler", "SIGTERM"),
    ]  # fmt: skip


def test_run_forever_ends_with_what_ended_a_child(home: Path, fake: Commands) -> None:
    before = signal.getsignal(signal.SIGTERM)
    stack = Stack(home, gpus=[], commands=fake, backoff=QUICK)
    said: list[str] = []

    def break_the_scheduler(stack: Stack) -> None:
        fail(home, "scheduler")
        os.kill(stack.pids()["scheduler"], signal.SIGKILL)

    with pytest.raises(GivenUpError, match="scheduler ended with status 3"):
        stack.run_forever(break_the_scheduler, said.append)
    assert said[-1] == "stopping"
    assert stack.pids() == {}
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_embedded_database_is_one_of_its_children(fake: Commands) -> None:
    with short_directory() as folder, Stack(folder / "home", database="embedded-pg", gpus=[], commands=fake) as stack:
        assert set(stack.pids()) == {"postgres", "broker", "api", "scheduler", "worker-cpu0"}
        url = Settings.from_environment(stack.settings()).database_url
        assert url.startswith("postgresql+psycopg://lamina@/lamina?host=")
        postgres = psutil.Process(stack.pids()["postgres"]).children(recursive=True)
    assert left(postgres) == []


def test_a_broker_of_ones_own_is_used_instead(home: Path, fake: Commands) -> None:
    with Stack(home, broker="redis://elsewhere:6379/0", gpus=[], commands=fake) as stack:
        assert set(stack.pids()) == {"api", "scheduler", "worker-cpu0"}
        assert stack.settings()["LAMINA_BROKER_URL"] == "redis://elsewhere:6379/0"


def test_what_the_operator_set_holds_unless_the_stack_was_made_with_another(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("postgresql+psycopg://other@db/other")
    monkeypatch.setenv("LAMINA_BLOBS", "s3://bucket/blobs")
    monkeypatch.setenv("LAMINA_CURSOR_KEY", "of the operator")
    monkeypatch.setenv("LAMINA_MAX_ATTEMPTS", "7")
    monkeypatch.setenv("LAMINA_DATABASE_URL_FILE", str(secret))
    monkeypatch.setenv("LAMINA_PORT", "1")
    monkeypatch.setenv("LAMINA_API_KEY", "of a client")
    told = Stack(home, port=8000, gpus=[]).settings()
    assert "LAMINA_API_KEY" not in told
    settings = Settings.from_environment(told)
    assert (settings.blobs, settings.cursor_key, settings.max_attempts) == ("s3://bucket/blobs", "of the operator", 7)
    assert (settings.database_url, settings.port) == (f"sqlite:///{home}/lamina.db", 8000)


def test_a_signal_before_the_api_is_ready_ends_it_too(home: Path, fake: Commands) -> None:
    program = """
        import json, pathlib, sys
        from lamina.up import Stack
        home, program = pathlib.Path(sys.argv[1]), sys.argv[2]
        fake = {"migrate": "migrate", "api": "worker", "scheduler": "scheduler", "worker": "worker"}
        stack = Stack(home, gpus=[], commands=lambda role: [sys.executable, "-I", "-S", program, fake[role]])
        start = stack.start
        stack.start = lambda: (start(), print(json.dumps({}), flush=True))
        stack.run_forever(say=lambda line: None)
    """
    with parent(program, str(home), fake("api")[3]) as asked:
        asked.popen.send_signal(signal.SIGTERM)
        assert asked.popen.wait(60) == 0
        assert left(asked.family) == []


def test_an_end_is_told_as_it_happens(home: Path, fake: Commands) -> None:
    said: list[str] = []

    def kill_the_scheduler(stack: Stack) -> None:
        first = stack.pids()["scheduler"]
        os.kill(first, signal.SIGKILL)
        assert until(lambda: stack.pids().get("scheduler", first) != first)
        os.kill(os.getpid(), signal.SIGTERM)

    Stack(home, gpus=[], commands=fake, backoff=QUICK).run_forever(kill_the_scheduler, said.append)
    told = [line for line in said if line.startswith("scheduler ended with signal 9")]
    assert len(told) == 1
    assert told[0].endswith("it starts again in 0.01 s")


def test_a_database_of_ones_own_is_passed_on(home: Path) -> None:
    stack = Stack(home, database="postgresql+psycopg://me@db/lamina", gpus=[])
    assert stack.settings()["LAMINA_DATABASE_URL"] == "postgresql+psycopg://me@db/lamina"


def test_importing_it_loads_nothing_heavy() -> None:
    program = """
        import json, signal, sys
        import lamina.up
        heavy = {"torch", "flask", "sqlalchemy", "celery", "numpy", "pydantic", "psycopg", "redis"}
        print(json.dumps({"heavy": sorted(heavy & set(sys.modules))}), flush=True)
        signal.pause()
    """
    with parent(program) as importer:
        assert importer.said == {"heavy": []}
