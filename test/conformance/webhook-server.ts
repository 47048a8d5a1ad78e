// agnhost's webhook servers (admission, conversion) for a test: a pod with a certificate of its own, and the Service that the API
// server calls. `ready` waits until the API server acts by a configuration, as a marker object shows.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@podwire/base";
import { openPki } from "../../services/apiserver/src/index.ts";
import { AGNHOST, type Context, isReady } from "./harness.ts";
import { ApiError, type Json } from "./rest.ts";

const SERVICE_PORT = 8443;
const CONTAINER_PORT = 8444;

export interface WebhookServer {
  /** `clientConfig` of a webhook that is served at `path`. */
  client(path: string): Json;
}

/** Certificate of `host` and the authority that signed it, as PEM. */
export async function certificateOf(...hosts: string[]): Promise<{ ca: string; cert: string; key: string }> {
  const folder = mkdtempSync(join(tmpdir(), "podwire-pki-"));
  try {
    const made = await openPki(folder, systemClock, hosts);
    return { ca: readFileSync(join(folder, "ca.crt"), "utf8"), cert: made.servingCertPem, key: made.servingKeyPem };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** Starts `agnhost <command>` behind Service `name` and waits until it answers. */
export async function startWebhook(t: Context, command: "webhook" | "crd-conversion-webhook", name = "hook"): Promise<WebhookServer> {
  const tls = await certificateOf(`${name}.${t.namespace}.svc`);
  const data = { "tls.crt": base64(tls.cert), "tls.key": base64(tls.key) };
  await t.create({ apiVersion: "v1", kind: "Secret", type: "kubernetes.io/tls", metadata: { name }, data });
  await t.create(
    t.pod(name, {
      image: AGNHOST,
      args: [command, "--tls-cert-file=/tls/tls.crt", "--tls-private-key-file=/tls/tls.key", `--port=${CONTAINER_PORT}`],
      container: {
        volumeMounts: [{ name: "tls", mountPath: "/tls", readOnly: true }],
        readinessProbe: { httpGet: { scheme: "HTTPS", port: CONTAINER_PORT, path: "/readyz" }, periodSeconds: 1 },
      },
      spec: { volumes: [{ name: "tls", secret: { secretName: name } }] },
    }),
  );
  await t.create({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name },
    spec: { selector: { app: name }, ports: [{ port: SERVICE_PORT, targetPort: CONTAINER_PORT }] },
  });
  await t.podWhen(name, "is Ready", isReady);
  await t.eventually("the Service has an endpoint", async () => {
    const { items } = await t.api.get(t.path("endpointslices", "discovery.k8s.io/v1"));
    return items.some((s: Json) => s.metadata.labels["kubernetes.io/service-name"] === name && s.endpoints?.[0]?.conditions.ready);
  });
  return {
    client: (path) => ({ service: { namespace: t.namespace, name, path, port: SERVICE_PORT }, caBundle: base64(tls.ca) }),
  };
}

let configurations = 0;

export type Kind = "Validating" | "Mutating";

export interface WebhookRule {
  path: string;
  operations: string[];
  apiGroups?: string[];
  apiVersions?: string[];
  resources: string[];
  /** Fields of the webhook beside these. */
  more?: Json;
}

/** A configuration whose webhooks see only the test's namespace (or, of cluster-wide objects, those of its label). */
export function configurationOf(t: Context, server: WebhookServer, kind: Kind, rules: WebhookRule[]): Json {
  const name = `${t.namespace}-${++configurations}`;
  const common = { sideEffects: "None", admissionReviewVersions: ["v1", "v1beta1"] };
  const hook = (r: WebhookRule, i: number) => ({
    name: `h${i}.${name}.example.com`,
    ...common,
    clientConfig: server.client(r.path),
    rules: [{ operations: r.operations, apiGroups: r.apiGroups ?? [""], apiVersions: r.apiVersions ?? ["v1"], resources: r.resources }],
    namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": t.namespace } },
    ...r.more,
  });
  const marker = {
    name: `marker.${name}.example.com`,
    ...common,
    clientConfig: server.client("/always-deny"),
    rules: [{ operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"] }],
    namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": t.namespace } },
    objectSelector: { matchLabels: { "webhook-marker": name } },
  };
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: `${kind}WebhookConfiguration`,
    metadata: { name },
    webhooks: [...rules.map(hook), marker],
  };
}

/** Registers the configuration and waits until it takes effect. */
export async function register(t: Context, configuration: Json): Promise<Json> {
  const made = await t.createForCluster(configuration);
  await ready(t, configuration.metadata.name);
  return made;
}

export async function ready(t: Context, name: string): Promise<void> {
  const marker = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "marker", labels: { "webhook-marker": name } } };
  await t.eventually(`webhooks of ${name} are called`, async () => {
    const answer = await refusal(t.create(marker, { query: { dryRun: "All" } }));
    if (answer?.includes("this webhook denies all requests")) return true;
    throw new Error(answer ?? "the marker was let through");
  });
}

/** The message of a refusal; undefined when the request was let through. */
export async function refusal(request: Promise<unknown>): Promise<string | undefined> {
  try {
    await request;
    return undefined;
  } catch (e) {
    if (e instanceof ApiError) return String(e.status.message);
    throw e;
  }
}
