"""Ways out of the sandbox, one function each. A denied one raises OSError; one that returns got out."""

# The system calls themselves are what is tried, by their names.
# ruff: noqa: PTH101, PTH102, PTH104, PTH105, PTH106, PTH108, PTH120, PTH123, PTH208, PTH211

import ctypes
import errno
import fcntl
import os
import resource
import signal
import socket
import struct
import threading

libc = ctypes.CDLL(None, use_errno=True)


def call(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def prctl(option, value):
    if libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def read(path):
    with open(path, "rb") as file:
        return file.read(64)


def read_in_a_thread(path):
    caught = []

    def look():
        try:
            read(path)
        except OSError as error:
            caught.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    if caught:
        raise caught[0]


def shell(command):
    """os.system has no exception; 0 is success."""
    if os.system(command) != 0:
        raise OSError(errno.EPERM, "no shell")


def symlink_and_read(path):
    os.symlink(path, "results/way_out")
    return read("results/way_out")


def signal_by_pipe_owner(victim):
    """The kernel sends F_SETSIG's signal to F_SETOWN's process when the pipe becomes readable."""
    reader, writer = os.pipe()
    fcntl.fcntl(reader, fcntl.F_SETOWN, victim)
    fcntl.fcntl(reader, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(reader, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    os.write(writer, b"x")


def attempts(facts):
    """name -> callable, given {secret, outside (a file), folder (outside), victim, parent, port, other_scratch}."""
    secret, outside, folder = facts["secret"], facts["outside"], facts["folder"]
    victim, parent = facts["victim"], facts["parent"]
    null = None
    return {
        "read a secret": lambda: read(secret),
        "read a secret from a thread": lambda: read_in_a_thread(secret),
        "read a secret through a way up": lambda: read("../" * 20 + secret),
        "read a secret through the root link in proc": lambda: read("/proc/self/root" + secret),
        "read a secret through a symbolic link": lambda: symlink_and_read(secret),
        "link a secret into the scratch": lambda: os.link(secret, "results/hard"),
        "bind to a folder outside": lambda: os.open(folder, os.O_RDONLY | os.O_DIRECTORY),
        "list the root": lambda: os.listdir("/"),
        "list the scratch folders": lambda: os.listdir(os.path.dirname(facts["scratch"])),
        "read another scratch": lambda: read(facts["other_scratch"] + "/job.json"),
        "read the password file": lambda: read("/etc/passwd"),
        "read the environment of the parent": lambda: read(f"/proc/{parent}/environ"),
        "read the environment of the worker": lambda: read(f"/proc/{facts['worker']}/environ"),
        "read the command line of another": lambda: read(f"/proc/{victim}/cmdline"),
        "write the memory of the parent": lambda: open(f"/proc/{parent}/mem", "r+b"),
        "write its own memory file": lambda: open("/proc/self/mem", "r+b"),
        "read the host's sockets": lambda: read("/proc/self/net/tcp"),
        "read the host's mounts": lambda: read("/proc/self/mountinfo"),
        "write outside": lambda: open(folder + "/new", "wb"),
        "append outside": lambda: open(outside, "ab"),
        "truncate outside": lambda: os.truncate(outside, 0),
        "rename outside": lambda: os.rename(outside, outside + ".moved"),
        "move outside into the scratch": lambda: os.rename(outside, "results/taken"),
        "unlink outside": lambda: os.unlink(outside),
        "make a folder outside": lambda: os.mkdir(folder + "/made"),
        "write into the code": lambda: open(facts["code"], "ab"),
        "write shared memory": lambda: open("/dev/shm/lamina-way-out", "wb"),
        "chmod outside": lambda: os.chmod(outside, 0o777),
        "chmod its own file to set-uid": lambda: os.chmod("job.json", 0o4777),
        "create a set-uid file": lambda: os.open("results/setuid", os.O_CREAT | os.O_WRONLY, 0o4777),
        "create a set-uid file the old way": lambda: call(85, b"results/setuid2", 0o6777),
        "create a set-uid file the new way": lambda: call(
            437, -100, b"results/setuid3", struct.pack("QQQ", os.O_CREAT | os.O_WRONLY, 0o4777, 0), 24
        ),
        "chown outside": lambda: os.chown(outside, os.getuid(), os.getgid()),
        "touch outside": lambda: os.utime(outside, (1, 1)),
        "set an attribute outside": lambda: os.setxattr(outside, "user.lamina", b"x"),
        "watch outside": lambda: call(254, call(294, 0), folder.encode(), 2),
        "make a pipe in the file system": lambda: os.mkfifo("results/pipe"),
        "leave the working folder": lambda: os.chdir("/usr/lib"),
        "connect by TCP": lambda: socket.create_connection(("127.0.0.1", facts["port"]), timeout=2),
        "listen by TCP": lambda: socket.create_server(("127.0.0.1", 0)),
        "open UDP": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "open UDP over IPv6": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
        "open a unix socket": lambda: socket.socket(socket.AF_UNIX),
        "open a netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        "open a socket pair": socket.socketpair,
        "resolve a name": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("127.0.0.53", 53)),
        "execute": lambda: os.execv("/bin/true", ["true"]),
        "execute a shell": lambda: shell("true"),
        "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "fork": os.fork,
        "vfork": lambda: call(58),
        "clone without a thread": lambda: call(56, signal.SIGCHLD, 0, 0, 0, 0),
        "clone3": lambda: call(435, ctypes.create_string_buffer(88), 88),
        "hold a program in memory": lambda: os.memfd_create("program"),
        "kill the parent": lambda: os.kill(parent, signal.SIGKILL),
        "kill another": lambda: os.kill(victim, signal.SIGKILL),
        "ask whether another lives": lambda: os.kill(victim, 0),
        "kill a group": lambda: os.killpg(os.getpgid(victim), signal.SIGKILL),
        "kill everything": lambda: os.kill(-1, signal.SIGKILL),
        "kill by thread": lambda: call(200, victim, signal.SIGKILL),
        "kill by thread group": lambda: call(234, victim, victim, signal.SIGKILL),
        "kill with a 64-bit pid": lambda: call(62, victim | 1 << 40, signal.SIGKILL),
        "queue a signal": lambda: call(129, victim, signal.SIGKILL, ctypes.create_string_buffer(128)),
        "open another as a descriptor": lambda: os.pidfd_open(victim),
        "kill by a pipe's owner": lambda: signal_by_pipe_owner(victim),
        "trace another": lambda: call(101, 16, victim, 0, 0),
        "read another's memory": lambda: call(310, victim, null, 0, null, 0, 0),
        "limit another": lambda: resource.prlimit(victim, resource.RLIMIT_CPU, (1, 1)),
        "read another's limits": lambda: resource.prlimit(victim, resource.RLIMIT_CPU),
        "raise its own limit": lambda: call(302, 0, resource.RLIMIT_NOFILE, struct.pack("QQ", 4096, 4096), null),
        "slow another": lambda: os.setpriority(os.PRIO_PROCESS, victim, 19),
        "bind another to a core": lambda: os.sched_setaffinity(victim, {0}),
        "survive the zygote": lambda: prctl(1, 0),
        "become dumpable": lambda: prctl(4, 1),
        "let another trace it": lambda: prctl(0x59616D61, victim),
        "adopt orphans": lambda: prctl(36, 1),
        "leave its session": os.setsid,
        "leave its group": lambda: os.setpgid(0, 0),
        "become root": lambda: os.setuid(0) if os.getuid() else call(105, 0),
        "mount": lambda: call(165, b"none", b"/tmp", b"tmpfs", 0, null),
        "mount the new way": lambda: call(430, b"tmpfs", 0),
        "unshare": lambda: call(272, 0x10000000),
        "enter a namespace": lambda: call(308, 0, 0),
        "chroot": lambda: os.chroot("."),
        "load a bpf program": lambda: call(321, 0, null, 0),
        "use io_uring": lambda: call(425, 8, ctypes.create_string_buffer(120)),
        "use keys": lambda: call(250, 0, -3, 1),
        "watch page faults": lambda: call(323, 0),
        "watch performance": lambda: call(298, ctypes.create_string_buffer(128), 0, -1, -1, 0),
        "splice pages": lambda: call(278, 1, null, 0, 0),
        "share memory": lambda: call(29, 0, 4096, 0o1600),
        "open a message queue": lambda: call(240, b"lamina", 0o102, 0o600, null),
        "open a file by its handle": lambda: call(304, -100, ctypes.create_string_buffer(64), 0),
        "change its personality": lambda: call(135, 0x0040000),
        "remove its own file": lambda: os.unlink("job.json"),
        "rename its own file": lambda: os.rename("job.json", "results/renamed"),
        "replace its own file": lambda: os.replace("output.txt", "job.json"),
        "remove its own folder": lambda: os.rmdir("results"),
        "open a file without a name": lambda: os.open("results", os.O_TMPFILE | os.O_RDWR, 0o600),
        "write past the cache": lambda: os.open("results/direct", os.O_CREAT | os.O_WRONLY | os.O_DIRECT, 0o600),
        "write past the cache later": lambda: fcntl.fcntl(os.open("job.json", os.O_RDONLY), fcntl.F_SETFL, os.O_DIRECT),
        "wait for the disk": lambda: os.open("results/slow", os.O_CREAT | os.O_WRONLY | os.O_DSYNC, 0o600),
        "wait for the disk by flag": lambda: os.pwritev(1, [b"x"], 0, os.RWF_SYNC),
        "take the disk past its own sizes": lambda: call(
            285, os.open("results/taken", os.O_CREAT | os.O_WRONLY, 0o600), 1, 0, 1 << 40
        ),
        "start a thread with descriptors of its own": lambda: call(56, 0x10900, 0, 0, 0, 0),
        "fill the kernel with rules": lambda: call(444, struct.pack("QQQ", 1, 0, 0), 24, 0),
        "lock memory": lambda: call(149, ctypes.create_string_buffer(4096), 4096),
        "lock all memory": lambda: call(151, 3),
        "add a filter": lambda: call(317, 1, 0, null),
        "flag a file": lambda: fcntl.ioctl(os.open("job.json", os.O_RDONLY), 0x40086602, struct.pack("l", 64)),
        "type into a terminal": lambda: fcntl.ioctl(0, 0x5412, b"x"),
        "use a call of a later kernel": lambda: call(468, 0, 0, 0),
    }
