"""Live hostile pickles: what runs when a validator has failed and somebody unpickles a stranger's file after all."""

import pickle

LIBC = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *given):
    if libc.syscall(ctypes.c_long(number), *[ctypes.c_long(value) for value in given]) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
"""
ROWS = {
    "read the secret": "open({secret!r}).read()",
    "read the password file": "open('/etc/passwd').read()",
    "list the root": "import os; os.listdir('/')",
    "write outside": "open({folder!r} + '/written', 'w').close()",
    "write into the installed packages": "open({packages!r} + '/lamina_way_out.pth', 'w')",
    "connect by TCP": "import socket; socket.create_connection(('127.0.0.1', {port}), timeout=2)",
    "send by UDP over IPv6": (
        "import socket; socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b'x', ('::1', {port}))"
    ),
    "connect by a unix socket": "import socket; socket.socket(socket.AF_UNIX).connect({unix!r})",
    "ask for a name": "import socket; socket.getaddrinfo('example.org', 443)",
    "execute": "import os; os.execv('/bin/sh', ['sh', '-c', 'touch ' + {folder!r} + '/executed'])",
    "run a shell": "import os\nif os.system('touch ' + {folder!r} + '/shelled'): raise OSError(1, 'no shell')",
    "kill the parent": "import os; os.kill({parent}, 9)",
    "read the environment of the parent": "open('/proc/{parent}/environ', 'rb').read()",
    "write the memory of the parent": "open('/proc/{parent}/mem', 'r+b')",
    "trace the parent": LIBC + "call({ptrace}, 16, {parent}, 0, 0)",
    "leave into namespaces of its own": LIBC + "call({unshare}, 0x10020000)",
    "escape by a symbolic link": "import os; os.symlink({secret!r}, 'way_out'); open('way_out').read()",
    "truncate the secret": "import os; os.truncate({secret!r}, 0)",
    "empty the secret": "open({secret!r}, 'w')",
    "write an oversized file": "open('results/oversized', 'wb').truncate(400 << 20)",
    "allocate 64 GB": "bytearray(64 << 30)",
    "open 500 files": (
        "import os\nkept = []\ntry:\n    while len(kept) < 500: kept.append(os.open('job.json', os.O_RDONLY))\n"
        "finally:\n    [os.close(fd) for fd in kept]"
    ),
    "start a fork bomb": "import os\nfor _ in range(1000):\n    if os.fork() == 0:\n        while True: os.fork()",
    "start threads without end": (
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(600,), daemon=True).start()"
    ),
    "change a mode outside": "import os; os.chmod({outside!r}, 0o4777)",
    "change an owner outside": "import os; os.chown({outside!r}, os.getuid(), os.getgid())",
    "change times outside": "import os; os.utime({outside!r}, (1, 1))",
    "set an attribute outside": "import os; os.setxattr({outside!r}, 'user.lamina', b'x')",
}
"""What each payload tries: a program, denied by an exception."""
CPU_BOMB = "while True: pass"
SYSTEM_CALLS = {"x86_64": {"ptrace": 101, "unshare": 272}, "aarch64": {"ptrace": 117, "unshare": 97}}


class _Payload:
    """Unpickling one runs its program."""

    def __init__(self, program):
        self._program = program

    def __reduce__(self):
        return exec, (self._program, {})


def live(program):
    """A pickle that runs `program` when it is loaded."""
    return pickle.dumps(_Payload(program))
