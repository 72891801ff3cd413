"""Which Celery process listens for work? One that imports no torch: it rings for a child and keeps the books.

Celery is the doorbell. The message is an id; the row it names is the truth, so losing or doubling a message is
harmless: claims are guarded, leases expire, commits are fenced (service/work).
"""

import os
import socket
from typing import Any

from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown

from service.settings import Settings

VISIBILITY_SECONDS = 12 * 3600  # far above the longest job: recovery is the reaper's, and a shorter one doubles jobs


def make_app(settings: Settings) -> Celery:
    """A Celery app that carries ids as JSON, keeps no results and never retries on its own."""
    app = Celery("lamina", broker=settings.broker_url, set_as_current=False)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        result_backend=None,
        task_ignore_result=True,
        task_default_queue="cpu",
        task_acks_late=True,
        task_reject_on_worker_lost=True,  # loops are bounded: the claim counts attempts
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_proc_alive_timeout=60.0,  # a pool process starts a zygote before it says that it is up
        worker_soft_shutdown_timeout=settings.cancel_grace_seconds,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_SECONDS,
            "socket_connect_timeout": 2,
            "retry_on_timeout": True,
        },
        worker_send_task_events=False,
        worker_enable_remote_control=False,
    )
    return app


def worker_name() -> str:
    """Which pool process of which machine this is."""
    return f"{socket.gethostname()}:{os.getpid()}"


def main(settings: Settings) -> None:
    """Serve this worker's queues until told to stop. Runs in the main thread of a process of its own."""
    from workers.tasks import Desk  # the pool forks: nothing of the desk may be open before

    app = make_app(settings)
    desks: list[Desk] = []

    @app.task(name="work.run")  # type: ignore[untyped-decorator]  # Celery has no types
    def run(work_id: str) -> None:
        desks[0].run(work_id)

    def start(**_: Any) -> None:
        # The pool process's main thread lives as long as the process: children tied to it die with it, not before.
        desks.append(Desk.open(settings, worker_name()))

    def stop(**_: Any) -> None:
        while desks:
            desks.pop().close()

    worker_process_init.connect(start, weak=False)
    worker_process_shutdown.connect(stop, weak=False)
    app.worker_main(
        [
            "worker",
            "--pool=prefork",
            "--concurrency=1",
            f"--queues={settings.queues}",
            f"--hostname=lamina-{os.getpid()}@%h",
            f"--loglevel={settings.log_level}",
            "--without-mingle",
            "--without-gossip",
            "--without-heartbeat",
        ]
    )
