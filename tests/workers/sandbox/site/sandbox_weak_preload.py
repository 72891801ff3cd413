"""A preload that plays an old kernel, without Landlock and seccomp, so that what a child forks can be seen to die."""

from workers.sandbox import landlock, seccomp

landlock.abi = lambda: 0
seccomp.install = lambda *, device: False
