// Which processes a cluster consists of, and with what arguments each is started. Pure: a record in, specifications out.
import { join } from "node:path";
import { Identity } from "@podwire/bus";
import type { Component, Installation } from "../installation.ts";
import type { ClusterFolder, ClusterRecord, NodeRecord } from "../state/cluster-folder.ts";
import { nodeNameOfSlot, underlayOf, underlayOfSlot } from "../state/identities.ts";
import type { ProcessSpec } from "./process.ts";

export interface Surroundings {
  installation: Installation;
  folder: ClusterFolder;
  /** Path of nats-server; undefined when the cluster uses a server that somebody else runs (NATS_URL). */
  natsServer: string | undefined;
  natsConfig: string;
  /** The supervisor's own environment; components get PATH, HOME and TMPDIR of it and nothing else. */
  env: Readonly<Record<string, string | undefined>>;
  logLevel: string;
}

/** Names that `--arg` takes. */
export const ARG_COMPONENTS = ["nats", "apiserver", "controller-manager", "scheduler", "edge", "dashboard", "node-agent"] as const;

/** Names that `--without` takes: what any other client of the API may do in our place. */
export const REPLACEABLE = ["controller-manager", "scheduler"] as const;

export function natsSpec(around: Surroundings, record: ClusterRecord, binary: string): ProcessSpec {
  const args = ["-c", around.natsConfig, ...(record.args["nats"] ?? [])];
  return { name: "nats", kind: "nats", file: binary, args, env: baseEnvironment(around) };
}

export function controlPlaneSpecs(around: Surroundings, record: ClusterRecord): ProcessSpec[] {
  const { folder } = around;
  const all = [
    component(around, record, "apiserver", Identity.apiserver, [
      `--secure-port=${record.apiPort}`,
      "--bind-address=127.0.0.1",
      `--cert-dir=${folder.pki}`,
      `--advertise-address=${underlayOf.apiserver}`,
      "--service-cluster-ip-range=10.96.0.0/12",
    ]),
    component(around, record, "controller-manager", Identity.controllerManager, controllerManagerFlags(folder.pki)),
    component(around, record, "scheduler", Identity.scheduler, []),
    { ...component(around, record, "edge", Identity.edge, ["--listen-address=127.0.0.1"]), kind: "edge" as const },
    component(around, record, "dashboard", Identity.dashboard, [`--port=${record.dashboardPort}`]),
  ];
  return all.filter((spec) => !record.without.includes(spec.name));
}

/** The apiserver makes the certificate authority; the controller-manager publishes and signs with it. */
export function controllerManagerFlags(pki: string): string[] {
  const ca = join(pki, "ca.crt");
  return [
    "--cluster-cidr=10.244.0.0/16",
    `--root-ca-file=${ca}`,
    `--cluster-signing-cert-file=${ca}`,
    `--cluster-signing-key-file=${join(pki, "ca.key")}`,
    `--service-account-private-key-file=${join(pki, "sa.key")}`,
  ];
}

export function nodeSpec(around: Surroundings, record: ClusterRecord, node: NodeRecord): ProcessSpec {
  const own = record.args[node.name] ?? [];
  const spec = component(around, record, "node-agent", Identity.node(node.name), [
    `--node-name=${node.name}`,
    `--node-ip=${underlayOfSlot(node.slot)}`,
    `--client-ca-file=${join(around.folder.pki, "ca.crt")}`,
  ]);
  return { ...spec, name: node.name, kind: "node", args: [...spec.args, ...own] };
}

function component(around: Surroundings, record: ClusterRecord, name: Component, identity: string, flags: string[]): ProcessSpec {
  const { installation, folder } = around;
  const state = name === "node-agent" ? folder.nodeState(Identity.nodeOf(identity) as string) : folder.file(name);
  return {
    name,
    kind: "control-plane",
    file: installation.node,
    args: [
      ...NODE_FLAGS,
      youngGeneration(name),
      installation.programOf(name),
      `--identity-file=${folder.identityFile(identity)}`,
      `--cluster=${record.name}`,
      `--state-dir=${state}`,
      `--v=${around.logLevel}`,
      ...flags,
      ...(record.args[name] ?? []),
    ],
    env: baseEnvironment(around),
  };
}

/**
 * gc is exposed so that a component can collect once, after starting; until then its heap may grow without full collections of its own
 * (32 MB). One collector thread: there are as many components as nodes.
 */
export const NODE_FLAGS: readonly string[] = [
  "--expose-gc",
  "--single-threaded-gc",
  "--initial-old-space-size=32",
  "--disable-warning=ExperimentalWarning",
];

/** MiB of young generation: an idle node stays small, and a small one stays in the processor's cache; the apiserver makes more garbage. */
export function youngGeneration(name: Component): string {
  return `--max-semi-space-size=${name === "apiserver" ? 8 : 1}`;
}

/** glibc keeps an arena a thread and never gives them back: 5 MB a process. */
export const MALLOC = { MALLOC_ARENA_MAX: "1", MALLOC_TRIM_THRESHOLD_: "65536" };

function baseEnvironment(around: Surroundings): Record<string, string> {
  const out: Record<string, string> = {
    NODE_COMPILE_CACHE: join(around.installation.root, ".cache", "compile"),
    ...MALLOC,
  };
  for (const name of ["PATH", "HOME", "TMPDIR", "LANG", "PODWIRE_CI_RUN"]) {
    const value = around.env[name];
    if (value !== undefined) out[name] = value;
  }
  return out;
}

/** The next node: the lowest free slot, under its own name unless the user gave one. */
export function nextNode(record: ClusterRecord, name?: string): NodeRecord {
  const slots = new Set(record.nodes.map((n) => n.slot));
  const names = new Set(record.nodes.map((n) => n.name));
  let slot = 1;
  while (slots.has(slot) || (name === undefined && names.has(nodeNameOfSlot(slot)))) slot++;
  return { slot, name: name ?? nodeNameOfSlot(slot) };
}
