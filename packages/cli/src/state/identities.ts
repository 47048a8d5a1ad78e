// Credentials of a cluster's processes: one NATS key pair and one identity file each. Invariant: an identity keeps its key for
// the cluster's life; node slots are made ahead, so that adding a node needs no change to the NATS server while there is a free one.
import { existsSync, readFileSync } from "node:fs";
import { createIdentity, Identity } from "@podwire/bus";
import { type ClusterFolder, type ClusterRecord, writeWhole } from "./cluster-folder.ts";

/** Node slots with credentials in a new cluster, and how many are added when they run out. */
export const SLOT_STEP = 16;
/** The underlay 172.30.0.0/16 has room for more, but nobody has tried. */
export const MAX_SLOTS = 1000;

export interface IdentityFile {
  cluster: string;
  identity: string;
  seed: string;
  publicKey: string;
  natsUrl: string;
  underlay?: string;
}

/** The person at the keyboard: the podwire command's own calls. */
export const ADMIN = "user:admin";

/** Underlay address of node slot 1, 2, ...: 172.30.1.1 to 172.30.1.250, then 172.30.2.1 and so on. */
export function underlayOfSlot(slot: number): string {
  return `172.30.${1 + Math.floor((slot - 1) / 250)}.${((slot - 1) % 250) + 1}`;
}

export const underlayOf = { apiserver: "172.30.0.2", edge: "172.30.0.3" } as const;

/** Name of the node in slot n, unless the user gave another. */
export const nodeNameOfSlot = (slot: number): string => `node-${slot}`;

/** Makes what is missing and returns every identity of the cluster, for the NATS server's configuration. */
export function ensureIdentities(folder: ClusterFolder, record: ClusterRecord, natsUrl: string): IdentityFile[] {
  const wanted: { identity: string; underlay?: string }[] = [
    { identity: Identity.apiserver, underlay: underlayOf.apiserver },
    { identity: Identity.controllerManager },
    { identity: Identity.scheduler },
    { identity: Identity.edge, underlay: underlayOf.edge },
    { identity: Identity.dashboard },
    { identity: Identity.supervisor },
    { identity: ADMIN },
  ];
  const names = new Map(record.nodes.map((n) => [n.slot, n.name]));
  for (let slot = 1; slot <= record.slots; slot++)
    wanted.push({ identity: Identity.node(names.get(slot) ?? nodeNameOfSlot(slot)), underlay: underlayOfSlot(slot) });
  return wanted.map((w) => ensureIdentity(folder, { ...w, natsUrl }));
}

function ensureIdentity(folder: ClusterFolder, want: { identity: string; underlay?: string; natsUrl: string }): IdentityFile {
  const path = folder.identityFile(want.identity);
  const old = existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as IdentityFile) : undefined;
  const keys = old ?? createIdentity(want.identity);
  const next: IdentityFile = {
    cluster: folder.name,
    identity: want.identity,
    seed: keys.seed,
    publicKey: keys.publicKey,
    natsUrl: want.natsUrl,
    ...(want.underlay ? { underlay: want.underlay } : {}),
  };
  if (!old || old.natsUrl !== next.natsUrl || old.underlay !== next.underlay) writeWhole(path, `${JSON.stringify(next)}\n`);
  return next;
}

export function readIdentity(folder: ClusterFolder, identity: string): IdentityFile {
  return JSON.parse(readFileSync(folder.identityFile(identity), "utf8")) as IdentityFile;
}
