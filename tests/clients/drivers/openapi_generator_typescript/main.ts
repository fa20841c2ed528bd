// The scenario through the axios client of openapi-generator.

import { isAxiosError } from "axios";
import {
  BulkApi,
  Configuration,
  EventsApi,
  SettingsApi,
  TenantsApi,
  WebhooksApi,
  type BulkJob,
  type InputError,
  type PreconditionFailedProblem,
  type TenantExistsProblem,
  type TenantUpdatedEvent,
  type ValidationErrorProblem,
} from "./client/index";

const { API, TOKEN } = process.env as { API: string; TOKEN: string };
const configuration = new Configuration({ basePath: API, accessToken: TOKEN });
const bulk = new BulkApi(configuration);
const events = new EventsApi(configuration);
const tenants = new TenantsApi(configuration);
const tenantSettings = new SettingsApi(configuration);
const webhooks = new WebhooksApi(configuration);

// The generated functions throw axios's errors, which do not say what type the problem has.
async function refuse<P extends { code: string }>(call: Promise<unknown>, code: P["code"]): Promise<P> {
  try {
    await call;
  } catch (error) {
    if (isAxiosError<P>(error) && error.response?.data.code === code) return error.response.data;
    throw error;
  }
  throw new Error(`no ${code}`);
}

const first = (errors?: InputError[]): string => `${errors?.[0]?.pointer} ${errors?.[0]?.code}`;

const example = { client_name: "Example Corp", email: "admin@example.com" };
const tenant = (await tenants.createTenant(example)).data;
console.log(`create: ${tenant.client_name}, ${tenant.status}, version ${tenant.version}`);

const duplicate = await refuse<TenantExistsProblem>(tenants.createTenant(example), "tenant-exists");
const same = duplicate.conflicting_tenant === tenant.tenant;
console.log(`duplicate: ${duplicate.status} ${duplicate.code}, ${duplicate.field} of the same tenant: ${same}`);

const invalid = await refuse<ValidationErrorProblem>(tenants.createTenant({ ...example, email: "admin@" }), "validation-error");
console.log(`invalid: ${invalid.status} ${invalid.code}, ${first(invalid.errors)}`);

for (const name of ["Two", "Three"]) {
  await tenants.createTenant({ client_name: name, email: `${name}@example.com` });
}
const pages: number[] = [];
let cursor: string | null | undefined;
do {
  const { items, next } = (await tenants.listTenants(undefined, 2, cursor ?? undefined)).data;
  pages.push(items.length);
  cursor = next;
} while (cursor);
console.log(`pages: ${pages.join(", ")}`);

const change = (industry: string) => tenants.patchTenant(tenant.tenant, { industry }, undefined, '"1"');
const changed = await change("Finance");
console.log(`update: ${changed.data.industry}, version ${changed.data.version}, ETag ${changed.headers["etag"]}`);
const conflict = await refuse<PreconditionFailedProblem>(change("Arts"), "precondition-failed");
console.log(`conflict: ${conflict.status} ${conflict.code}`);

// The generated function takes JSON; axios sends another body and type where the options of the call say so.
async function upload(type: string, text: string): Promise<BulkJob> {
  const options = { data: text, headers: { "Content-Type": type }, transformRequest: () => text };
  let job = (await bulk.createBulkJob([], undefined, undefined, undefined, undefined, undefined, undefined, options)).data;
  while (!job.finished_at) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    job = (await bulk.readBulkJob(job.job)).data;
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
for (const { row, state, problem } of (await bulk.listBulkItems(ndjson.job)).data.items) {
  if (!problem) console.log(`row ${row}: ${state}`);
  else console.log(`row ${row}: ${state}, ${problem.status} ${problem.code}, ${first(problem.errors)}`);
}

const set = await tenantSettings.patchSettings(tenant.tenant, { mail: { sender: "hello@example.com" } });
const { effective, sources, version } = set.data;
const { sender, daily } = effective.mail ?? {};
console.log(`settings: version ${version}, ${sender} of the ${sources["mail.sender"]}, ${daily} a day`);
const wrong = await refuse<ValidationErrorProblem>(
  tenantSettings.patchSettings(tenant.tenant, { mail: { daily: 0 } }),
  "validation-error",
);
console.log(`wrong settings: ${wrong.status} ${wrong.code}, ${first(wrong.errors)}`);

const { enabled, secret } = (await webhooks.createWebhook({ url: "https://127.0.0.1/hooks", events: ["partner.updated"] })).data;
const listed = (await webhooks.listWebhooks()).data.items;
console.log(`webhook: enabled ${enabled}, secret ${secret?.slice(0, 6)}, ${listed.length} listed`);

const types: string[] = [];
const names: string[] = [];
let after: string | undefined;
for (let more = true; more; ) {
  const { items, next, has_more } = (await events.listEvents(undefined, after, undefined, undefined, 5)).data;
  for (const event of items) {
    types.push(event.type);
    if (event.type === "tenant.updated") {
      const { data, changes } = event as TenantUpdatedEvent;
      names.push(`${data.client_name}, ${changes["industry"]?.new}`);
    }
  }
  [after, more] = [next, has_more];
}
console.log(`events: ${types.join(" ")}`);
console.log(`tenant.updated: ${names.join("; ")}`);
