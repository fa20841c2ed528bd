"""The scenario through the client of openapi-python-client."""

from __future__ import annotations

import json
import os
import time

from client import AuthenticatedClient
from client.api.bulk import list_bulk_items, read_bulk_job
from client.api.events import list_events
from client.api.settings import patch_settings
from client.api.tenants import create_tenant, list_tenants, patch_tenant
from client.api.webhooks import create_webhook, list_webhooks
from client.models import (
    BulkItemPage,
    BulkJob,
    EventPage,
    ExplicitSettingsPatch,
    InputError,
    MailSettings,
    MailSettingsPatch,
    PreconditionFailedProblem,
    Settings,
    Tenant,
    TenantExistsProblem,
    TenantInput,
    TenantPage,
    TenantPatch,
    TenantUpdatedEvent,
    ValidationErrorProblem,
    WebhookInput,
    WebhookPage,
    WebhookSecret,
)
from client.types import UNSET

client = AuthenticatedClient(base_url=os.environ["API"], token=os.environ["TOKEN"])


def first(errors: list[InputError]) -> str:
    """Return the place and the code of the first error."""
    return f"{errors[0].pointer} {errors[0].code}"


example = TenantInput(client_name="Example Corp", email="admin@example.com")
tenant = create_tenant.sync(client=client, body=example)
assert isinstance(tenant, Tenant), tenant
print(f"create: {tenant.client_name}, {tenant.status}, version {tenant.version}")

duplicate = create_tenant.sync(client=client, body=example)
assert isinstance(duplicate, TenantExistsProblem), duplicate
same = str(duplicate.conflicting_tenant == tenant.tenant).lower()
print(f"duplicate: {duplicate.status} {duplicate.code}, {duplicate.field} of the same tenant: {same}")

invalid = create_tenant.sync(client=client, body=TenantInput(client_name="Example Corp", email="admin@"))
assert isinstance(invalid, ValidationErrorProblem), invalid
print(f"invalid: {invalid.status} {invalid.code}, {first(invalid.errors)}")

for name in ("Two", "Three"):
    create_tenant.sync(client=client, body=TenantInput(client_name=name, email=f"{name}@example.com"))
pages: list[int] = []
cursor: str | None = ""
while cursor is not None:
    page = list_tenants.sync(client=client, limit=2, cursor=cursor or UNSET)
    assert isinstance(page, TenantPage), page
    pages.append(len(page.items))
    cursor = page.next_
print(f"pages: {', '.join(map(str, pages))}")

change = patch_tenant.sync_detailed(tenant.tenant, client=client, body=TenantPatch(industry="Finance"), if_match='"1"')
assert isinstance(change.parsed, Tenant), change
print(f"update: {change.parsed.industry}, version {change.parsed.version}, ETag {change.headers['ETag']}")
conflict = patch_tenant.sync(tenant.tenant, client=client, body=TenantPatch(industry="Arts"), if_match='"1"')
assert isinstance(conflict, PreconditionFailedProblem), conflict
print(f"conflict: {conflict.status} {conflict.code}")


def upload(content_type: str, text: str) -> BulkJob:
    """Upload a file through the client's own connection, which the generated function does for JSON, and wait."""
    response = client.get_httpx_client().post("/bulk-jobs", content=text, headers={"Content-Type": content_type})
    job = BulkJob.from_dict(response.raise_for_status().json())
    while job.finished_at is None:
        time.sleep(0.1)
        answer = read_bulk_job.sync(job.job, client=client)
        assert isinstance(answer, BulkJob), answer
        job = answer
    return job


csv = upload("text/csv", "client_name,email\nFour,four@example.com\nFive,five@example.com\n")
print(f"csv: {csv.state}, {csv.succeeded} of {csv.total}")
rows = [{"client_name": "Six", "email": "six@example.com"}, {"client_name": "Seven", "email": "seven@"}]
ndjson = upload("application/x-ndjson", "\n".join(map(json.dumps, rows)))
print(f"ndjson: {ndjson.state}, {ndjson.succeeded} of {ndjson.total}")
results = list_bulk_items.sync(ndjson.job, client=client)
assert isinstance(results, BulkItemPage), results
for item in results.items:
    problem = item.problem
    if problem is None:
        print(f"row {item.row}: {item.state}")
    else:
        print(f"row {item.row}: {item.state}, {problem.status} {problem.code}, {first(problem.errors or [])}")

values = ExplicitSettingsPatch(mail=MailSettingsPatch(sender="hello@example.com"))
settings = patch_settings.sync(tenant.tenant, client=client, body=values)
assert isinstance(settings, Settings), settings
mail, source = settings.effective.mail, settings.sources["mail.sender"]
assert isinstance(mail, MailSettings), mail
print(f"settings: version {settings.version}, {mail.sender} of the {source}, {mail.daily} a day")
values = ExplicitSettingsPatch(mail=MailSettingsPatch(daily=0))
wrong = patch_settings.sync(tenant.tenant, client=client, body=values)
assert isinstance(wrong, ValidationErrorProblem), wrong
print(f"wrong settings: {wrong.status} {wrong.code}, {first(wrong.errors)}")

endpoint = WebhookInput(url="https://127.0.0.1/hooks", events=["partner.updated"])
webhook = create_webhook.sync(client=client, body=endpoint)
assert isinstance(webhook, WebhookSecret), webhook
webhooks = list_webhooks.sync(client=client)
assert isinstance(webhooks, WebhookPage), webhooks
enabled = str(webhook.enabled).lower()
print(f"webhook: enabled {enabled}, secret {(webhook.secret or '')[:6]}, {len(webhooks.items)} listed")

types: list[str] = []
names: list[str] = []
after, more = "", True
while more:
    feed = list_events.sync(client=client, limit=5, after=after or UNSET)
    assert isinstance(feed, EventPage), feed
    for event in feed.items:
        types.append(event.type_)
        if isinstance(event, TenantUpdatedEvent):
            names.append(f"{event.data.client_name}, {event.changes['industry'].new}")
    after, more = feed.next_, feed.has_more
print(f"events: {' '.join(types)}")
print(f"tenant.updated: {'; '.join(names)}")
