// An agent in another language, written from docs/gate.md alone: node tests/agent/agent.mjs PORT, with the pod's environment.
// GET /work/NAME is a task that lasts until POST /go/NAME.
import { createPublicKey, verify } from "node:crypto";
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { createServer } from "node:http";

const { POD_UID: uid, AGENT_SCALER_STATE: folder, AGENT_SCALER_KEYS: keys } = process.env;
const file = `${folder}/state.json`;
let state = recall(), kept = state, inflight = 0, idleSince = Date.now() / 1000;
const waiting = new Map();

function recall() {
  mkdirSync(folder, { recursive: true });
  if (!existsSync(file)) return { uid, open: true, epoch: 0 };
  try {
    const said = JSON.parse(readFileSync(file));
    if (said.uid !== uid) return { uid, open: true, epoch: 0 };
    if (typeof said.open === "boolean" && Number.isInteger(said.epoch)) return said;
  } catch {}
  return { uid, open: false, epoch: -1 };
}

function keep(next) {
  const draft = openSync(`${file}.draft`, "w");
  writeSync(draft, JSON.stringify(next));
  fsyncSync(draft);
  closeSync(draft);
  renameSync(`${file}.draft`, file);
  const parent = openSync(folder, "r");
  fsyncSync(parent);
  closeSync(parent);
  kept = next;
}

const acked = () => !state.open && state.epoch >= 0 && kept === state && inflight === 0;
const refuse = (status, error, more = {}) => [status, { error, ...more }];

function believed(token, act) {
  const [header, payload, signature, ...rest] = token.split(".");
  if (!signature || rest.length) throw new Error("no compact JWS");
  const { alg, kid } = JSON.parse(Buffer.from(header, "base64url"));
  const jwk = JSON.parse(readFileSync(keys)).keys.find((key) => key.kid === kid && key.crv === "Ed25519");
  if (alg !== "EdDSA" || !jwk) throw new Error("no key of ours");
  const key = createPublicKey({ key: jwk, format: "jwk" });
  if (!verify(null, Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, "base64url"))) throw new Error("not signed");
  const claims = JSON.parse(Buffer.from(payload, "base64url")), now = Date.now() / 1000;
  const timely = claims.exp - claims.iat <= 300 && claims.iat - 30 <= now && now < claims.exp + 30;
  if (claims.aud !== "agent-scaler/gate" || claims.act !== act || !timely) throw new Error("not for this act, or not now");
  return claims;
}

function order(body, act) {
  let token, claims;
  try { token = JSON.parse(body).order; } catch {}
  if (typeof token !== "string") return refuse(400, "no order");
  try { claims = believed(token, act); } catch (error) { return refuse(403, error.message); }
  const { sub, epoch } = claims, open = act === "resume";
  if (sub !== uid) return refuse(409, "another pod's", { uid, asked: sub });
  const stale = epoch < state.epoch || (epoch === state.epoch && open !== state.open) || (open && state.epoch < 0);
  if (stale) return refuse(409, "older than the last one", { epoch: Math.max(0, state.epoch), asked: epoch });
  const next = epoch === state.epoch ? state : { uid, open, epoch };
  if (!open) state = next; // from here nothing begins
  try { keep(next); } catch (error) { return refuse(503, error.message); }
  state = next;
  if (open) return [200, { state: "active", epoch }];
  return acked() ? [200, { state: "drained", epoch }] : [200, { state: "busy", epoch, inflight, sessions: 0, eta: null }];
}

function activity() {
  const phase = state.open ? "active" : acked() ? "drained" : "draining";
  const told = { uid, inflight, sessions: 0, slots: 2, ready: state.epoch >= 0, accepting: state.open, phase };
  Object.assign(told, { epoch: Math.max(0, state.epoch), idle_since: inflight ? null : idleSince });
  return acked() ? { ...told, acked: state.epoch } : told;
}

async function work(name) {
  if (!state.open) return refuse(503, "this pod drains");
  inflight += 1;
  await new Promise((resolve) => waiting.set(name, resolve));
  inflight -= 1;
  idleSince = Date.now() / 1000;
  return [200, {}];
}

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const [, route, name] = request.url.split("/"), body = Buffer.concat(chunks).toString();
  const routes = { activity: () => [200, activity()], drain: () => order(body, "drain"), resume: () => order(body, "resume") };
  Object.assign(routes, { work: () => work(name), go: () => (waiting.get(name)?.(), [200, {}]) });
  const [status, said] = await (routes[route] ?? (() => refuse(404, "there is no such route")))();
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(said));
}).listen(Number(process.argv[2]), "127.0.0.1");
