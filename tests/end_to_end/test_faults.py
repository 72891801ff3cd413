"""Whatever dies, every accepted audit ends with exactly one outcome per analysis, and no process is left."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select

from lamina.client import Client
from lamina.operator import opened
from lamina.up import Stack
from service.contracts.api import AnalysisSubmission, AuditSubmission, AuditView, InputSubmission
from service.contracts.status import AuditState
from service.store.system import system_session
from service.store.tables import Analysis, Event
from tests.end_to_end.material import PATIENCE, Registered, network, register
from tests.stacks import QUICK, Running, processes_of

pytestmark = [pytest.mark.stack, pytest.mark.slow]
SLOW_RUN = {"steps": 160, "verify": 0}  # seconds on the network below
QUICK_RUN = {"steps": 8, "verify": 0}


def until(true: Callable[[], object], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def slow_inputs(client: Client, folder: Path, name: str = "slow") -> Registered:
    return register(client, folder, name, network(width=512, depth=6), examples=200)


def ask(client: Client, ids: Registered, *runs: dict[str, int]) -> AuditView:
    return client.submit(
        AuditSubmission(
            title="fault",
            model=ids.model,
            inputs={"evaluation": InputSubmission(dataset=ids.dataset)},
            analyses=tuple(AnalysisSubmission(kind="layer_conductance", parameters=dict(run)) for run in runs),
        )
    )


def started(client: Client, audit: AuditView) -> Callable[[], bool]:
    return lambda: any(one.state == "running" and one.progress > 0 for one in client.audit(audit.id).analyses)


def descendants(running: Running, role: str) -> list[psutil.Process]:
    """Processes of the worker, by what they are: its zygote, or the children of its zygote."""
    [pid] = [pid for name, pid in running.stack.pids().items() if name.startswith("worker")]
    below = psutil.Process(pid).children(recursive=True)
    zygotes = [one for one in below if "workers.sandbox.zygote" in " ".join(one.cmdline())]
    parents = {one.pid for one in zygotes if one.ppid() not in {other.pid for other in zygotes}}
    if role == "zygote":
        return [one for one in zygotes if one.pid in parents]
    return [one for one in zygotes if one.pid not in parents]


def one_outcome_each(running: Running, audit: AuditView) -> None:
    """From the database itself: one terminal event for each analysis's work."""
    with opened(running.stack.settings()["LAMINA_DATABASE_URL"]) as database, system_session(database) as session:
        analyses = session.scalars(select(Analysis.id).where(Analysis.audit_id == audit.id)).all()
        for analysis in analyses:
            ended = select(func.count()).where(
                Event.subject_id == analysis, Event.after.in_(["succeeded", "failed", "cancelled"])
            )
            assert session.scalar(ended) == 1


def test_a_killed_child_is_tried_again(fragile: Running, tmp_path: Path) -> None:
    with fragile.client() as client:
        ids = slow_inputs(client, tmp_path)
        audit = ask(client, ids, SLOW_RUN)
        until(started(client, audit))
        for child in descendants(fragile, "child"):
            child.send_signal(signal.SIGKILL)
        done = client.wait(audit.id, deadline=PATIENCE)
    assert done.counts == {"succeeded": 1}
    assert done.analyses[0].attempt >= 2
    one_outcome_each(fragile, done)


def test_a_killed_worker_is_replaced_and_its_lease_runs_out(fragile: Running, tmp_path: Path) -> None:
    with fragile.client() as client:
        ids = slow_inputs(client, tmp_path)
        audit = ask(client, ids, SLOW_RUN)
        until(started(client, audit))
        [pid] = [pid for name, pid in fragile.stack.pids().items() if name.startswith("worker")]
        doomed = psutil.Process(pid).children(recursive=True)
        os.kill(pid, signal.SIGKILL)
        done = client.wait(audit.id, deadline=PATIENCE)
    assert done.counts == {"succeeded": 1}
    assert not [one for one in doomed if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    one_outcome_each(fragile, done)


def test_a_dead_broker_loses_nothing(fragile: Running, tmp_path: Path) -> None:
    with fragile.client() as client:
        ids = slow_inputs(client, tmp_path)
        first = ask(client, ids, SLOW_RUN)
        until(started(client, first))
        os.kill(fragile.stack.pids()["broker"], signal.SIGKILL)
        second = ask(client, ids, QUICK_RUN)
        assert second.state is AuditState.QUEUED
        assert client.wait(first.id, deadline=PATIENCE).counts == {"succeeded": 1}
        assert client.wait(second.id, deadline=PATIENCE).counts == {"succeeded": 1}
        one_outcome_each(fragile, first)
        one_outcome_each(fragile, second)


def test_cancelling_while_queued_and_while_running(fragile: Running, tmp_path: Path) -> None:
    with fragile.client() as client:
        ids = slow_inputs(client, tmp_path)
        running = ask(client, ids, SLOW_RUN)
        until(started(client, running))
        queued = ask(client, ids, SLOW_RUN)
        client.cancel(queued.id)
        client.cancel(running.id)
        for audit in (queued, running):
            done = client.wait(audit.id, deadline=PATIENCE)
            assert done.state is AuditState.CANCELLED
            assert done.counts == {"cancelled": 1}
            one_outcome_each(fragile, done)
        until(lambda: not descendants(fragile, "child"))


def test_a_group_survives_the_death_of_its_child(fragile: Running, tmp_path: Path) -> None:
    with fragile.client() as client:
        ids = slow_inputs(client, tmp_path)
        audit = ask(client, ids, SLOW_RUN, {**SLOW_RUN, "steps": 150})
        until(started(client, audit))
        for child in descendants(fragile, "child"):
            child.send_signal(signal.SIGKILL)
        done = client.wait(audit.id, deadline=PATIENCE)
    assert done.counts == {"succeeded": 2}
    one_outcome_each(fragile, done)


def test_work_that_was_running_when_everything_stopped_is_done_after_the_next_start(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Stack(home, gpus=[], environment=QUICK) as stack:
        running = Running(stack)
        with running.client() as client:
            audit = ask(client, slow_inputs(client, tmp_path), SLOW_RUN)
            until(started(client, audit))
    assert processes_of(home) == []
    with Stack(home, gpus=[], environment=QUICK) as stack, Client(stack.url, running.key) as client:
        done = client.wait(audit.id, deadline=PATIENCE)
        assert done.counts == {"succeeded": 1}
        running.stack = stack
        one_outcome_each(running, done)


def test_a_killed_supervisor_leaves_no_process(tmp_path: Path) -> None:
    home = tmp_path / "home"
    code = (
        "import sys, time; from pathlib import Path; from lamina.up import Stack\n"
        "with Stack(Path(sys.argv[1]), workers=1, gpus=[]) as stack:\n"
        "    print('up', flush=True)\n"
        "    time.sleep(120)\n"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", code, str(home)], stdout=subprocess.PIPE, text=True)
    try:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline().strip() == "up"
        assert len(processes_of(home)) > 3
    finally:
        supervisor.kill()
        supervisor.wait()
        supervisor.stdout.close() if supervisor.stdout else None
    until(lambda: not processes_of(home), 15)
