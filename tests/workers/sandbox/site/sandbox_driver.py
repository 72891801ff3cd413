"""Runs the attempts as whoever it is run as, and says what came of them."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from workers.sandbox.client import Zygote
from workers.sandbox.spec import ChildSpec, Limits

LIMITS = Limits(
    memory_bytes=256 << 20, cpu_seconds=20, wall_seconds=40, file_bytes=1 << 20, open_files=64, processes=16
)


def stage(folder, do, **job):
    folder.mkdir(parents=True, mode=0o700)
    (folder / "job.json").write_text(json.dumps({"do": do, **job}))
    return folder


def make_zygote(**choices):
    return Zygote(**{"preload": "sandbox_preload", "entries": ("sandbox_jobs:run",), **choices})


def finish(zygote, folder, do, *, limits=LIMITS, seconds=40, **job):
    child = zygote.spawn(ChildSpec(entry="sandbox_jobs:run", scratch=stage(folder, do, **job), limits=limits))
    said = list(child.messages(seconds))
    return child.wait(seconds), said


def attempt_everything(folder):
    """Stage a secret, a victim and a listener; try every way out; say what became of each, and of them."""
    outside = folder / "outside"
    outside.mkdir(mode=0o777)
    secret, target = outside / "secret", outside / "target"
    secret.write_text("the broker's password")
    target.write_text("unchanged")
    target.chmod(0o666)
    before = target.stat()
    victim = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, start_new_session=True
    )
    zygote = make_zygote()
    with contextlib.ExitStack() as stack:
        stack.callback(victim.wait)
        stack.callback(victim.kill)
        stack.callback(zygote.close)
        stack.callback(victim.stdin.close)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        zygote.start()
        facts = {
            "secret": str(secret), "outside": str(target), "folder": str(outside), "victim": victim.pid,
            "parent": zygote.pid, "worker": os.getpid(), "port": listener.getsockname()[1],
            "scratch": str(folder / "job"), "other_scratch": str(stage(folder / "other", "nothing")),
            "code": str(Path(__file__).with_name("sandbox_jobs.py")),
        }  # fmt: skip
        ended, said = finish(zygote, folder / "job", "attempt", facts=facts)
        after = target.stat()
        return {
            "uid": os.getuid(),
            "exit": [ended.reason, ended.detail],
            "entered": said[0],
            "outcomes": json.loads((folder / "job" / "results" / "value.json").read_text()),
            "victim_lives": victim.poll() is None,
            "victim_nice": os.getpriority(os.PRIO_PROCESS, victim.pid),
            "zygote_lives": zygote.pid is not None and Path(f"/proc/{zygote.pid}").exists(),
            "outside": sorted(path.name for path in outside.iterdir()),
            "target": [target.read_text(), before.st_mode == after.st_mode, before.st_uid == after.st_uid,
                       before.st_mtime_ns == after.st_mtime_ns],
            "shared_memory": Path("/dev/shm/lamina-way-out").exists(),
        }  # fmt: skip
