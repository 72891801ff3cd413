"""Entries the sandbox tests run inside: one `do` per behaviour."""

# The system calls themselves are what is tried, by their names.
# ruff: noqa: PTH102, PTH109, PTH123

import ctypes
import json
import mmap
import os
import pickle
import signal
import sys
import threading
import time
from pathlib import Path

import sandbox_attempts
import sandbox_preload


def run(scratch, line):
    job = json.loads((scratch / "job.json").read_text())
    globals()[job.pop("do")](scratch, line, **job)


def other(scratch, line):
    write(scratch, "other")


def write(scratch, value, name="value.json"):
    (scratch / "results" / name).write_text(json.dumps(value))


def nothing(scratch, line):
    pass


def chat(scratch, line):
    sys.stdout.write("to whom it may concern\n")


def describe(scratch, line):
    write(scratch, {
        "pid": os.getpid(), "uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(),
        "environ": dict(os.environ),
        "block": _own_environment_block(), "cwd": os.getcwd(), "sid": os.getsid(0), "threads": line.threads,
        "device": line.device, "fds": _open_fds(), "umask": os.umask(0),
        "status": Path("/proc/self/status").read_text(),
    })  # fmt: skip
    line.say({"type": "hello", "text": "from inside"})


def _own_environment_block():
    """The memory the kernel filled at exec time, which os.environ.clear() does not touch."""
    block = ctypes.CDLL(None)
    environ = ctypes.POINTER(ctypes.c_char_p).in_dll(block, "environ")
    entries, index = [], 0
    while environ[index]:
        entries.append(environ[index].decode())
        index += 1
    return entries


def _open_fds():
    """By asking for each, since a non-dumpable process of another uid cannot list its own folder in /proc."""
    found = []
    for fd in range(4096):
        try:
            os.fstat(fd)
        except OSError:
            continue
        found.append(fd)
    return found


def attempt(scratch, line, facts):
    outcomes = {}
    for name, way_out in sandbox_attempts.attempts(facts).items():
        try:
            way_out()
        except OSError as error:
            outcomes[name] = f"denied {error.errno}"
        except BaseException as error:
            outcomes[name] = f"odd {type(error).__name__}: {error}"
        else:
            outcomes[name] = "succeeded"
    write(scratch, outcomes)


def unpickle(scratch, line):
    """Load every pickle of the inputs, as code without any validator would."""
    outcomes = {}
    for path in sorted((scratch / "inputs").iterdir()):
        try:
            pickle.loads(path.read_bytes())
        except (OSError, MemoryError, RuntimeError) as error:
            outcomes[path.name] = f"denied {getattr(error, 'errno', None) or error}"
        except BaseException as error:
            outcomes[path.name] = f"odd {type(error).__name__}: {error}"
        else:
            outcomes[path.name] = "succeeded"
    write(scratch, outcomes)


def modules(scratch, line):
    import colorsys  # noqa: F401 - not preloaded on purpose; fails where the interpreter cannot be reached


def grow(scratch, line):
    line.progress(0.5, "half")
    write(scratch, [len(sandbox_preload.at_fork), sorted(set(sys.modules) - sandbox_preload.at_fork)])


def progress(scratch, line, count):
    for step in range(count):
        line.progress((step + 1) / count, "counting", step=step)


def cancellable(scratch, line):
    line.say({"type": "ready"})
    while not line.cancelled():
        time.sleep(0.005)
    line.say({"type": "stopping"})


def forever(scratch, line):
    line.say({"type": "ready", "pid": os.getpid()})
    while True:
        time.sleep(60)


def spin(scratch, line):
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    while True:
        pass


def spin_stubbornly(scratch, line):
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    while True:
        pass


def allocate(scratch, line, size):
    kept = bytearray(size)
    write(scratch, len(kept))


def swell(scratch, line, size):
    """Touch memory step by step."""
    block = mmap.mmap(-1, size)
    for offset in range(0, size, mmap.PAGESIZE):
        block[offset] = 1
    line.say({"type": "full"})
    time.sleep(60)


def swell_behind_a_dead_thread(scratch, line, size):
    """End the first thread, so that the process looks dead, and go on in another."""
    threading.Thread(target=swell, args=(scratch, line, size)).start()
    sandbox_attempts.call(60, 0)


def big_file(scratch, line, size):
    with (scratch / "results" / "big").open("wb") as file:
        file.truncate(size)


def many_files(scratch, line, count):
    kept = []
    try:
        while len(kept) < count:
            kept += [os.open("job.json", os.O_RDONLY)]
    except OSError as error:
        os.close(kept.pop())  # writing the answer takes one
        write(scratch, [len(kept) + 1, error.errno])


def many_threads(scratch, line, count):
    stop, started = threading.Event(), 0
    try:
        for _ in range(count):
            threading.Thread(target=stop.wait, daemon=True).start()
            started += 1
    except RuntimeError:
        write(scratch, started)


def hoard(scratch, line, what):
    kept = []
    while True:
        if what == "descriptors":
            kept.append(os.open("job.json", os.O_RDONLY))
        else:
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()


def small_files(scratch, line, count):
    for index in range(count):
        os.close(os.open(f"results/{index}", os.O_CREAT | os.O_WRONLY, 0o600))


def fill(scratch, line, each):
    for index in range(10_000):
        (scratch / "results" / f"{index}").write_bytes(bytes(each))


def sparse(scratch, line, count):
    for index in range(count):
        with (scratch / "results" / f"{index}").open("wb") as file:
            file.truncate(1 << 20)
    time.sleep(0.5)


def hide_files(scratch, line):
    """In a folder that its owner may fill but not list; as root's child the zygote can look all the same."""
    os.mkdir("results/hidden", 0o300)
    for index in range(1_000_000):
        os.close(os.open(f"results/hidden/{index}", os.O_CREAT | os.O_WRONLY, 0o600))


def fork_bomb(scratch, line, count):
    """Daemons that leave the group; what is left of them after the job shall be nothing."""
    pids = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            os.setsid()
            if os.fork() == 0:
                os.setsid()
                time.sleep(300)
            time.sleep(300)
        pids.append(pid)
    line.say({"type": "forked", "pids": pids})


def orphan_and_wait(scratch, line):
    fork_bomb(scratch, line, 2)
    time.sleep(300)


def fail(scratch, line):
    raise ValueError("the third layer is empty")


def leave(scratch, line, code):
    os._exit(code)


def crash(scratch, line):
    ctypes.string_at(0)


def abort(scratch, line):
    os.abort()


def write_raw(scratch, line, text, times=1):
    for _ in range(times):
        os.write(line._progress_fd, text.encode())
    time.sleep(30)


def x32_call(scratch, line):
    sandbox_attempts.libc.syscall(ctypes.c_long(0x40000000 | 39))


def i386_call(scratch, line):
    """int 0x80 with eax = 20 (getpid of i386)."""
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()


def close_the_line(scratch, line):
    os.close(line._progress_fd)
    time.sleep(60)


def stop_itself(scratch, line):
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(60)


def talk_to_itself(scratch, line):
    while True:
        os.write(1, b"x" * 65536)


def live_on_in_a_thread(scratch, line):
    """The first thread ends with the call `exit`; the other burns time and hears no signal but the last."""
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))

    def burn():
        while True:
            pass

    threading.Thread(target=burn).start()
    sandbox_attempts.call(60, 0)


def swell_under_a_false_name(scratch, line, size):
    """/proc shows a name on a line of its own; one that looks like a size must not be taken for one."""
    sandbox_attempts.libc.prctl(15, b"x\nRssAnon:\t0 k", 0, 0, 0)
    swell(scratch, line, size)


def answer_and_stay(scratch, line):
    (scratch / "results" / "a").mkdir()
    line.say({"type": "result", "member": "a", "status": "succeeded"})
    time.sleep(60)


def answer_and_crash(scratch, line):
    line.say({"type": "result", "member": "a", "status": "succeeded"})
    os.kill(os.getpid(), signal.SIGKILL)


def churn(scratch, line, seconds):
    """Many entries that come as fast as they can be made, while the zygote counts them."""
    end = time.monotonic() + seconds
    index = 0
    while time.monotonic() < end and index < 9000:
        os.mkdir(f"results/{index}")
        index += 1
    line.say({"type": "made", "count": index})


def leave_a_mess(scratch, line):
    folder = "results"
    for _ in range(300):
        folder += "/d"
        os.mkdir(folder)
    for index in range(200):
        (scratch / "results" / f"{index}").write_text("x")


def read_files(scratch, line, paths):
    outcomes = {}
    for path in paths:
        try:
            outcomes[path] = sandbox_attempts.read(path).decode()
        except OSError as error:
            outcomes[path] = error.errno
    write(scratch, outcomes)


def metadata(scratch, line):
    """Calls numerical libraries make; they must work."""
    (scratch / "results" / "b").write_bytes(b"x" * 100)
    with open("results/b", "r+b") as file:
        memory = mmap.mmap(file.fileno(), 0)
        memory[0] = 65
        memory.flush()
        file.truncate(10)
        os.fsync(file.fileno())
        os.fdatasync(file.fileno())
    thread = threading.Thread(target=lambda: write(scratch, os.cpu_count()))
    thread.start()
    thread.join()
    os.kill(os.getpid(), 0)
    os.sysconf("SC_NPROCESSORS_ONLN")
    os.urandom(8)
    sandbox_attempts.read("/dev/urandom")
    open("/dev/null", "wb").close()
