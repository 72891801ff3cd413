"""What can a live hostile pickle do once a validator has failed? Nothing; as root's child and as nobody's."""

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.stack

import sandbox_driver  # noqa: E402 - found beside the jobs, whose folder conftest.py put on the path
import sandbox_pickles  # noqa: E402

USERS = ("this user", "nobody")
Loaded = Callable[[str], dict[str, Any]]
NOBODY = """
import json, tempfile, pathlib, sandbox_driver
with tempfile.TemporaryDirectory() as folder:
    print(json.dumps(sandbox_driver.unpickle_everything(pathlib.Path(folder))))
"""


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Loaded:
    """What became of a user's pickles and of everything around; loaded once for each."""
    known: dict[str, dict[str, Any]] = {}

    def of(user: str) -> dict[str, Any]:
        if user not in known:
            if user == "nobody":
                known[user] = json.loads(request.getfixturevalue("as_nobody")(NOBODY))
            else:
                known[user] = sandbox_driver.unpickle_everything(tmp_path_factory.mktemp("pickles"))
        return known[user]

    return of


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("row", sorted(sandbox_pickles.ROWS))
def test_a_live_pickle_cannot(row: str, user: str, loaded: Loaded) -> None:
    assert loaded(user)["outcomes"][row].startswith("denied")


@pytest.mark.parametrize("user", USERS)
def test_a_live_pickle_cannot_burn_time_without_end(user: str, loaded: Loaded) -> None:
    reason, seconds = loaded(user)["bomb"]
    assert reason == "cpu-time"
    assert seconds < 4


@pytest.mark.parametrize("user", USERS)
def test_after_all_pickles_nothing_outside_has_changed(user: str, loaded: Loaded) -> None:
    result = loaded(user)
    assert result["exit"] == ["completed", ""]
    assert (result["entered"]["level"], result["entered"]["missing"]) == ("full", [])
    assert result["outside"] == ["secret", "target"]
    assert result["unchanged"]
    assert result["connections"] == [False, False, False]
    assert result["packages"] == []
    assert result["zygote_lives"]
    assert result["left"] == []


def test_the_pickles_are_live(tmp_path: Any) -> None:
    """Outside the sandbox the same bytes do what they say."""
    import pickle

    text = sandbox_pickles.ROWS["write outside"].format(folder=str(tmp_path))
    pickle.loads(sandbox_pickles.live(text))
    assert (tmp_path / "written").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_the_two_users_are_two(loaded: Loaded) -> None:
    assert loaded("this user")["uid"] == os.geteuid() != loaded("nobody")["uid"]
