"""Runs the attempts as whoever it is run as, and says what came of them."""

import contextlib
import dataclasses
import json
import os
import platform
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

import sandbox_pickles

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


def unpickle_everything(folder):
    """Load every live pickle in one child, and one that only burns time in another; say what became of all around."""
    outside = folder / "outside"
    outside.mkdir(mode=0o777)
    outside.chmod(0o777)
    secret, target = outside / "secret", outside / "target"
    for path, text, mode in ((secret, "the broker's password", 0o666), (target, "unchanged", 0o666)):
        path.write_text(text)
        path.chmod(mode)
    before = [_status(path) for path in (secret, target, outside)]
    zygote = make_zygote()
    with contextlib.ExitStack() as stack:
        stack.callback(zygote.close)
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(str(folder / "u"))
        (folder / "u").chmod(0o777)
        unix.listen()
        udp = stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
        with contextlib.suppress(OSError):  # a machine without IPv6: then the payload can send nothing either
            udp.bind(("::1", tcp.getsockname()[1]))
        zygote.start()
        facts = {
            "secret": str(secret), "outside": str(target), "folder": str(outside), "parent": zygote.pid,
            "port": tcp.getsockname()[1], "unix": str(folder / "u"), "packages": sysconfig.get_path("purelib"),
            **sandbox_pickles.SYSTEM_CALLS[platform.machine()],
        }  # fmt: skip
        pickles = {name: text.format(**facts) for name, text in sandbox_pickles.ROWS.items()}
        ended, said = _unpickled(zygote, folder / "job", pickles)
        bomb, _ = _unpickled(zygote, folder / "bomb", {"burn time": sandbox_pickles.CPU_BOMB}, cpu_seconds=1)
        return {
            "uid": os.getuid(),
            "entered": said[0],
            "exit": [ended.reason, ended.detail],
            "bomb": [bomb.reason, bomb.cpu_seconds],
            "outcomes": json.loads((folder / "job" / "results" / "value.json").read_text()),
            "zygote_lives": zygote.pid == facts["parent"] and Path(f"/proc/{zygote.pid}").exists(),
            "left": Path(f"/proc/{zygote.pid}/task/{zygote.pid}/children").read_text().split(),
            "outside": sorted(path.name for path in outside.iterdir()),
            "unchanged": [_status(path) for path in (secret, target, outside)] == before,
            "connections": [_heard(each) for each in (tcp, unix, udp)],
            "packages": sorted(path.name for path in Path(facts["packages"]).glob("lamina_way_out*")),
        }  # fmt: skip


def _unpickled(zygote, folder, pickles, **limits):
    stage(folder, "unpickle")
    (folder / "inputs").mkdir()
    for name, program in pickles.items():
        (folder / "inputs" / name).write_bytes(sandbox_pickles.live(program))
    spec = ChildSpec(entry="sandbox_jobs:run", scratch=folder, limits=dataclasses.replace(LIMITS, **limits))
    child = zygote.spawn(spec)
    said = list(child.messages(40))
    return child.wait(60), said


def _status(path):
    found = path.stat()
    return [found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns, found.st_size, os.listxattr(path)]


def _heard(listening):
    listening.setblocking(False)
    try:
        return bool(listening.recv(1) if listening.type == socket.SOCK_DGRAM else listening.accept())
    except BlockingIOError:
        return False


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
