"""What is the web side made of? The composition root: settings in, a Flask application out, nothing numerical in it."""

from collections.abc import Callable

import redis
from flask import Flask

from service.alerts.send import secret_for
from service.catalog import Catalog
from service.catalog import catalog as catalog_of_this_version
from service.clock import Clock, SystemClock
from service.evidence.own_keys import OwnKeys
from service.http.cursor import Cursors, secret_of
from service.http.links import Links
from service.http.parts import Parts
from service.http.resources import RESOURCES
from service.http.routing import install
from service.settings import Settings
from service.store.blobs import BlobStore
from service.store.database import Database
from service.work.wake import client, ring

BROKER_PATIENCE = 0.5  # seconds; readiness is asked often and must answer soon


def create_app(
    settings: Settings,
    *,
    database: Database | None = None,
    clock: Clock | None = None,
    blobs: BlobStore | None = None,
    catalog: Catalog | None = None,
    broker_ping: Callable[[], str] | None = None,
) -> Flask:
    """The API as a WSGI application. `broker_ping` answers "ok", or says what is wrong with the broker.

    The database must have its tables (`lamina migrate`); until it has, /readyz says so.
    """
    secret = secret_of(settings)
    parts = Parts(
        settings=settings,
        database=database or Database(settings.database_url),
        clock=clock or SystemClock(),
        blobs=blobs or BlobStore(settings.blobs),
        catalog=catalog or catalog_of_this_version(),
        cursors=Cursors(secret),
        links=Links(secret),
        webhook_secret=lambda webhook, generation: secret_for(secret, webhook, generation),
        signer=OwnKeys(settings),
        broker=broker_ping or (lambda: ping(settings.broker_url)),
        ring=lambda: ring(settings.broker_url),
    )
    app = Flask("lamina", static_folder=None, template_folder=None)
    install(app, parts, (endpoint for resource in RESOURCES for endpoint in resource.endpoints))
    return app


def ping(broker_url: str) -> str:
    """Whether the broker answers: "ok", or what is wrong, in words without its address or password."""
    try:
        with client(broker_url, patience=BROKER_PATIENCE) as broker:
            broker.ping()
    except (redis.RedisError, OSError, ValueError) as error:
        return f"does not answer ({type(error).__name__}); what is submitted waits in the database"
    return "ok"
