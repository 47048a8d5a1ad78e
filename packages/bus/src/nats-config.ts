// The nats-server's configuration file: who may connect, and what each may do (permissions.ts). Written again and
// reloaded by SIGHUP when a node joins. Specification: the nats-server configuration format; works from 2.9.10 on.
import { type Permissions, permissionsFor } from "./permissions.ts";

/** Kubernetes accepts request bodies of 3 MiB; 4 MB leaves room for the framing. */
export const MAX_PAYLOAD_BYTES = 4 * 1024 * 1024;
/** What the server keeps for one slow client before it drops the connection. */
export const MAX_PENDING_BYTES = 256 * 1024 * 1024;

export interface NatsServerConfig {
  cluster: string;
  port: number;
  listenHost: string;
  /** Where JetStream keeps the store. */
  storeDir: string;
  identities: readonly { identity: string; publicKey: string; underlay?: string | readonly string[] }[];
  /** The `durable` profile: fsync before each acknowledgement. Needs nats-server 2.10. */
  syncAlways?: boolean;
  /** Where the server writes its process id; none when absent. */
  pidFile?: string;
}

/** The text of the configuration file. */
export function natsServerConfig(c: NatsServerConfig): string {
  const users = c.identities.map(({ identity, publicKey, underlay }) => {
    return `    # ${identity.replace(/[^\x20-\x7e]/g, "?")}\n    { nkey: ${publicKey}, permissions: ${permissionsText(permissionsFor(identity, c.cluster, underlay))} }`;
  });
  return `# Written by podwire for cluster ${JSON.stringify(c.cluster)}; changes are overwritten.
server_name: ${JSON.stringify(`podwire-${c.cluster}`)}
listen: ${JSON.stringify(`${c.listenHost}:${c.port}`)}
max_payload: ${MAX_PAYLOAD_BYTES}
max_pending: ${MAX_PENDING_BYTES}
write_deadline: "10s"
ping_interval: "20s"
ping_max: 2
${c.pidFile === undefined ? "" : `pid_file: ${JSON.stringify(c.pidFile)}\n`}jetstream: {
  store_dir: ${JSON.stringify(c.storeDir)}
  max_memory_store: 1GB
  max_file_store: 16GB
${c.syncAlways ? "  sync_interval: always\n" : ""}}
authorization: {
  timeout: 5
  users: [
${users.join("\n")}
  ]
}
`;
}

function permissionsText(p: Permissions): string {
  const rule = (r: { allow: string[]; deny?: string[] }) => JSON.stringify(r.deny ? { allow: r.allow, deny: r.deny } : { allow: r.allow });
  const responses = p.responses ? `, allow_responses: { max: ${p.responses.max}, expires: "${p.responses.expiresMs}ms" }` : "";
  return `{ publish: ${rule(p.publish)}, subscribe: ${rule(p.subscribe)}${responses} }`;
}
