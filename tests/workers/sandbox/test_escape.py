"""Can a job reach anything but its scratch? Every way out we could think of, as root's child and as nobody's."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Job, Spawned, value

pytestmark = [pytest.mark.stack, pytest.mark.alone]  # it looks for any change outside, whoever makes it

import sandbox_attempts  # noqa: E402 - found beside the driver, whose folder conftest.py put on the path
import sandbox_driver  # noqa: E402

FACTS: dict[str, Any] = {
    "secret": "", "outside": "", "folder": "", "victim": 0, "parent": 0, "worker": 0, "port": 0, "scratch": "",
    "other_scratch": "", "code": "",
}  # fmt: skip
NAMES = sorted(sandbox_attempts.attempts(FACTS))
USERS = ("this user", "nobody")


@pytest.fixture(scope="session")
def attempted(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[[str], dict[str, Any]]:
    """What became of every attempt of a user; run once for each."""
    known: dict[str, dict[str, Any]] = {}

    def of(user: str) -> dict[str, Any]:
        if user not in known:
            if user == "nobody":
                text = (
                    "import json, tempfile, pathlib, sandbox_driver\n"
                    "with tempfile.TemporaryDirectory() as folder:\n"
                    "    print(json.dumps(sandbox_driver.attempt_everything(pathlib.Path(folder))))\n"
                )
                known[user] = json.loads(request.getfixturevalue("as_nobody")(text))
            else:
                known[user] = sandbox_driver.attempt_everything(tmp_path_factory.mktemp("attempts"))
        return known[user]

    return of


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("name", NAMES)
def test_a_job_cannot(name: str, user: str, attempted: Callable[[str], dict[str, Any]]) -> None:
    assert attempted(user)["outcomes"][name].startswith("denied")


@pytest.mark.parametrize("user", USERS)
def test_after_all_attempts_nothing_outside_has_changed(user: str, attempted: Callable[[str], dict[str, Any]]) -> None:
    result = attempted(user)
    assert result["exit"] == ["completed", ""]
    assert result["victim_lives"]
    assert result["victim_nice"] == os.getpriority(os.PRIO_PROCESS, 0), "as nice as this process, which started it"
    assert result["zygote_lives"]
    assert result["outside"] == ["secret", "target"]
    assert result["target"] == ["unchanged", True, True, True]
    assert not result["shared_memory"]


@pytest.mark.parametrize("user", USERS)
def test_the_level_is_full(user: str, attempted: Callable[[str], dict[str, Any]]) -> None:
    entered = attempted(user)["entered"]
    assert (entered["level"], entered["missing"]) == ("full", [])


def test_nobody_really_was_another_user(attempted: Callable[[str], dict[str, Any]]) -> None:
    result = attempted("nobody")
    assert result["uid"] != os.getuid()
    assert result["entered"]["uid"] == result["uid"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a child another uid")
def test_the_child_of_root_has_a_uid_of_its_own(job: Job) -> None:
    _, _, scratch = job("describe")
    seen = value(scratch)
    assert 64000 <= seen["uid"] <= 64999
    assert (seen["gid"], seen["groups"]) == (seen["uid"], [])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a child another uid")
def test_two_children_at_once_have_two_uids_and_cannot_read_each_other(spawned: Spawned) -> None:
    first, own = spawned("forever")
    ready = _first_of_type(first, "ready")
    second, other = spawned(
        "read_files", paths=[f"{own}/job.json", f"/proc/{ready['pid']}/environ", f"/proc/{ready['pid']}/cwd/job.json"]
    )
    ended = second.wait(60)
    assert ended is not None
    assert ended.reason == "completed"
    assert own.stat().st_uid != (other / "results" / "value.json").stat().st_uid
    assert set(value(other).values()) == {13}
    assert own.stat().st_mode & 0o777 == 0o700


def test_the_environment_of_a_job_holds_nothing_of_the_worker(
    monkeypatch: pytest.MonkeyPatch, zygote_of_my_own: Callable[..., Any], job: Job
) -> None:
    for name in ("LAMINA_BROKER_URL", "DATABASE_URL", "AWS_SECRET_ACCESS_KEY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "s3cret")
    own = zygote_of_my_own()
    environment = Path(f"/proc/{own.pid}/environ").read_bytes()
    assert b"s3cret" not in environment
    _, _, scratch = job("describe", by=own)
    seen = value(scratch)
    assert sorted(seen["environ"]) == ["HOME", "LANG", "PATH", "TMPDIR", "USER"]
    assert "s3cret" not in json.dumps(seen)


def test_a_job_has_no_descriptor_but_its_own(job: Job) -> None:
    _, _, scratch = job("describe")
    assert len(value(scratch)["fds"]) == 5  # in, out, errors, progress, control


def test_a_job_has_no_capability_and_cannot_gain_any(job: Job) -> None:
    _, _, scratch = job("describe")
    status = dict(line.split(":\t", 1) for line in value(scratch)["status"].splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapAmb"], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_what_libraries_need_is_not_denied(job: Job) -> None:
    ended, _, _ = job("metadata")
    assert (ended.reason, ended.detail) == ("completed", "")


@pytest.mark.parametrize("do", ["x32_call", "i386_call"])
def test_a_call_of_a_foreign_instruction_set_kills(do: str, job: Job) -> None:
    ended, _, _ = job(do)
    assert (ended.reason, ended.signal) == ("crashed", signal.SIGSYS)


def _first_of_type(child: Any, kind: str) -> dict[str, Any]:
    return next(message for message in child.messages(20) if message["type"] == kind)
