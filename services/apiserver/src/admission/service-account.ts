// ServiceAccount: every pod runs as one, and gets its token as a projected volume (plugin/pkg/admission/serviceaccount).
import type { KubeObject } from "@podwire/api";
import type { Api } from "../call.ts";
import type { AdmissionPlugin, Attributes } from "./chain.ts";
import { forbiddenBy } from "./forbidden.ts";

const MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount";
const VOLUME_PREFIX = "kube-api-access-";
const TOKEN_SECONDS = 3607;
const ENFORCE_MOUNTABLE = "kubernetes.io/enforce-mountable-secrets";
/** How often the default account is looked for, for a namespace whose account the controller is about to make. */
const DEFAULT_ATTEMPTS = 10;
const RETRY_MS = 100;

export function serviceAccount(api: Api): AdmissionPlugin {
  return {
    name: "ServiceAccount",
    operations: ["CREATE", "UPDATE"],
    async admit(a) {
      if (!isPod(a) || a.operation !== "CREATE" || a.subresource !== "") return;
      const pod = a.object as KubeObject;
      const spec = (pod["spec"] ??= {});
      if (isMirror(pod)) return;
      spec.serviceAccountName ||= "default";
      const account = await lookUp(api, a, spec.serviceAccountName);
      if (spec.automountServiceAccountToken ?? account["automountServiceAccountToken"] ?? true) mountToken(api, spec);
      if (!spec.imagePullSecrets?.length && account["imagePullSecrets"]?.length)
        spec.imagePullSecrets = account["imagePullSecrets"].map((s: object) => ({ ...s }));
      spec.serviceAccount = spec.serviceAccountName;
    },
    async validate(a) {
      if (!isPod(a)) return;
      const pod = a.object as KubeObject;
      if (a.operation === "UPDATE") return;
      if (a.subresource !== "") return;
      const spec = pod["spec"] ?? {};
      if (isMirror(pod)) return validateMirror(a, spec);
      const account = await lookUp(api, a, spec.serviceAccountName);
      if (account.metadata.annotations?.[ENFORCE_MOUNTABLE] === "true") limitSecrets(a, account, spec);
    },
  };
}

function isPod(a: Attributes): boolean {
  return a.info.group === "" && a.info.resource === "pods" && a.object !== undefined;
}

function isMirror(pod: KubeObject): boolean {
  return pod.metadata.annotations?.["kubernetes.io/config.mirror"] !== undefined;
}

function validateMirror(a: Attributes, spec: any): void {
  if (spec.serviceAccountName) throw forbiddenBy(a, "a mirror pod may not reference service accounts");
  const volumes: any[] = spec.volumes ?? [];
  if (volumes.some((v) => v.secret)) throw forbiddenBy(a, "a mirror pod may not reference secrets");
  if (volumes.some((v) => v.projected?.sources?.some((s: any) => s.serviceAccountToken)))
    throw forbiddenBy(a, "a mirror pod may not use ServiceAccountToken volume projections");
}

async function lookUp(api: Api, a: Attributes, name: string): Promise<KubeObject> {
  const key = { group: "", resource: "serviceaccounts", namespace: a.namespace, name };
  const attempts = name === "default" ? DEFAULT_ATTEMPTS : 1;
  for (let i = 0; i < attempts; i++) {
    if (i > 0) await api.clock.sleep(RETRY_MS);
    const there = api.cache.of("", "serviceaccounts").get(a.namespace, name) ?? (await api.storage.read(key, true));
    if (there) return there.object;
  }
  throw forbiddenBy(a, `error looking up service account ${a.namespace}/${name}: serviceaccount ${JSON.stringify(name)} not found`);
}

function mountToken(api: Api, spec: any): void {
  const containers: any[] = [...(spec.initContainers ?? []), ...(spec.containers ?? [])];
  const bare = containers.filter((c) => !(c.volumeMounts ?? []).some((m: any) => m.mountPath === MOUNT_PATH));
  if (bare.length === 0) return;
  const volumes: any[] = spec.volumes ?? [];
  const there = volumes.find((v) => v.name?.startsWith(VOLUME_PREFIX));
  const name = there?.name ?? `${VOLUME_PREFIX}${api.random.suffix(5)}`;
  for (const c of bare) c.volumeMounts = [...(c.volumeMounts ?? []), { name, readOnly: true, mountPath: MOUNT_PATH }];
  if (there) return;
  const sources = [
    { serviceAccountToken: { expirationSeconds: TOKEN_SECONDS, path: "token" } },
    { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
    { downwardAPI: { items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }] } },
  ];
  spec.volumes = [...volumes, { name, projected: { sources, defaultMode: 420 } }];
}

function limitSecrets(a: Attributes, account: KubeObject, spec: any): void {
  const allowed = new Set((account["secrets"] ?? []).map((s: any) => s.name));
  const refuse = (where: string, secret: string) =>
    forbiddenBy(
      a,
      `${where} is not allowed because service account ${account.metadata.name} does not reference that secret`.replace("$", secret),
    );
  for (const v of spec.volumes ?? []) {
    if (v.secret && !allowed.has(v.secret.secretName))
      throw refuse(`volume with secret.secretName="${v.secret.secretName}"`, v.secret.secretName);
  }
  for (const [kind, list] of [
    ["init container", spec.initContainers],
    ["container", spec.containers],
    ["ephemeral container", spec.ephemeralContainers],
  ] as const) {
    for (const c of list ?? []) {
      for (const e of c.env ?? []) {
        const name = e.valueFrom?.secretKeyRef?.name;
        if (name && !allowed.has(name))
          throw refuse(`${kind} ${c.name} with envVar ${e.name} referencing secret.secretName="${name}"`, name);
      }
      for (const e of c.envFrom ?? []) {
        const name = e.secretRef?.name;
        if (name && !allowed.has(name)) throw refuse(`${kind} ${c.name} with envFrom referencing secret.secretName="${name}"`, name);
      }
    }
  }
  const pull = new Set((account["imagePullSecrets"] ?? []).map((s: any) => s.name));
  for (const [i, s] of (spec.imagePullSecrets ?? []).entries()) {
    if (!pull.has(s.name))
      throw forbiddenBy(
        a,
        `imagePullSecrets[${i}].name="${s.name}" is not allowed because service account ${account.metadata.name} does not reference that imagePullSecret`,
      );
  }
}
