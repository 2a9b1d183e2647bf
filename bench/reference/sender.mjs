// The sender as one would write it in Node, to be measured beside the real one.
//
// The rule: where all goes well it does what the real one does, with the same calls of AWS and the same headers
// and body for the endpoint. It leaves out what makes a sender last: the backoff between attempts and the end of
// them at a 4xx (the queue's own redelivery stands in), the reasons in the dead-letter queue, the log of failed and
// cancelled deliveries, the check of the addresses that a name leads to, the limits on an answer's size and whole
// time, and second calls for what DynamoDB leaves undone. It writes a body anew, where the real one keeps its bytes.
//
// Needs what package.json names, and is configured by the real sender's environment variables. `npm run build` makes
// one file of it and the packages, which starts in less time.

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
const MAX_BATCH_ITEMS = 25; // what one BatchWriteItem may have
const MAX_SECRETS = 10_000;

const aws = {
  maxAttempts: 2,
  requestHandler: { connectionTimeout: 1000, requestTimeout: 1000 },
  cacheMiddleware: true,
  // Without `info`: for that the SDK would copy every request and answer, to log them nowhere.
  logger: { trace() {}, debug() {}, warn() {}, error() {} },
};
const dynamodb = new DynamoDBClient(aws);
const secretsManager = new SecretsManagerClient(aws);
const endpoints = new Agent({ headersTimeout: 10_000, bodyTimeout: 10_000, connect: { timeout: 10_000, ...trust() } });
const secrets = new Map();

/** Delivers a batch of queue messages; the answer names those that are to come again. */
async function handle(event) {
  const received = event.Records.map(read);
  const webhooks = await lookUp(received.filter((it) => it.message));
  const outcomes = await Promise.allSettled(received.map((it) => deliver(it, webhooks)));

  const failed = [];
  const rows = new Map(); // by delivery, since a batch write takes no key twice
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

/** What a record asks for, or why that cannot be read. */
function read({ messageId, body, attributes }) {
  try {
    const message = JSON.parse(body);
    if (message.v !== 1) throw new Error("unknown message format");
    return { messageId, message, number: message.attempts_before + Number(attributes.ApproximateReceiveCount) };
  } catch (error) {
    return { messageId, error };
  }
}

/** The webhooks as they are now, by tenant and id. */
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

/** Makes the attempt; the row to log, or nothing where the tenant does not want the delivery any more. */
async function deliver({ message, number, error }, webhooks) {
  if (error) throw error;
  const webhook = webhooks.get(idOf(message));
  if (!webhook?.is_active.BOOL) return undefined;
  const secret = await secretOf(idOf(message), webhook.secret_version.S);

  const url = checked(webhook.url.S);
  const body = JSON.stringify(message.body);
  const at = Date.now();
  const answer = await endpoints.request({
    origin: url.origin,
    path: url.pathname + url.search,
    method: "POST",
    headers: headers(message, body, Math.floor(at / 1000), secret),
    body,
  });
  await answer.body.dump();
  if (answer.statusCode < 200 || answer.statusCode > 299) {
    throw new Error(`the endpoint answered ${answer.statusCode}`);
  }
  return rowOf(message, body, number, at, answer.statusCode);
}

/** Every header but Host and Content-Length, with both signatures. */
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

/** The keys of both signatures. A version never changes, so each is read once, also when many wait for it. */
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

/** Refuses what the URL itself shows. The real sender also judges every address that a name leads to. */
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

/** A delivery that succeeded just now, as an item of the log's table. */
function rowOf(message, body, number, at, status) {
  const now = Date.now();
  const createdAt = Number.parseInt(message.delivery_id.replace("-", "").slice(0, 12), 16); // the time in a UUIDv7
  const attempt = {
    number: { N: String(number) },
    at: { S: new Date(at).toISOString() },
    duration_ms: { N: String(now - at) },
    status_code: { N: String(status) },
  };
  return {
    webhook_config_id: { S: message.webhook_config_id },
    delivery_id: { S: message.delivery_id },
    tenant_id: { S: message.tenant_id },
    event: { S: message.event },
    event_id: { S: message.event_id },
    body: { S: body },
    status: { S: "delivered" },
    attempts: { L: [{ M: attempt }] },
    last_attempt: { N: String(number) },
    created_at: { S: new Date(createdAt).toISOString() },
    completed_at: { S: new Date(now).toISOString() },
    ttl: { N: String(Math.floor(now / 1000) + KEEP_SECONDS) },
  };
}

/** Writes the rows. What cannot be written is reported and never posted again. */
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

/** Trusts one more certificate authority. Made once, not per connection: it takes tens of milliseconds. */
function trust() {
  if (!EXTRA_CA_FILE) return {};
  return { secureContext: createSecureContext({ ca: [...rootCertificates, readFileSync(EXTRA_CA_FILE)] }) };
}

function report(message, error) {
  console.log(JSON.stringify({ message, error: error?.message }));
}

/** Takes invocations until the Runtime API is gone, all on one connection. */
async function main() {
  const runtime = new Pool(`http://${AWS_LAMBDA_RUNTIME_API}`, { connections: 1, headersTimeout: 0 });
  const call = (method, path, body) =>
    runtime.request({ method, path: `/2018-06-01/runtime/invocation/${path}`, body: body && JSON.stringify(body) });
  for (;;) {
    const next = await call("GET", "next");
    const id = next.headers["lambda-runtime-aws-request-id"];
    const event = await next.body.json();
    const [path, answer] = await handle(event).then(
      (answer) => [`${id}/response`, answer],
      (error) => {
        report("the batch failed", error); // all of it comes again
        return [`${id}/error`, { errorType: error.name, errorMessage: error.message }];
      },
    );
    const taken = await call("POST", path, answer);
    await taken.body.dump();
  }
}

main();
