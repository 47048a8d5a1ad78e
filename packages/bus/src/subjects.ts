// Every NATS subject of Podwire, and nothing but subjects: who may use which is `permissions.ts`, generated from these.
// Invariant: a name that came from a user never adds a level, a wildcard or a space (see `token`).
//
//   pw.<cluster>.api.<identity>                 request: an API call made as <identity> (queue group "apiserver")
//   pw.<cluster>.apistream.<identity>           stream:  watches, logs, exec made as <identity>
//   pw.<cluster>.store.<group>.<resource>.<ns>.<name>   JetStream: the store's keys (only the apiserver publishes)
//   pw.<cluster>.event.<group>.<resource>.<ns>.<name>   RePublish of the store after commit (components subscribe)
//   pw.<cluster>.writers                       broadcast: the processes that write into the store tell each other
//   pw.<cluster>.kubelet.<node>                 stream:  logs, exec, attach, port-forward, stats of a node's pods
//   pw.<cluster>.storage.<identity>             request: contents of volumes, asked for as <identity> (storage.ts; the edge answers)
//   pw.<cluster>.volume.<node>                  a volume that the node has open was changed by another node
//   pw.<cluster>.wire.<destination>.<source>    packets, by underlay address with "-" for "."
//   pw.<cluster>.trace.arm                      broadcast: which packets to trace
//   pw.<cluster>.trace.point.<process>          trace points seen by a process
//   pw.<cluster>.control.<component>            request: health, counters, faults of a component process
//   pw.<cluster>.control-all                    broadcast request: everybody answers
//   pw.<cluster>.inbox.<identity>.>             replies and stream frames for <identity>

/** Encodes any string as one subject token: [A-Za-z0-9_-] stay, others become "=XX" (UTF-8, upper-case hex), empty is "=". */
export function token(s: string): string {
  if (s === "") return "=";
  if (/^[A-Za-z0-9_-]+$/.test(s)) return s;
  let out = "";
  for (const byte of new TextEncoder().encode(s)) {
    const ch = String.fromCharCode(byte);
    out += /[A-Za-z0-9_-]/.test(ch) ? ch : `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return out;
}

/** The inverse of `token`; undefined when the token was not made by it. */
export function untoken(t: string): string | undefined {
  if (!t.includes("=")) return /^[A-Za-z0-9_-]+$/.test(t) ? t : undefined;
  if (t === "=") return "";
  if (!/^([A-Za-z0-9_-]|=[0-9A-F]{2})+$/.test(t)) return undefined;
  return Buffer.from(
    t.replace(/=([0-9A-F]{2})/g, (_, h) => String.fromCharCode(Number.parseInt(h, 16))),
    "latin1",
  ).toString("utf8");
}

/** An underlay IPv4 address "172.30.0.11" as a token "172-30-0-11". */
export function addressToken(address: string): string {
  return address.replaceAll(".", "-").replaceAll(":", "_");
}

/** The inverse of `addressToken`. */
export function tokenAddress(t: string): string {
  return t.replaceAll("-", ".").replaceAll("_", ":");
}

export interface Key {
  /** API group, "" for core. */
  group: string;
  /** Plural resource name. */
  resource: string;
  /** "" for cluster-scoped. */
  namespace: string;
  name: string;
}

export type Subjects = ReturnType<typeof subjectsOf>;

/** All subjects of one cluster. */
export function subjectsOf(cluster: string) {
  const p = `pw.${token(cluster)}`;
  const key = (k: Key) => `${token(k.group)}.${token(k.resource)}.${token(k.namespace)}.${token(k.name)}`;
  return {
    prefix: p,
    api: (identity: string) => `${p}.api.${token(identity)}`,
    apiAny: `${p}.api.*`,
    apiStream: (identity: string) => `${p}.apistream.${token(identity)}`,
    apiStreamAny: `${p}.apistream.*`,
    storeStream: `PODWIRE_${cluster.replace(/[^A-Za-z0-9_-]/g, "_")}_STORE`,
    store: (k: Key) => `${p}.store.${key(k)}`,
    storeAll: `${p}.store.>`,
    /** Keys of one resource, or of one namespace of it. */
    storePrefix: (group: string, resource: string, namespace?: string) =>
      `${p}.store.${token(group)}.${token(resource)}.${namespace === undefined ? ">" : `${token(namespace)}.>`}`,
    event: (k: Key) => `${p}.event.${key(k)}`,
    eventPrefix: (group: string, resource: string, namespace?: string) =>
      `${p}.event.${token(group)}.${token(resource)}.${namespace === undefined ? ">" : `${token(namespace)}.>`}`,
    eventAll: `${p}.event.>`,
    storeWriters: `${p}.writers`,
    kubelet: (node: string) => `${p}.kubelet.${token(node)}`,
    storage: (identity: string) => `${p}.storage.${token(identity)}`,
    storageAny: `${p}.storage.*`,
    volume: (node: string) => `${p}.volume.${token(node)}`,
    volumeAny: `${p}.volume.*`,
    wire: (destination: string, source: string) => `${p}.wire.${addressToken(destination)}.${addressToken(source)}`,
    wireTo: (destination: string) => `${p}.wire.${addressToken(destination)}.*`,
    wireFrom: (source: string) => `${p}.wire.*.${addressToken(source)}`,
    traceArm: `${p}.trace.arm`,
    tracePoint: (process: string) => `${p}.trace.point.${token(process)}`,
    tracePointAny: `${p}.trace.point.*`,
    control: (component: string) => `${p}.control.${token(component)}`,
    controlAll: `${p}.control-all`,
    inbox: (identity: string) => `${p}.inbox.${token(identity)}`,
    /** Key of a store or event subject; undefined when it is not one. */
    keyOf(subject: string): Key | undefined {
      const parts = subject.split(".");
      if (parts.length !== 7) return undefined;
      const [group, resource, namespace, name] = parts.slice(3).map(untoken);
      if (group === undefined || resource === undefined || namespace === undefined || name === undefined) return undefined;
      return { group, resource, namespace, name };
    },
    /** The identity in an api or apistream subject: its last token. */
    identityOf: (subject: string) => untoken(subject.slice(subject.lastIndexOf(".") + 1)),
  };
}

/** Identities of the cluster's own processes; `node:<name>` for nodes, `user:<name>` for people's tools. */
export const Identity = {
  apiserver: "apiserver",
  controllerManager: "controller-manager",
  scheduler: "scheduler",
  edge: "edge",
  dashboard: "dashboard",
  supervisor: "supervisor",
  node: (name: string) => `node:${name}`,
  nodeOf: (identity: string) => (identity.startsWith("node:") ? identity.slice(5) : undefined),
} as const;
