"""An administrator's lookup of deliveries by id alone costs a probe of the key for each partner."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from flask_tenant_provisioning.database import migration
from flask_tenant_provisioning.database.ids import format_instant
from flask_tenant_provisioning.database.session import Session, Storage
from flask_tenant_provisioning.database.statements import Statement
from flask_tenant_provisioning.tables import build_metadata
from flask_tenant_provisioning.webhooks import delivery_actions
from flask_tenant_provisioning.webhooks.models import EndpointKey, make_pending_delivery
from flask_tenant_provisioning.webhooks.statements import WebhookSQL
from tests.support.database.query_plans import RecordingSession, make_database_url, measure_costs

PREFIX = "provisioning_"
PARTNERS, ENDPOINTS, DELIVERIES = 10, 2, 1000
PROBES = "SEARCH provisioning_deliveries USING PRIMARY KEY (partner_id=? AND id=?)", "provisioning_deliveries_pkey"


@pytest.fixture(scope="module")
def storage(
    request: pytest.FixtureRequest, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Storage]:
    engine = create_engine(make_database_url(request, database, tmp_path_factory))
    migration.upgrade(engine, PREFIX)
    opened = Storage(engine, build_metadata(PREFIX))
    opened.transaction(fill)
    yield opened
    engine.dispose()


def fill(session: Session) -> None:
    storage, sql = session.storage, session.storage.once(WebhookSQL)
    at = format_instant(storage.clock())
    endpoints = [row(f"partner-{n % PARTNERS}", storage.new_id(), at) for n in range(PARTNERS * ENDPOINTS)]
    session.run_many(sql.insert, endpoints)
    for endpoint in endpoints:
        of_it = EndpointKey(endpoint["partner_id"], endpoint["id"])
        deliveries = [
            make_pending_delivery(of_it, storage.new_id(), storage.new_id(), at)._asdict() for _ in range(DELIVERIES)
        ]
        session.run_many(sql.insert_delivery, deliveries)
    if storage.engine.dialect.name == "postgresql":
        session.run(Statement(text("ANALYZE"), storage.engine.dialect), {})


def row(partner: str, id: str, at: str) -> dict[str, Any]:
    empty = dict.fromkeys(("description", "disabled_reason", "failing_since", "rests_until", "due_at", "leased_until"))
    values = {"url": "https://example.com/hook", "events": '["*"]', "signing": "v1", "secrets": "[]", "enabled": 1}
    times = {"created_at": at, "updated_at": at, "version": 1, "failures": 0, "fence": 0}
    return {"partner_id": partner, "id": id, **empty, **values, **times}


def test_a_delivery_by_its_id_alone_is_a_probe_for_each_partner(storage: Storage) -> None:
    deliveries = storage.table("deliveries")
    with storage.engine.connect() as connection:
        wanted = connection.execute(deliveries.select().offset(7777).limit(1)).mappings().one()

    def work(session: Session) -> RecordingSession:
        watched: Any = RecordingSession(session)
        delivery = delivery_actions.load_delivery(watched, None, wanted["id"])
        assert (delivery.partner_id, delivery.webhook_id, delivery.id) == tuple(
            wanted[name] for name in ("partner_id", "webhook_id", "id")
        )
        return watched  # type: ignore[no-any-return]

    for cost in measure_costs(storage.engine, storage.read(work)):
        assert any(probe in cost.plan for probe in PROBES), cost.plan
        assert cost.read <= PARTNERS * ENDPOINTS * 25, cost.plan
