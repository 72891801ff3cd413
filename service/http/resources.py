"""Which resources are served? The list, in the order the documentation shows them."""

from service.http.alerts import alerts
from service.http.analyses import analyses
from service.http.artifacts import artifacts
from service.http.attestations import attestations
from service.http.audits import audits
from service.http.baselines import baselines
from service.http.blobs import blobs
from service.http.compliance_reports import compliance_reports
from service.http.datasets import datasets
from service.http.deliveries import deliveries
from service.http.health import health
from service.http.history import history
from service.http.holds import holds
from service.http.keys import keys
from service.http.kinds import kinds
from service.http.log import log
from service.http.measurements import measurements
from service.http.models import models
from service.http.policies import policies
from service.http.principals import principals
from service.http.recipients import recipients
from service.http.reference import reference
from service.http.reports import reports
from service.http.schedules import schedules
from service.http.waivers import waivers
from service.http.webhooks import webhooks
from service.http.wellknown import wellknown

RESOURCES = (
    blobs,
    models,
    datasets,
    kinds,
    audits,
    analyses,
    artifacts,
    reports,
    measurements,
    history,
    baselines,
    schedules,
    compliance_reports,
    policies,
    waivers,
    attestations,
    holds,
    alerts,
    webhooks,
    recipients,
    deliveries,
    log,
    wellknown,
    principals,
    keys,
    health,
    reference,
)
