// slim.mjs IN OUT: cuts GitHub's OpenAPI description (npm @octokit/openapi, MIT) to the requests that omk may send.
// Answers, prose and examples are left out: what comes back is not checked, and they are most of the file.
import fs from "node:fs";

const [, , from, to] = process.argv;
const whole = JSON.parse(fs.readFileSync(from, "utf8"));
const repo = "/repos/{owner}/{repo}";
const keep = {
  "": ["get"],
  "/actions/artifacts": ["get"],
  "/actions/artifacts/{artifact_id}": ["get"],
  "/actions/artifacts/{artifact_id}/{archive_format}": ["get"],
  "/actions/runs": ["get"],
  "/actions/runs/{run_id}": ["get"],
  "/actions/runs/{run_id}/artifacts": ["get"],
  "/actions/runs/{run_id}/cancel": ["post"],
  "/activity": ["get"],
  "/branches": ["get"],
  "/branches/{branch}": ["get"],
  "/check-runs": ["post"],
  "/check-runs/{check_run_id}": ["get", "patch"],
  "/check-runs/{check_run_id}/annotations": ["get"],
  "/collaborators/{username}/permission": ["get"],
  "/commits/{commit_sha}/pulls": ["get"],
  "/commits/{ref}": ["get"],
  "/commits/{ref}/check-runs": ["get"],
  "/commits/{ref}/status": ["get"],
  "/commits/{ref}/statuses": ["get"],
  "/compare/{basehead}": ["get"],
  "/contents/{path}": ["get"],
  "/git/blobs/{file_sha}": ["get"],
  "/git/commits/{commit_sha}": ["get"],
  "/git/matching-refs/{ref}": ["get"],
  "/git/ref/{ref}": ["get"],
  "/git/refs": ["post"],
  "/git/refs/{ref}": ["patch", "delete"],
  "/git/trees/{tree_sha}": ["get"],
  "/installation": ["get"],
  "/issues": ["get", "post"],
  "/issues/comments/{comment_id}": ["get", "patch", "delete"],
  "/issues/comments/{comment_id}/reactions": ["get", "post"],
  "/issues/comments/{comment_id}/reactions/{reaction_id}": ["delete"],
  "/issues/{issue_number}": ["get", "patch"],
  "/issues/{issue_number}/comments": ["get", "post"],
  "/issues/{issue_number}/labels": ["get", "post"],
  "/issues/{issue_number}/reactions": ["get", "post"],
  "/pulls": ["get", "post"],
  "/pulls/{pull_number}": ["get", "patch"],
  "/pulls/{pull_number}/commits": ["get"],
  "/pulls/{pull_number}/files": ["get"],
  "/statuses/{sha}": ["post"],
};
const others = {
  "/app": ["get"],
  "/app/installations/{installation_id}/access_tokens": ["post"],
  "/rate_limit": ["get"],
  "/user": ["get"],
  "/users/{username}": ["get"],
};

const prose = new Set(["description", "summary", "example", "examples", "externalDocs", "tags", "operationId"]);
// A property may be called `description`; then it holds a schema.
const isSchema = (value) => value && typeof value === "object" && ["type", "$ref", "oneOf", "anyOf"].some((key) => key in value);
const cut = (value) => {
  if (Array.isArray(value)) return value.map(cut);
  if (!value || typeof value !== "object") return value;
  const left = Object.entries(value).filter(([key, inner]) => !key.startsWith("x-") && (!prose.has(key) || isSchema(inner)));
  return Object.fromEntries(left.map(([key, inner]) => [key, cut(inner)]));
};

const paths = {};
const wanted = [...Object.entries(keep).map(([path, methods]) => [repo + path, methods]), ...Object.entries(others)];
for (const [path, methods] of wanted) {
  const item = whole.paths[path];
  if (!item) throw new Error(`there is no ${path}`);
  paths[path] = {};
  for (const method of methods) {
    if (!item[method]) throw new Error(`there is no ${method} ${path}`);
    paths[path][method] = { ...cut(item[method]), responses: { default: { description: "any" } } };
  }
}

const components = {};
const seen = new Set();
const collect = (value) => {
  if (!value || typeof value !== "object") return;
  if (typeof value.$ref === "string" && !seen.has(value.$ref)) {
    seen.add(value.$ref);
    const [, , kind, name] = value.$ref.split("/");
    const found = cut(whole.components[kind][name]);
    (components[kind] ??= {})[name] = found;
    collect(found);
  }
  Object.values(value).forEach(collect);
};
collect(paths);

// A line for each path, so that a change can be read.
const entries = (object) => Object.entries(object).sort().map(([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`);
const info = {
  title: "GitHub's REST API, cut to the requests that omk may send", version: whole.info.version,
  license: { name: "MIT" }, "x-copyright": "Copyright (c) 2020 Octokit contributors; github-api.LICENSE has the terms",
};
const kinds = Object.entries(components).map(([kind, named]) => `${JSON.stringify(kind)}: {\n${entries(named).join(",\n")}\n}`);
fs.writeFileSync(to, `{"openapi": "${whole.openapi}",\n"info": ${JSON.stringify(info)},\n"paths": {\n${entries(paths).join(",\n")}\n},\n` +
  `"components": {${kinds.join(",\n")}}}\n`);
