"""What is asked for, what is refused, and how is it called off?"""

import threading
from uuid import UUID

import pytest
from sqlalchemy import func, select

from service.catalog import Catalog
from service.clock import FixedClock
from service.contracts.api import (
    AnalysisSubmission,
    AuditSubmission,
    DatasetSubmission,
    InputSubmission,
    ModelSubmission,
)
from service.contracts.base import digest_of
from service.contracts.facts import Bounds, InputFacts
from service.contracts.problem import Reason
from service.settings import Settings
from service.store.base import new_id
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Analysis, Audit, Blob, Event, Model, Outbox, Work
from service.work import audits, finish, intake
from service.work.refusals import Conflict, Invalid, OverOpenWork
from service.work.shown import analysis_state, audit_state, counts, intake_state, progress
from tests.conftest import MakePrincipal, MakeTenant
from tests.service.work.test_claim import take, works_of
from tests.service.work.world import DATASET_FACTS, KIND, MODEL_FACTS, World, stored


def faults_of(world: World, wanted: AuditSubmission) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        world.submit(wanted)
    return {fault.pointer: fault.detail for fault in caught.value.faults}


def rows(world: World, table: type) -> int:
    with system_session(world.database) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_every_fault_of_a_submission_is_told_at_once_and_nothing_is_written(world: World) -> None:
    wanted = AuditSubmission(
        model=new_id(),
        inputs={"evaluation": InputSubmission(dataset=new_id()), "training": InputSubmission(dataset=new_id())},
        analyses=(
            AnalysisSubmission(kind="layer_conductanse"),
            AnalysisSubmission(kind="layer_conductance", parameters={"steps": 0, "stepz": 1}),
            AnalysisSubmission(kind="other_kind"),
        ),
    )
    assert set(faults_of(world, wanted)) == {
        "/model",
        "/inputs/evaluation/dataset",
        "/inputs/training/dataset",
        "/inputs/background",
        "/analyses/0/kind",
        "/analyses/1/parameters/steps",
        "/analyses/1/parameters/stepz",
    }
    assert rows(world, Audit) == 0
    assert rows(world, Event) == 0


def test_a_role_nobody_asked_for_is_a_mistake(world: World) -> None:
    model, dataset = world.ready_pair()
    source = InputSubmission(dataset=dataset)
    wanted = AuditSubmission(
        model=model,
        inputs={"evaluation": source, "concept:stripes": source},
        analyses=(AnalysisSubmission(kind="layer_conductance"),),
    )
    assert set(faults_of(world, wanted)) == {"/inputs/concept:stripes"}


def test_training_examples_may_be_named_for_any_analysis(world: World) -> None:
    """What an analysis measures is told apart by the inputs that its kind asks for, and those alone."""
    model, dataset = world.ready_pair()
    source = InputSubmission(dataset=dataset)
    digests = []
    for inputs in ({"evaluation": source}, {"evaluation": source, "training": source}):
        audit = world.submit(
            AuditSubmission(model=model, inputs=inputs, analyses=(AnalysisSubmission(kind="layer_conductance"),))
        )
        with system_session(world.database) as session:
            digests.append(session.scalar(select(Analysis.digest).where(Analysis.audit_id == audit)))
    assert digests[0] is not None
    assert digests[0] == digests[1]


def test_a_dataset_in_an_optional_role_is_part_of_what_identifies_an_analysis(world: World) -> None:
    world.catalog = Catalog({"layer_conductance": {**KIND, "optional_roles": ["background", "training"]}})
    model, dataset = world.ready_pair()
    source, digests = InputSubmission(dataset=dataset), []
    for role in ("", "training", "background"):
        audit = world.submit(
            AuditSubmission(
                model=model,
                inputs={"evaluation": source} | ({role: source} if role else {}),
                analyses=(AnalysisSubmission(kind="layer_conductance"),),
            )
        )
        with system_session(world.database) as session:
            digests.append(session.scalar(select(Analysis.digest).where(Analysis.audit_id == audit)))
    assert None not in digests
    assert len(set(digests)) == 3


def test_another_tenants_model_and_dataset_do_not_exist(
    world: World, database: Database, clock: FixedClock, make_tenant: MakeTenant, make_principal: MakePrincipal
) -> None:
    tenant = make_tenant("rival")
    rival = World(database, clock, tenant, make_principal(tenant, "eve"))
    model, dataset = world.ready_pair()
    wanted = AuditSubmission(
        model=model,
        inputs={"evaluation": InputSubmission(dataset=dataset)},
        analyses=(AnalysisSubmission(kind="layer_conductance"),),
    )
    assert set(faults_of(rival, wanted)) == {"/model", "/inputs/evaluation/dataset"}
    audit = world.submit(wanted)
    with pytest.raises(LookupError):
        rival.cancel(audit)


def test_a_refused_model_cannot_be_audited(world: World) -> None:
    model, dataset = world.model(), world.dataset()
    held = world.claim_subject(model)
    assert held is not None
    with system_session(world.database) as session:
        finish.refuse(session, held, Reason(code="corrupt", detail="It is truncated."), world.clock.now())
    wanted = AuditSubmission(
        model=model,
        inputs={"evaluation": InputSubmission(dataset=dataset)},
        analyses=(AnalysisSubmission(kind="layer_conductance"),),
    )
    assert "truncated" in faults_of(world, wanted)["/model"]


def test_a_dataset_declared_unlike_the_model_is_refused_with_both_declarations(world: World) -> None:
    model, _ = world.ready_pair()
    blob = world.hold("wide")
    wide = InputFacts(kind="table", layout="NF", shape=(3,), bounds=Bounds(low=(0.0,), high=(1.0,)))
    facts = DATASET_FACTS.model_copy(update={"input": wide, "classes": ("yes", "no")})
    with world.database.session(world.tenant) as session:
        dataset = intake.register_dataset(
            session,
            DatasetSubmission(name="wide", version="1", blob=blob.digest, facts=facts),
            tenant=world.tenant,
            principal=world.principal,
            settings=world.settings,
            now=world.clock.now(),
        ).id
    wanted = AuditSubmission(
        model=model,
        inputs={"evaluation": InputSubmission(dataset=dataset)},
        analyses=(AnalysisSubmission(kind="layer_conductance"),),
    )
    with pytest.raises(Invalid) as caught:
        world.submit(wanted)
    said = [fault.detail for fault in caught.value.faults]
    assert any("(3,)" in detail and "(2,)" in detail for detail in said)
    assert any("('yes', 'no')" in detail for detail in said)


def test_defaults_are_filled_in_and_equal_parameters_have_equal_digests(world: World) -> None:
    pair = world.ready_pair()
    first, second = world.audit(*pair), world.audit(*pair, parameters={"steps": 50.0, "rule": "trapezoid"})
    with system_session(world.database) as session:
        one, other = (
            session.scalars(select(Analysis).where(Analysis.audit_id == key)).one() for key in (first, second)
        )
    assert one.parameters == other.parameters == {"steps": 50, "rule": "trapezoid", "scale": 1.0}
    assert one.digest == other.digest
    assert one.parameters_digest == other.parameters_digest


def test_the_cap_on_open_analyses_counts_those_that_wait(world: World) -> None:
    world.settings = Settings(tenant_open_work=5)
    model, dataset = world.model(), world.dataset()
    audit = world.audit(model, dataset, analyses=3)
    with pytest.raises(OverOpenWork, match="3 analyses are open"):
        world.audit(model, dataset, analyses=3)
    world.audit(model, dataset, analyses=2)
    world.cancel(audit)
    world.audit(model, dataset, analyses=3)


def test_eight_submissions_at_once_do_not_get_past_the_cap(world: World) -> None:
    world.settings = Settings(tenant_open_work=5)
    pair = world.ready_pair()
    barrier, refused = threading.Barrier(8), []

    def one() -> None:
        barrier.wait()
        try:
            world.audit(*pair, analyses=2)
        except OverOpenWork:
            refused.append(1)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (rows(world, Audit), len(refused)) == (2, 6)


def test_an_audit_may_hold_only_so_many_analyses(world: World) -> None:
    world.settings = Settings(analyses_per_audit=2)
    with pytest.raises(Invalid, match="3 analyses; an audit takes 2"):
        world.audit(*world.ready_pair(), analyses=3)


def test_cancel_ends_what_has_not_begun_and_tells_what_runs(world: World) -> None:
    audit = world.audit(*world.ready_pair(), analyses=3)
    running, queued, _ = works_of(world, audit)
    held = take(world, running)
    assert held is not None
    world.cancel(audit)
    world.cancel(audit)
    with system_session(world.database) as session:
        found = session.get_one(Audit, audit)
        assert counts(found.analyses) == {"cancelling": 1, "cancelled": 2}
        assert (found.remaining, found.closed_at, audit_state(found)) == (1, None, "running")
        assert progress(found.analyses) == pytest.approx(2 / 3)
    assert take(world, queued) is None
    with system_session(world.database) as session:
        finish.cancelled(session, held, world.clock.now())
    with system_session(world.database) as session:
        found = session.get_one(Audit, audit)
        assert (found.remaining, audit_state(found)) == (0, "cancelled")
        asked = session.scalars(select(Event).where(Event.action == "cancel requested")).all()
        assert {event.created_by for event in asked} == {world.principal}
        assert len(asked) == 2, "once for the audit, once for the work that ran"


def test_an_audit_that_waits_for_its_inputs_can_be_cancelled_and_stays_so(world: World) -> None:
    model, dataset = world.model(), world.dataset()
    audit = world.audit(model, dataset, analyses=2)
    world.cancel(audit)
    world.inspect(model)
    world.inspect(dataset)
    assert works_of(world, audit) == []
    with system_session(world.database) as session:
        found = session.get_one(Audit, audit)
        assert [analysis_state(row) for row in found.analyses] == ["cancelled", "cancelled"]
        assert audit_state(found) == "cancelled"


def test_a_closed_audit_is_not_cancelled(world: World) -> None:
    audit = world.audit(*world.ready_pair())
    held = take(world, works_of(world, audit)[0])
    assert held is not None
    world.succeed(held)
    world.cancel(audit)
    with system_session(world.database) as session:
        assert audit_state(session.get_one(Audit, audit)) == "finished"


def test_cancelling_and_committing_at_once_end_every_analysis_once(world: World) -> None:
    pair = world.ready_pair()
    for _ in range(5):
        audit = world.audit(*pair, analyses=3)
        claims = [take(world, work) for work in works_of(world, audit)[:2]]
        barrier, errors = threading.Barrier(3), []

        def commit(held: object, barrier: threading.Barrier = barrier, errors: list[Exception] = errors) -> None:
            barrier.wait()
            try:
                world.succeed(held)  # type: ignore[arg-type]  # claimed above
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=commit, args=(held,)) for held in claims]
        for thread in threads:
            thread.start()
        barrier.wait()
        world.cancel(audit)
        for thread in threads:
            thread.join()
        assert errors == []
        with system_session(world.database) as session:
            found = session.get_one(Audit, audit)
            assert (found.remaining, found.closed_at) == (0, world.clock.now())
            assert counts(found.analyses)["succeeded"] == 2


def test_a_model_is_received_then_inspected_then_ready(world: World) -> None:
    model = world.model()

    def state() -> str:
        with system_session(world.database) as session:
            return intake_state(session.get_one(Model, model)).value

    assert state() == "received"
    held = world.claim_subject(model)
    assert held is not None
    assert state() == "inspecting"
    world.inspected(held)
    assert state() == "ready"
    with system_session(world.database) as session:
        row = session.get_one(Model, model)
        assert row.canonical_digest is not None
        assert session.get_one(Blob, (world.tenant, row.source_digest)).references == 1
        assert session.get_one(Blob, (world.tenant, row.canonical_digest)).references == 1


def test_a_taken_name_and_version_is_a_conflict_and_leaves_no_work(world: World) -> None:
    world.model("net", "1")
    before = (rows(world, Work), rows(world, Outbox))
    with pytest.raises(Conflict, match="'net' already has a version '1'"):
        world.model("net", "1")
    assert (rows(world, Work), rows(world, Outbox)) == before
    world.model("net", "2")


def test_a_model_follows_a_version_of_its_own_name(world: World) -> None:
    first = world.model("net", "1")
    second = world.model("net", "2", follows=first)
    with system_session(world.database) as session:
        assert session.get_one(Model, second).follows_id == first
    with pytest.raises(Invalid, match="/follows"):
        world.model("other", "1", follows=first)
    with pytest.raises(Invalid, match="/follows"):
        world.model("net", "3", follows=UUID(int=0))


def test_bytes_that_were_never_uploaded_are_pointed_at(world: World) -> None:
    wanted = ModelSubmission(name="net", version="1", blob=digest_of(b"never"), facts=MODEL_FACTS)
    with pytest.raises(Invalid, match="/blob"), world.database.session(world.tenant) as session:
        intake.register_model(
            session,
            wanted,
            tenant=world.tenant,
            principal=world.principal,
            settings=world.settings,
            now=world.clock.now(),
        )
    assert stored("x").digest != wanted.blob


def test_cancelling_what_does_not_exist_says_so(world: World) -> None:
    with pytest.raises(LookupError), world.database.session(world.tenant) as session:
        audits.cancel(session, new_id(), actor=world.principal, now=world.clock.now())
