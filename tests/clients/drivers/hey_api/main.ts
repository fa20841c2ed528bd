// The scenario through the SDK of @hey-api/openapi-ts; its zod schemas check what arrives.

import {
  createTenant,
  createWebhook,
  listBulkItems,
  listEvents,
  listTenants,
  listWebhooks,
  patchSettings,
  patchTenant,
  readBulkJob,
} from "./client/index";
import { client } from "./client/client.gen";
import type { BulkJob } from "./client/index";
import { zBulkJob, zTenant } from "./client/zod.gen";

type Problem = { status: number; code: string };
type FieldErrors = { pointer: string; code: string }[];

const { API, TOKEN } = process.env as { API: string; TOKEN: string };
client.setConfig({ baseUrl: API, auth: TOKEN });

function require<T>(value: T | undefined, problem?: Problem): T {
  if (value === undefined) throw new Error(`unexpected: ${JSON.stringify(problem)}`);
  return value;
}

// A newer server may have codes (and events) that the document does not know, so the unions are open, and a comparison
// alone does not narrow them.
function has<K extends string, V extends string, T extends { [name in K]: string }>(
  value: T | undefined,
  name: K,
  expected: V,
): value is Extract<T, { [name in K]: V }> {
  return (value?.[name] as string | undefined) === expected;
}

const first = (errors?: FieldErrors): string => `${errors?.[0]?.pointer} ${errors?.[0]?.code}`;

const example = { client_name: "Example Corp", email: "admin@example.com" };
const created = await createTenant({ body: example });
const tenant = require(created.data, created.error);
zTenant.parse(tenant);
console.log(`create: ${tenant.client_name}, ${tenant.status}, version ${tenant.version}`);

const duplicate = (await createTenant({ body: example })).error;
if (has(duplicate, "code", "tenant-exists")) {
  const same = duplicate.conflicting_tenant === tenant.tenant;
  console.log(`duplicate: ${duplicate.status} ${duplicate.code}, ${duplicate.field} of the same tenant: ${same}`);
}

const invalid = (await createTenant({ body: { ...example, email: "admin@" } })).error;
if (has(invalid, "code", "validation-error")) {
  console.log(`invalid: ${invalid.status} ${invalid.code}, ${first(invalid.errors)}`);
}

for (const name of ["Two", "Three"]) {
  await createTenant({ body: { client_name: name, email: `${name}@example.com` } });
}
const pages: number[] = [];
let cursor: string | null | undefined;
do {
  const page = await listTenants({ query: cursor ? { limit: 2, cursor } : { limit: 2 } });
  const { items, next } = require(page.data, page.error);
  pages.push(items.length);
  cursor = next;
} while (cursor);
console.log(`pages: ${pages.join(", ")}`);

const change = (industry: string) =>
  patchTenant({ path: { tenant_id: tenant.tenant }, headers: { "If-Match": '"1"' }, body: { industry } });
const changed = await change("Finance");
const { industry, version } = require(changed.data, changed.error);
console.log(`update: ${industry}, version ${version}, ETag ${changed.response?.headers.get("ETag")}`);
const conflict = (await change("Arts")).error;
if (has(conflict, "code", "precondition-failed")) console.log(`conflict: ${conflict.status} ${conflict.code}`);

// The SDK's function uploads JSON; a file of another type goes through the same client.
async function upload(type: string, text: string): Promise<BulkJob> {
  const sent = await client.post<{ 202: BulkJob }, unknown>({
    url: "/bulk-jobs",
    security: [{ scheme: "bearer", type: "http" }],
    body: text,
    bodySerializer: null,
    headers: { "Content-Type": type },
  });
  let job: BulkJob = zBulkJob.parse(sent.data);
  while (!job.finished_at) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const read = await readBulkJob({ path: { job_id: job.job } });
    job = require(read.data, read.error);
  }
  return job;
}

const csv = await upload("text/csv", "client_name,email\nFour,four@example.com\nFive,five@example.com\n");
console.log(`csv: ${csv.state}, ${csv.succeeded} of ${csv.total}`);
const rows = [
  { client_name: "Six", email: "six@example.com" },
  { client_name: "Seven", email: "seven@" },
];
const ndjson = await upload("application/x-ndjson", rows.map((row) => JSON.stringify(row)).join("\n"));
console.log(`ndjson: ${ndjson.state}, ${ndjson.succeeded} of ${ndjson.total}`);
const results = await listBulkItems({ path: { job_id: ndjson.job } });
const page = require(results.data, results.error);
if (typeof page === "string") throw new Error("no page");
for (const { row, state, problem } of page.items) {
  if (!problem) console.log(`row ${row}: ${state}`);
  else if (problem.code === "validation-error") {
    console.log(`row ${row}: ${state}, ${problem.status} ${problem.code}, ${first(problem.errors)}`);
  }
}

const path = { tenant_id: tenant.tenant };
const set = await patchSettings({ path, body: { mail: { sender: "hello@example.com" } } });
const settings = require(set.data, set.error);
const { sender, daily } = settings.effective["mail"] ?? {};
const source = settings.sources["mail.sender"];
console.log(`settings: version ${settings.version}, ${sender} of the ${source}, ${daily} a day`);
const wrong = (await patchSettings({ path, body: { mail: { daily: 0 } } })).error;
if (has(wrong, "code", "validation-error")) console.log(`wrong settings: ${wrong.status} ${wrong.code}, ${first(wrong.errors)}`);

const registered = await createWebhook({ body: { url: "https://127.0.0.1/hooks", events: ["partner.updated"] } });
const webhook = require(registered.data, registered.error);
const listed = await listWebhooks();
const webhooks = require(listed.data, listed.error).items;
console.log(`webhook: enabled ${webhook.enabled}, secret ${webhook.secret?.slice(0, 6)}, ${webhooks.length} listed`);

const types: string[] = [];
const names: string[] = [];
let after: string | undefined;
for (let more = true; more; ) {
  const feed = await listEvents({ query: after ? { after, limit: 5 } : { limit: 5 } });
  const { items, next, has_more } = require(feed.data, feed.error);
  for (const event of items) {
    types.push(event.type);
    if (has(event, "type", "tenant.updated")) names.push(`${event.data.client_name}, ${event.changes["industry"]?.new}`);
  }
  [after, more] = [next, has_more];
}
console.log(`events: ${types.join(" ")}`);
console.log(`tenant.updated: ${names.join("; ")}`);
