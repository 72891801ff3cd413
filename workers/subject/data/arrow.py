"""How is pyarrow imported? In one place, so that it starts no thread: a zygote must have one when it forks.

Its allocator jemalloc would start a background thread as the library is loaded, whether or not it is then used.
"""

import os

os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

import pyarrow as pa
from pyarrow import parquet

__all__ = ["pa", "parquet"]
