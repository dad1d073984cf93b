// The emulated GitHub, and the validating proxy in front of it, in one process on loopback ports of their own.
//
// It reads one line of JSON: {"url": where the front door answers, "upstream": where Prism sends what is valid, "prism":
// true | false}. It prints one line of JSON, and ends when its input does. It keeps nothing on disk.
import crypto from "node:crypto";
import { createRequire } from "node:module";
import net from "node:net";
import path from "node:path";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
// The packages lie where they were installed, and this file lies in the repository.
const tools = createRequire(path.join(process.argv[2], "node_modules", "none.js"));

const lines = createInterface({ input: process.stdin });
const [line] = await once(lines, "line");
const wanted = JSON.parse(line);
lines.on("close", () => process.exit(0));

const { publicKey, privateKey } = crypto.generateKeyPairSync("rsa", { modulusLength: 2048 });
const pem = privateKey.export({ type: "pkcs1", format: "pem" });
const all = {
  actions: "write", checks: "write", contents: "write", issues: "write", metadata: "read", pull_requests: "write",
  statuses: "write",
};
const app = (app_id, slug, installation_id) => ({
  app_id, slug, name: slug, private_key: pem, permissions: all, events: [],
  installations: [{ installation_id, account: "acme", repository_selection: "all" }],
});
const people = ["maintainer", "contributor", "reader", "drive-by", "renovate[bot]"];
const seed = {
  tokens: Object.fromEntries(people.map((login) => [`ghp_${login}`, { login, scopes: ["repo"] }])),
  github: {
    users: people.map((login) => ({ login, name: login })),
    orgs: [{ login: "acme", name: "Acme", members: [{ login: "maintainer", role: "admin" }] }],
    repos: [{ owner: "acme", name: "widget", auto_init: true }],
    // The first is GitHub's own, whose tokens jobs get; the second is the one that people may bring.
    apps: [app(15368, "github-actions", 100), app(12345, "omk-action", 101)],
  },
};

// emulate listens on all addresses; here it gets the loopback one, and a free port.
const servers = [];
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...args) {
  servers.push(this);
  const done = args.find((arg) => typeof arg === "function");
  return listen.call(this, { port: 0, host: "127.0.0.1" }, done);
};
const { createEmulator } = await import(pathToFileURL(path.join(process.argv[2], "node_modules/emulate/dist/api.js")));
await createEmulator({ service: "github", port: 1, seed, baseUrl: wanted.url });
const [emulator] = servers;
if (!emulator.listening) await once(emulator, "listening");
net.Server.prototype.listen = listen;

let prism = null;
if (wanted.prism) {
  const { getHttpOperationsFromSpec } = tools("@stoplight/prism-http");
  const { createServer } = tools("@stoplight/prism-http-server");
  const { createLogger } = tools("@stoplight/prism-core");
  const operations = await getHttpOperationsFromSpec(path.join(here, "github-api.json"));
  const config = {
    isProxy: true, upstream: new URL(wanted.upstream), validateRequest: true, validateResponse: false,
    checkSecurity: false, errors: true, mock: { dynamic: false },
  };
  const components = { logger: createLogger("prism", { level: "silent" }) };
  prism = await createServer(operations, { cors: false, config, components }).listen(0, "127.0.0.1");
}

const numbers = privateKey.export({ format: "jwk" });
const emulate = `http://127.0.0.1:${emulator.address().port}`;
process.stdout.write(`${JSON.stringify({ emulate, prism, key: pem, n: numbers.n, d: numbers.d })}\n`);
