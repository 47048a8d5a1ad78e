// The folder .podwire/<cluster>: everything that survives `down` and `up`. One file, cluster.json, says what the cluster is
// made of. Invariant: cluster.json is replaced whole (written beside, renamed), so a crash never leaves half of one.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PodwireError } from "@podwire/base";
import { z } from "zod";
import { UsageError } from "../errors.ts";

/** Longest path that every system takes for a Unix socket (104 bytes on macOS, with the final zero). */
const MAX_SOCKET_PATH = 100;

export class BrokenStateError extends PodwireError {}

const Node = z.object({
  name: z.string(),
  /** Its number, from 1: fixes the underlay address 172.30.<1 + slot/250>.<...>. */
  slot: z.number().int().positive(),
});

const ClusterRecord = z.object({
  version: z.literal(1),
  name: z.string(),
  apiPort: z.number().int(),
  natsPort: z.number().int(),
  dashboardPort: z.number().int(),
  nodes: z.array(Node),
  /** Node slots that have credentials, whether or not a node uses them. */
  slots: z.number().int(),
  /** `--arg component=--flag=value`, kept until the next `up` that gives any. */
  args: z.record(z.string(), z.array(z.string())),
  /** Components that somebody else runs (`--without`), kept until the next `up` that says otherwise. */
  without: z.array(z.string()).default([]),
});
export type ClusterRecord = z.infer<typeof ClusterRecord>;
export type NodeRecord = z.infer<typeof Node>;

export const DEFAULT_CLUSTER = "podwire";

/** A cluster's name becomes a folder, part of NATS subjects and a kubeconfig context. */
export function checkClusterName(name: string): string {
  if (/^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/.test(name)) return name;
  throw new UsageError(`invalid cluster name ${JSON.stringify(name)}: lower case letters, digits and "-", at most 40`);
}

export class ClusterFolder {
  readonly home: string;
  readonly name: string;
  readonly path: string;

  constructor(home: string, name: string) {
    this.home = home;
    this.name = checkClusterName(name);
    this.path = join(home, name);
  }

  file(...parts: string[]): string {
    return join(this.path, ...parts);
  }
  get record(): string {
    return this.file("cluster.json");
  }
  get kubeconfig(): string {
    return this.file("kubeconfig");
  }
  get pki(): string {
    return this.file("pki");
  }
  get logs(): string {
    return this.file("logs");
  }
  /** Credentials for a component that somebody else runs. */
  kubeconfigOf(component: string): string {
    return this.file(`${component}.kubeconfig`);
  }
  /** Pids and commands of what runs, for the next `up` after a crash of the whole machine or of the supervisor. */
  get processes(): string {
    return this.file("processes.json");
  }
  identityFile(identity: string): string {
    return this.file("identities", `${identity.replace(":", "_")}.json`);
  }
  nodeState(name: string): string {
    return this.file("nodes", name);
  }

  /** The supervisor's socket: in the folder, or by a hash in the system's temporary folder when that path is too long. */
  get socket(): string {
    const inside = this.file("supervisor.sock");
    if (Buffer.byteLength(inside) <= MAX_SOCKET_PATH) return inside;
    return join(tmpdir(), `podwire-${createHash("sha256").update(this.path).digest("hex").slice(0, 16)}.sock`);
  }

  exists(): boolean {
    return existsSync(this.record);
  }

  read(): ClusterRecord {
    try {
      return ClusterRecord.parse(JSON.parse(readFileSync(this.record, "utf8")));
    } catch (cause) {
      throw new BrokenStateError(`cannot read ${this.record}`, {
        cause,
        next: `podwire up --name ${this.name} --reset (loses the cluster's objects)`,
      });
    }
  }

  write(record: ClusterRecord): void {
    writeWhole(this.record, `${JSON.stringify(record, null, 2)}\n`);
  }

  create(): void {
    for (const dir of [this.path, this.pki, this.logs, this.file("identities"), this.file("nats"), this.file("nodes")])
      mkdirSync(dir, { recursive: true, mode: 0o700 });
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Names of the clusters that have state in `home`. */
export function clustersIn(home: string): string[] {
  if (!existsSync(home)) return [];
  return readdirSync(home).filter((name) => existsSync(join(home, name, "cluster.json")));
}

/** Replaces a file at once: readers see the old or the new content. */
export function writeWhole(path: string, content: string, mode = 0o600): void {
  const beside = `${path}.new`;
  writeFileSync(beside, content, { mode });
  renameSync(beside, path);
}
