"""Which kernel calls does a job never need? Numbers for x86-64 and aarch64, and why each group is denied.

The x86-64 column is run by the tests; the aarch64 column is only parsed and simulated there: it was never run.
Sources: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h of Linux.
"""

from __future__ import annotations

NEWEST_KNOWN = 467
"""Numbers above (open_tree_attr, Linux 6.15) answer ENOSYS: what a later kernel adds is not allowed unseen."""

# name: (x86-64, aarch64); None where the architecture has no such call.
Table = dict[str, tuple[int | None, int | None]]

SOCKETS: Table = {
    "socket": (41, 198), "connect": (42, 203), "accept": (43, 202), "sendto": (44, 206), "recvfrom": (45, 207),
    "sendmsg": (46, 211), "recvmsg": (47, 212), "bind": (49, 200), "listen": (50, 201), "socketpair": (53, 199),
    "accept4": (288, 242), "recvmmsg": (299, 243), "sendmmsg": (307, 269),
}  # fmt: skip
PROGRAMS: Table = {
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None), "uselib": (134, None),
    "memfd_create": (319, 279), "memfd_secret": (447, 447),
}  # fmt: skip
"""No new program, and none from memory. A memfd also holds memory that no rlimit counts."""
OTHERS: Table = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "setpriority": (141, 140), "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119), "sched_setattr": (314, 274), "ioprio_set": (251, 30),
    "migrate_pages": (256, 238), "move_pages": (279, 239), "setsid": (112, 157), "setpgid": (109, 154),
}  # fmt: skip
"""Reaching into, signalling or slowing another process of the same user; leaving the process group."""
METADATA: Table = {
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None),
    "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None),
    "futimesat": (261, None), "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6),
    "fsetxattr": (190, 7), "getxattr": (191, 8), "lgetxattr": (192, 9), "fgetxattr": (193, 10),
    "listxattr": (194, 11), "llistxattr": (195, 12), "flistxattr": (196, 13), "removexattr": (197, 14),
    "lremovexattr": (198, 15), "fremovexattr": (199, 16), "setxattrat": (463, 463), "getxattrat": (464, 464),
    "listxattrat": (465, 465), "removexattrat": (466, 466), "truncate": (76, 45), "inotify_init": (253, None),
    "inotify_init1": (294, 26), "inotify_add_watch": (254, 27), "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
}  # fmt: skip
"""Landlock governs opening, not these; truncate(2) only from ABI 3."""
NAMES: Table = {
    "symlink": (88, None), "symlinkat": (266, 36), "link": (86, None), "linkat": (265, 37), "mknod": (133, None),
    "mknodat": (259, 33), "chdir": (80, 49), "fchdir": (81, 50), "chroot": (161, 51),
}  # fmt: skip
"""Whatever reads the results later must meet plain files only. The scratch is named by the working folder."""
MOUNTS: Table = {
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "statmount": (457, 457), "listmount": (458, 458),
    "open_tree_attr": (467, 467), "unshare": (272, 97), "setns": (308, 268), "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
}  # fmt: skip
KERNEL: Table = {
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "keyctl": (250, 219), "add_key": (248, 217),
    "request_key": (249, 218), "seccomp": (317, 277), "personality": (135, 92), "init_module": (175, 105),
    "delete_module": (176, 106), "finit_module": (313, 273), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266), "sethostname": (170, 161),
    "setdomainname": (171, 162), "syslog": (103, 116), "vhangup": (153, 58), "nfsservctl": (180, 42),
    "lookup_dcookie": (212, 18), "modify_ldt": (154, None), "iopl": (172, None), "ioperm": (173, None),
    "lsm_set_self_attr": (460, 460), "splice": (275, 76), "tee": (276, 77), "vmsplice": (278, 75),
    "io_setup": (206, 0), "sync": (162, 81), "syncfs": (306, 267), "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445), "landlock_restrict_self": (446, 446), "mlock": (149, 228), "mlock2": (325, 284),
    "mlockall": (151, 230),
}  # fmt: skip
"""Rarely tested corners of the kernel. io_uring would also carry denied calls past the filter; Landlock's own rules,
and locked pages, are memory that no bound of ours counts."""
SHARED_MEMORY: Table = {
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "semop": (65, 193),
    "semctl": (66, 191), "semtimedop": (220, 192), "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188),
    "msgctl": (71, 187), "mq_open": (240, 180), "mq_unlink": (241, 181), "mq_timedsend": (242, 182),
    "mq_timedreceive": (243, 183), "mq_notify": (244, 184), "mq_getsetattr": (245, 185),
}  # fmt: skip
"""They outlive the process, and another process of the same user may read them."""
IDENTITY: Table = {
    "setuid": (105, 146), "setgid": (106, 144), "setreuid": (113, 145), "setregid": (114, 143),
    "setgroups": (116, 159), "setresuid": (117, 147), "setresgid": (119, 149), "setfsuid": (122, 151),
    "setfsgid": (123, 152), "capset": (126, 91),
}  # fmt: skip

DENIED: Table = {
    **SOCKETS, **PROGRAMS, **OTHERS, **METADATA, **NAMES, **MOUNTS, **KERNEL, **SHARED_MEMORY, **IDENTITY,
}  # fmt: skip

SYNCHRONOUS: Table = {
    "fsync": (74, 82), "fdatasync": (75, 83), "sync_file_range": (277, 84), "msync": (26, 227),
}  # fmt: skip
"""Answered as done, without being done: who waits for a disk cannot be killed until it answers, and no child's file
has to outlive a power failure."""

# Calls that are denied by what they are given; seccomp.py holds the conditions.
GUARDED: Table = {
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "prlimit64": (302, 261),
    "sched_setaffinity": (203, 122), "clone": (56, 220), "clone3": (435, 435), "prctl": (157, 167),
    "fcntl": (72, 25), "ioctl": (16, 29), "open": (2, None), "creat": (85, None), "openat": (257, 56),
    "openat2": (437, 437), "pwritev2": (328, 287), "fallocate": (285, 47),
}  # fmt: skip


def numbers(table: Table, machine: str) -> dict[str, int]:
    """The calls of a table that a machine (`x86_64` or `aarch64`) has, with their numbers."""
    column = {"x86_64": 0, "aarch64": 1}[machine]
    return {name: number for name, pair in table.items() if (number := pair[column]) is not None}
