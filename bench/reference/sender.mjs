// A typical sender in Node, for comparison with the real one.
//
// The rule: if nothing fails, it does the same as the real sender: the same AWS calls, and the same headers and body
// for the endpoint. It has no error handling beyond the basics: no backoff between attempts and no stop after a 4xx
// (the queue redelivers instead), no reasons in the dead-letter queue, no log of failed and cancelled deliveries, a row
// of the last attempt only, no check of the addresses that a name resolves to, no limit on the size and total time of a
// response, and no retry of items that DynamoDB leaves unprocessed. It serializes the body again, while the real sender
// keeps the exact bytes.
//
// It needs the packages in package.json and reads the real sender's environment variables. `npm run build` bundles it
// with the packages into one file, which starts faster.

import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { BlockList, isIP } from "node:net";
import { createSecureContext, rootCertificates } from "node:tls";

import { BatchGetItemCommand, BatchWriteItemCommand, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { Agent, Pool } from "undici";

const { AWS_LAMBDA_RUNTIME_API, WEBHOOKS_TABLE, DELIVERIES_TABLE, SECRETS_PREFIX, EXTRA_CA_FILE } = process.env;
const KEEP_SECONDS = Number(process.env.DELIVERY_LOG_DAYS) * 24 * 60 * 60;
const ALLOW_HTTP = process.env.ALLOW_HTTP_ENDPOINTS === "true";
const ALLOWED = networks(process.env.ALLOWED_NETWORKS ?? "");
const FORBIDDEN = networks(
  "0.0.0.0/8,10.0.0.0/8,100.64.0.0/10,127.0.0.0/8,169.254.0.0/16,172.16.0.0/12,192.168.0.0/16,224.0.0.0/3," +
    "::/8,fc00::/7,fe80::/10,ff00::/8",
);
const MAX_BATCH_ITEMS = 25; // limit of one BatchWriteItem
const MAX_SECRETS = 10_000;

const aws = {
  maxAttempts: 2,
  requestHandler: { connectionTimeout: 1000, requestTimeout: 1000 },
  cacheMiddleware: true,
  // No `info` method: with one, the SDK would copy every request and response for it.
  logger: { trace() {}, debug() {}, warn() {}, error() {} },
};
const dynamodb = new DynamoDBClient(aws);
const secretsManager = new SecretsManagerClient(aws);
const endpoints = new Agent({ headersTimeout: 10_000, bodyTimeout: 10_000, connect: { timeout: 10_000, ...trust() } });
const secrets = new Map();

/** Delivers a batch of queue messages. The response names the failed ones, which the queue delivers again. */
async function handle(event) {
  const received = event.Records.map(read);
  const webhooks = await lookUp(received.filter((it) => it.message));
  const outcomes = await Promise.allSettled(received.map((it) => deliver(it, webhooks)));

  const failed = [];
  const rows = new Map(); // by delivery, because DynamoDB refuses a batch write with the same key twice
  outcomes.forEach(({ reason, value: row }, at) => {
    if (reason) {
      report("a delivery failed", reason);
      failed.push({ itemIdentifier: received[at].messageId });
    } else if (row) {
      rows.set(row.delivery_id.S, row);
    }
  });
  await log([...rows.values()]);
  return { batchItemFailures: failed };
}

/** Parses a record. Returns the message and its attempt number, or the error. */
function read({ messageId, body, attributes }) {
  try {
    const message = JSON.parse(body);
    if (message.v !== 1) throw new Error("unknown message format");
    return { messageId, message, number: message.attempts_before + Number(attributes.ApproximateReceiveCount) };
  } catch (error) {
    return { messageId, error };
  }
}

/** The current webhooks, by tenant and id. */
async function lookUp(received) {
  const ids = new Map(received.map(({ message }) => [idOf(message), message]));
  if (ids.size === 0) return ids;
  const Keys = Array.from(ids.values(), ({ tenant_id, webhook_config_id }) => ({
    tenant_id: { S: tenant_id },
    webhook_config_id: { S: webhook_config_id },
  }));
  const RequestItems = { [WEBHOOKS_TABLE]: { Keys, ConsistentRead: true } };
  const { Responses, UnprocessedKeys } = await dynamodb.send(new BatchGetItemCommand({ RequestItems }));
  if (Object.keys(UnprocessedKeys ?? {}).length > 0) throw new Error("not all webhooks could be read");
  const rows = Responses[WEBHOOKS_TABLE];
  return new Map(rows.map((row) => [`${row.tenant_id.S}/${row.webhook_config_id.S}`, row]));
}

/** Makes the attempt. Returns the row to log, or nothing if the webhook is deleted or inactive. */
async function deliver({ message, number, error }, webhooks) {
  if (error) throw error;
  const webhook = webhooks.get(idOf(message));
  if (!webhook?.is_active.BOOL) return undefined;
  const secret = await secretOf(idOf(message), webhook.secret_version.S);

  const url = checked(webhook.url.S);
  const body = JSON.stringify(message.body);
  const at = Date.now();
  const response = await endpoints.request({
    origin: url.origin,
    path: url.pathname + url.search,
    method: "POST",
    headers: headers(message, body, Math.floor(at / 1000), secret),
    body,
  });
  await response.body.dump();
  if (response.statusCode < 200 || response.statusCode > 299) {
    throw new Error(`the endpoint answered ${response.statusCode}`);
  }
  return rowOf(message, body, number, at, response.statusCode);
}

/** All headers except Host and Content-Length, with both signatures. */
function headers(message, body, at, secret) {
  const standard = createHmac("sha256", secret.decoded).update(`${message.event_id}.${at}.${body}`).digest("base64");
  return {
    "content-type": "application/json",
    accept: "*/*",
    "user-agent": "DocIntell-Webhooks/0.1.0",
    "x-docintell-signature": `sha256=${createHmac("sha256", secret.text).update(body).digest("hex")}`,
    "x-docintell-event": message.event,
    "x-docintell-timestamp": String(Math.floor(Date.parse(message.occurred_at) / 1000)),
    "x-docintell-delivery": message.delivery_id,
    "webhook-id": message.event_id,
    "webhook-timestamp": String(at),
    "webhook-signature": `v1,${standard}`,
  };
}

/** The keys of both signatures. A version never changes, so it is read once, even if many deliveries wait for it. */
function secretOf(id, version) {
  const known = secrets.get(id);
  if (known?.version === version) return known.secret;
  if (secrets.size >= MAX_SECRETS) secrets.clear();
  const request = new GetSecretValueCommand({ SecretId: `${SECRETS_PREFIX}/${id}`, VersionId: version });
  const secret = secretsManager.send(request).then(({ SecretString }) => {
    const { current: text } = JSON.parse(SecretString);
    return { text, decoded: Buffer.from(text.replace(/^whsec_/, ""), "base64") };
  });
  secret.catch(() => secrets.delete(id));
  secrets.set(id, { version, secret });
  return secret;
}

/** Checks the URL itself. The real sender also checks every address that a name resolves to. */
function checked(text) {
  const url = new URL(text);
  if (url.protocol !== "https:" && !ALLOW_HTTP) throw new Error("the URL must start with https://");
  const address = url.hostname.replace(/^\[|\]$/g, "");
  const family = { 4: "ipv4", 6: "ipv6" }[isIP(address)];
  if (family && FORBIDDEN.check(address, family) && !ALLOWED.check(address, family)) {
    throw new Error("the endpoint's address is not allowed");
  }
  return url;
}

/** The log row of a delivery that has just succeeded. */
function rowOf(message, body, number, at, status) {
  const now = Date.now();
  const attempt = {
    number: { N: String(number) },
    at: { S: new Date(at).toISOString() },
    duration_ms: { N: String(now - at) },
    status_code: { N: String(status) },
  };
  return {
    webhook: { S: idOf(message) },
    delivery_id: { S: message.delivery_id },
    event: { S: message.event },
    event_id: { S: message.event_id },
    document_id: { S: message.body.data.document_id },
    job_id: { S: message.body.data.job_id },
    status: { S: "delivered" },
    chain: { N: String(message.chain ?? 1) },
    attempt_count: { N: "1" },
    last_attempt: { N: String(number) },
    last_status_code: { N: String(status) },
    completed_at: { S: new Date(now).toISOString() },
    occurred_at: { S: message.occurred_at },
    body: { S: body },
    attempts: { L: [{ M: attempt }] },
    ttl: { N: String(Math.floor(now / 1000) + KEEP_SECONDS) },
  };
}

/** Writes the rows. If that fails, reports the error and does not post again. */
async function log(rows) {
  const puts = rows.map((Item) => ({ PutRequest: { Item } }));
  for (let start = 0; start < puts.length; start += MAX_BATCH_ITEMS) {
    const RequestItems = { [DELIVERIES_TABLE]: puts.slice(start, start + MAX_BATCH_ITEMS) };
    try {
      const { UnprocessedItems } = await dynamodb.send(new BatchWriteItemCommand({ RequestItems }));
      if (Object.keys(UnprocessedItems ?? {}).length > 0) report("rows of the delivery log were not written");
    } catch (error) {
      report("cannot write the delivery log", error);
    }
  }
}

function idOf({ tenant_id, webhook_config_id }) {
  return `${tenant_id}/${webhook_config_id}`;
}

function networks(text) {
  const list = new BlockList();
  for (const network of text.split(",").filter((it) => it.trim())) {
    const [address, bits] = network.trim().split("/");
    list.addSubnet(address, Number(bits), isIP(address) === 6 ? "ipv6" : "ipv4");
  }
  return list;
}

/** Trusts one more certificate authority. Called once, not per connection, because it takes tens of milliseconds. */
function trust() {
  if (!EXTRA_CA_FILE) return {};
  return { secureContext: createSecureContext({ ca: [...rootCertificates, readFileSync(EXTRA_CA_FILE)] }) };
}

function report(message, error) {
  console.log(JSON.stringify({ message, error: error?.message }));
}

/** Handles invocations on one connection until the Runtime API closes it. */
async function main() {
  const runtime = new Pool(`http://${AWS_LAMBDA_RUNTIME_API}`, { connections: 1, headersTimeout: 0 });
  const call = (method, path, body) =>
    runtime.request({ method, path: `/2018-06-01/runtime/invocation/${path}`, body: body && JSON.stringify(body) });
  for (;;) {
    const next = await call("GET", "next");
    const id = next.headers["lambda-runtime-aws-request-id"];
    const event = await next.body.json();
    const [path, result] = await handle(event).then(
      (response) => [`${id}/response`, response],
      (error) => {
        report("the batch failed", error); // the queue delivers the whole batch again
        return [`${id}/error`, { errorType: error.name, errorMessage: error.message }];
      },
    );
    const posted = await call("POST", path, result);
    await posted.body.dump();
  }
}

main();
