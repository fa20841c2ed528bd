const input = "./openapi.json";
const override = { splitByContentType: true, mutator: { path: "./send.ts", name: "send" } };

export default {
  client: { input, output: { target: "./client/api.ts", schemas: "./client/model", client: "fetch", mode: "split", override } },
  zod: { input, output: { target: "./client/schemas.ts", client: "zod", override: { splitByContentType: true } } },
};
