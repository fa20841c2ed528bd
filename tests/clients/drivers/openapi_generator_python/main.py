"""The scenario through the Python client of openapi-generator."""

from __future__ import annotations

import json
import os
import time
from typing import TypeVar

from openapi_client import ApiClient, Configuration
from openapi_client.api import BulkApi, EventsApi, SettingsApi, TenantsApi, WebhooksApi
from openapi_client.exceptions import ApiException
from openapi_client.models import (
    BulkJob,
    ExplicitSettingsPatch,
    InputError,
    MailSettingsPatch,
    PreconditionFailedProblem,
    TenantExistsProblem,
    TenantInput,
    TenantPatch,
    TenantUpdatedEvent,
    ValidationErrorProblem,
    WebhookInput,
)

Problem = TypeVar("Problem")

client = ApiClient(Configuration(host=os.environ["API"], access_token=os.environ["TOKEN"]))
bulk, events, tenants, webhooks = BulkApi(client), EventsApi(client), TenantsApi(client), WebhooksApi(client)
tenant_settings = SettingsApi(client)


def require(error: ApiException, kind: type[Problem]) -> Problem:
    """Return the problem of a failed call, which is of the class `kind`."""
    problem = getattr(error.data, "actual_instance", error.data)
    assert isinstance(problem, kind), error
    return problem


def first(errors: list[InputError]) -> str:
    """Return the place and the code of the first error."""
    return f"{errors[0].pointer} {errors[0].code}"


example = TenantInput(client_name="Example Corp", email="admin@example.com")
tenant = tenants.create_tenant(example)
print(f"create: {tenant.client_name}, {tenant.status}, version {tenant.version}")

try:
    tenants.create_tenant(example)
except ApiException as error:
    duplicate = require(error, TenantExistsProblem)
    same = str(duplicate.conflicting_tenant == tenant.tenant).lower()
    print(f"duplicate: {duplicate.status} {duplicate.code}, {duplicate.var_field} of the same tenant: {same}")

try:
    tenants.create_tenant(TenantInput(client_name="Example Corp", email="admin@"))
except ApiException as error:
    invalid = require(error, ValidationErrorProblem)
    print(f"invalid: {invalid.status} {invalid.code}, {first(invalid.errors)}")

for name in ("Two", "Three"):
    tenants.create_tenant(TenantInput(client_name=name, email=f"{name}@example.com"))
pages: list[int] = []
cursor: str | None = None
while True:
    page = tenants.list_tenants(limit=2, cursor=cursor)
    pages.append(len(page.items))
    if page.next is None:
        break
    cursor = page.next
print(f"pages: {', '.join(map(str, pages))}")

change = tenants.patch_tenant_with_http_info(tenant.tenant, TenantPatch(industry="Finance"), if_match='"1"')
headers = {name.lower(): value for name, value in (change.headers or {}).items()}
print(f"update: {change.data.industry}, version {change.data.version}, ETag {headers['etag']}")
try:
    tenants.patch_tenant(tenant.tenant, TenantPatch(industry="Arts"), if_match='"1"')
except ApiException as error:
    conflict = require(error, PreconditionFailedProblem)
    print(f"conflict: {conflict.status} {conflict.code}")


def upload(content_type: str, text: str) -> BulkJob:
    """Upload a file through the client's own connection, since the generated method takes JSON, and wait."""
    described = {"Authorization": f"Bearer {os.environ['TOKEN']}", "Content-Type": content_type}
    response = client.call_api("POST", f"{os.environ['API']}/bulk-jobs", described, text)
    response.read()
    job = client.response_deserialize(response, {"202": "BulkJob"}).data
    assert isinstance(job, BulkJob), job
    while job.finished_at is None:
        time.sleep(0.1)
        job = bulk.read_bulk_job(job.job)
    return job


csv = upload("text/csv", "client_name,email\nFour,four@example.com\nFive,five@example.com\n")
print(f"csv: {csv.state}, {csv.succeeded} of {csv.total}")
rows = [{"client_name": "Six", "email": "six@example.com"}, {"client_name": "Seven", "email": "seven@"}]
ndjson = upload("application/x-ndjson", "\n".join(map(json.dumps, rows)))
print(f"ndjson: {ndjson.state}, {ndjson.succeeded} of {ndjson.total}")
for item in bulk.list_bulk_items(ndjson.job).items:
    if item.problem is None:
        print(f"row {item.row}: {item.state}")
    else:
        problem = item.problem
        print(f"row {item.row}: {item.state}, {problem.status} {problem.code}, {first(problem.errors or [])}")

values = ExplicitSettingsPatch(mail=MailSettingsPatch(sender="hello@example.com"))
settings = tenant_settings.patch_settings(tenant.tenant, values)
mail, source = settings.effective.mail, settings.sources["mail.sender"]
assert mail is not None
print(f"settings: version {settings.version}, {mail.sender} of the {source}, {mail.daily} a day")
try:
    # A model refuses this value itself, so that the server's answer is not seen without `model_construct`.
    wrong_mail = MailSettingsPatch.model_construct(daily=0)
    tenant_settings.patch_settings(tenant.tenant, ExplicitSettingsPatch.model_construct(mail=wrong_mail))
except ApiException as error:
    wrong = require(error, ValidationErrorProblem)
    print(f"wrong settings: {wrong.status} {wrong.code}, {first(wrong.errors)}")

webhook = webhooks.create_webhook(WebhookInput(url="https://127.0.0.1/hooks", events=["partner.updated"]))
listed = webhooks.list_webhooks().items
print(f"webhook: enabled {str(webhook.enabled).lower()}, secret {(webhook.secret or '')[:6]}, {len(listed)} listed")

types: list[str] = []
names: list[str] = []
after: str | None = None
while True:
    feed = events.list_events(limit=5, after=after)
    for event in feed.items:
        instance = event.actual_instance
        assert instance is not None
        types.append(instance.type)
        if isinstance(instance, TenantUpdatedEvent):
            names.append(f"{instance.data.client_name}, {instance.changes['industry'].new}")
    after = feed.next
    if not feed.has_more:
        break
print(f"events: {' '.join(types)}")
print(f"tenant.updated: {'; '.join(names)}")
