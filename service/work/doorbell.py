"""How does a worker hear of work? By a Celery message that carries an id and nothing else."""

from collections.abc import Callable

from celery import Celery

from service.settings import Settings

TASK = "work.run"


def doorbell(settings: Settings) -> Callable[[str, str], None]:
    """A `send(work id, queue)` over the broker. It raises, soon, when the broker is not there."""
    app = Celery("lamina.dispatcher", broker=settings.broker_url, set_as_current=False)
    app.conf.update(
        task_serializer="json",
        result_backend=None,
        task_ignore_result=True,
        broker_connection_timeout=2.0,
        broker_transport_options={"socket_timeout": 2.0, "socket_connect_timeout": 2.0, "max_retries": 1},
    )

    def send(work_id: str, queue: str) -> None:
        app.send_task(TASK, args=[work_id], queue=queue, retry=False, ignore_result=True)

    return send
