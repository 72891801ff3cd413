"""Are the folders of servers private, short and held by one process?"""

import os
from pathlib import Path

import pytest

from lamina.embedded.folder import InUseError, Lock, NotPrivateError, first_closed_parent, private, socket_folder
from tests.lamina.embedded.witness import parent
from tests.servers import short_directory


def test_a_link_is_no_private_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(NotPrivateError, match="is a link"):
        private(tmp_path / "link")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of another user")
def test_a_folder_of_another_user_is_no_private_folder(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 65534, -1)
    with pytest.raises(NotPrivateError, match="belongs to user 65534, not 0"):
        private(tmp_path / "theirs")


def test_an_open_folder_of_ours_is_closed(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir(mode=0o755)
    assert private(tmp_path / "ours").stat().st_mode & 0o777 == 0o700


def test_a_socket_stays_in_its_data_folder_while_that_is_short(tmp_path: Path) -> None:
    data = tmp_path / "data"
    name = "s" * (100 - len(str(data)) - 1)
    assert socket_folder(data, name) == data
    assert len(str(data / name)) == 100


def test_a_longer_one_moves_to_the_same_private_short_folder_each_time(tmp_path: Path) -> None:
    data = tmp_path / ("d" * 100)
    folder = socket_folder(data, "server.sock")
    try:
        assert len(str(folder / "server.sock")) <= 100
        assert folder == socket_folder(data, "server.sock")
        assert folder != socket_folder(tmp_path / ("e" * 100), "server.sock")
        assert folder.stat().st_mode & 0o777 == 0o700
    finally:
        folder.rmdir()
        socket_folder(tmp_path / ("e" * 100), "server.sock").rmdir()


def test_the_outermost_closed_parent_is_named() -> None:
    with short_directory() as folder:
        inner = folder / "closed" / "closed too" / "data"
        inner.parent.mkdir(parents=True)
        assert first_closed_parent(inner) is None
        inner.parent.chmod(0o700)
        (folder / "closed").chmod(0o700)
        assert first_closed_parent(inner) == folder / "closed"


def test_a_lock_is_held_once_and_names_its_holder(tmp_path: Path) -> None:
    with Lock(tmp_path / "lock") as first:
        first.acquire()
        with pytest.raises(InUseError, match=f"{tmp_path} is in use by process {os.getpid()}"):
            Lock(tmp_path / "lock").acquire()
    with Lock(tmp_path / "lock") as second:
        assert second.held
    assert not second.held


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    program = """
        import json, pathlib, signal, sys
        from lamina.embedded.folder import Lock
        lock = Lock(pathlib.Path(sys.argv[1]))
        lock.acquire()
        print(json.dumps({}), flush=True)
        signal.pause()
    """
    with parent(program, str(tmp_path / "lock")) as holder:
        with pytest.raises(InUseError, match=f"in use by process {holder.popen.pid}"):
            Lock(tmp_path / "lock").acquire()
        holder.kill()
        with Lock(tmp_path / "lock") as lock:
            assert lock.held
