// The scenario through the functions of orval; its zod schemas check what arrives.

import {
  createBulkJobWithCsv,
  createBulkJobWithXNdjson,
  createTenant,
  createWebhook,
  listBulkItems,
  listEvents,
  listTenants,
  listWebhooks,
  patchSettingsWithMergePatchJson,
  patchTenantWithMergePatchJson,
  readBulkJob,
} from "./client/api";
import { CreateTenantResponse } from "./client/schemas";

type FieldErrors = { pointer: string; code: string }[];

function unexpected(response: unknown): never {
  throw new Error(`unexpected: ${JSON.stringify(response)}`);
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
const created = await createTenant(example);
if (created.status !== 201) unexpected(created);
const tenant = created.data;
CreateTenantResponse.parse(tenant);
console.log(`create: ${tenant.client_name}, ${tenant.status}, version ${tenant.version}`);

const duplicate = await createTenant(example);
if (duplicate.status === 409 && has(duplicate.data, "code", "tenant-exists")) {
  const { status, code, field, conflicting_tenant } = duplicate.data;
  console.log(`duplicate: ${status} ${code}, ${field} of the same tenant: ${conflicting_tenant === tenant.tenant}`);
}

const invalid = await createTenant({ ...example, email: "admin@" });
if (invalid.status === 400 && has(invalid.data, "code", "validation-error")) {
  console.log(`invalid: ${invalid.status} ${invalid.data.code}, ${first(invalid.data.errors)}`);
}

for (const name of ["Two", "Three"]) {
  await createTenant({ client_name: name, email: `${name}@example.com` });
}
const pages: number[] = [];
let cursor: string | null | undefined;
do {
  const page = await listTenants(cursor ? { limit: 2, cursor } : { limit: 2 });
  if (page.status !== 200) unexpected(page);
  pages.push(page.data.items.length);
  cursor = page.data.next;
} while (cursor);
console.log(`pages: ${pages.join(", ")}`);

const change = (industry: string) =>
  patchTenantWithMergePatchJson(tenant.tenant, { industry }, undefined, { headers: { "If-Match": '"1"' } });
const changed = await change("Finance");
if (changed.status !== 200) unexpected(changed);
const { industry, version } = changed.data;
console.log(`update: ${industry}, version ${version}, ETag ${changed.headers.get("ETag")}`);
const conflict = await change("Arts");
if (conflict.status === 412) console.log(`conflict: ${conflict.status} ${conflict.data.code}`);

async function wait(sent: Awaited<ReturnType<typeof createBulkJobWithCsv | typeof createBulkJobWithXNdjson>>) {
  if (sent.status !== 202) unexpected(sent);
  let job = sent.data;
  while (!job.finished_at) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const read = await readBulkJob(job.job);
    if (read.status !== 200) unexpected(read);
    job = read.data;
  }
  return job;
}

const file = new Blob(["client_name,email\nFour,four@example.com\nFive,five@example.com\n"]);
const csv = await wait(await createBulkJobWithCsv(file));
console.log(`csv: ${csv.state}, ${csv.succeeded} of ${csv.total}`);
const rows = [
  { client_name: "Six", email: "six@example.com" },
  { client_name: "Seven", email: "seven@" },
];
const ndjson = await wait(await createBulkJobWithXNdjson(new Blob([rows.map((row) => JSON.stringify(row)).join("\n")])));
console.log(`ndjson: ${ndjson.state}, ${ndjson.succeeded} of ${ndjson.total}`);
const results = await listBulkItems(ndjson.job);
if (results.status !== 200 || !("data" in results) || typeof results.data === "string") unexpected(results);
for (const { row, state, problem } of results.data.items) {
  if (!problem) console.log(`row ${row}: ${state}`);
  else if (problem.code === "validation-error") {
    console.log(`row ${row}: ${state}, ${problem.status} ${problem.code}, ${first(problem.errors)}`);
  }
}

const set = await patchSettingsWithMergePatchJson(tenant.tenant, { mail: { sender: "hello@example.com" } });
if (set.status !== 200) unexpected(set);
const settings = set.data;
const { sender, daily } = settings.effective["mail"] ?? {};
const source = settings.sources["mail.sender"];
console.log(`settings: version ${settings.version}, ${sender} of the ${source}, ${daily} a day`);
const wrong = await patchSettingsWithMergePatchJson(tenant.tenant, { mail: { daily: 0 } });
if (wrong.status === 400 && has(wrong.data, "code", "validation-error")) {
  console.log(`wrong settings: ${wrong.status} ${wrong.data.code}, ${first(wrong.data.errors)}`);
}

const registered = await createWebhook({ url: "https://127.0.0.1/hooks", events: ["partner.updated"] });
if (registered.status !== 201) unexpected(registered);
const listed = await listWebhooks();
if (listed.status !== 200) unexpected(listed);
const { enabled, secret } = registered.data;
console.log(`webhook: enabled ${enabled}, secret ${secret?.slice(0, 6)}, ${listed.data.items.length} listed`);

const types: string[] = [];
const names: string[] = [];
let after: string | undefined;
for (let more = true; more; ) {
  const feed = await listEvents(after ? { after, limit: 5 } : { limit: 5 });
  if (feed.status !== 200) unexpected(feed);
  const { items, next, has_more } = feed.data;
  for (const event of items) {
    types.push(event.type);
    if (has(event, "type", "tenant.updated")) names.push(`${event.data.client_name}, ${event.changes["industry"]?.new}`);
  }
  [after, more] = [next, has_more];
}
console.log(`events: ${types.join(" ")}`);
console.log(`tenant.updated: ${names.join("; ")}`);
