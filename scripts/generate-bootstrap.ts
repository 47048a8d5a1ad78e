// Writes services/apiserver/src/bootstrap/generated from the tables of what a fresh API server holds (Kubernetes 1.34).
//   node scripts/node.mjs scripts/generate-bootstrap.ts [folder] [--check]
// The folder is the argument, else PODWIRE_SPEC, else ../shared/spec. With --check a stale file is an error.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const args = process.argv.slice(2);
const dir = args.find((a) => !a.startsWith("-")) ?? process.env["PODWIRE_SPEC"] ?? join(root, "..", "shared", "spec");
const out = join(root, "services/apiserver/src/bootstrap/generated/tables.ts");

const rbac = JSON.parse(readFileSync(join(dir, "bootstrap-rbac-1.34.json"), "utf8"));
const objects = JSON.parse(readFileSync(join(dir, "bootstrap-objects-1.34.json"), "utf8"));
const rows = (list: unknown[]) => `[\n${list.map((o) => `  ${JSON.stringify(o)},\n`).join("")}]`;
const text = [
  "// Generated from the Kubernetes 1.34 bootstrap tables by scripts/generate-bootstrap.ts; do not edit.",
  'import type { BootstrapRow } from "../bootstrap.ts";',
  "",
  `export const CLUSTER_ROLES: readonly BootstrapRow[] = ${rows(rbac.clusterroles)};`,
  `export const CLUSTER_ROLE_BINDINGS: readonly BootstrapRow[] = ${rows(rbac.clusterrolebindings)};`,
  `export const ROLES: readonly BootstrapRow[] = ${rows(rbac.roles)};`,
  `export const ROLE_BINDINGS: readonly BootstrapRow[] = ${rows(rbac.rolebindings)};`,
  `export const PRIORITY_CLASSES: readonly BootstrapRow[] = ${rows(objects["/apis/scheduling.k8s.io/v1/priorityclasses"])};`,
  `export const FLOW_SCHEMAS: readonly BootstrapRow[] = ${rows(objects["/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas"])};`,
  `export const PRIORITY_LEVELS: readonly BootstrapRow[] = ${rows(objects["/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations"])};`,
  `export const NAMESPACES: readonly BootstrapRow[] = ${rows(objects["/api/v1/namespaces"])};`,
  `export const API_SERVICES: readonly BootstrapRow[] = ${rows(objects["/apis/apiregistration.k8s.io/v1/apiservices"])};`,
  "",
].join("\n");

if (existsSync(out) && readFileSync(out, "utf8") === text) process.exit(0);
if (args.includes("--check")) {
  process.stderr.write(`stale: ${out}\n`);
  process.exit(1);
}
mkdirSync(dirname(out), { recursive: true });
writeFileSync(out, text);
