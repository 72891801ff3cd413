"""What the test jobs need, imported before the fork."""

import ctypes
import encodings.idna
import hashlib
import json
import mmap
import os
import socket
import sys
import threading
import time

__all__ = ["at_fork", "ctypes", "encodings", "hashlib", "json", "mmap", "os", "socket", "sys", "threading", "time"]

at_fork = set()
os.register_at_fork(after_in_child=lambda: at_fork.update(sys.modules))
