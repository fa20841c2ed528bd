
for (const line of require("node:fs").readFileSync(0, "utf8").trim().split("\n")) {
  const [body, ...rest] = line.split("\t").map((field) => Buffer.from(field, "base64"));
  const [id, timestamp, signatures, secret, now] = rest.map(String);
  console.log(isGenuine(body, id, timestamp, signatures, secret, Number(now)) ? "genuine" : "refused");
}
