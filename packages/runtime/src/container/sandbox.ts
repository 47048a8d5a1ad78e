// A pod's sandbox: the network namespace, host name, shared memory and (when asked) the process table that its containers share.
import type { Clock, Logger, Random } from "@podwire/base";
import { pause, pauseMain } from "../images/pause/index.ts";
import { Cpu } from "../kernel/cpu.ts";
import { Machine } from "../kernel/machine.ts";
import { PidNamespace } from "../kernel/process-table.ts";
import type { NetStack } from "../net/net-stack.ts";
import { FileSystem } from "../vfs/inode.ts";
import { Container, type ContainerOptions } from "./container.ts";

export interface SandboxOptions {
  name: string;
  namespace: string;
  uid: string;
  hostname: string;
  /** The pod's namespace, or the node's for hostNetwork. */
  netns: NetStack;
  clock: Clock;
  random: Random;
  log: Logger;
  /** Shared by all pods of a node. */
  cpu?: Cpu;
  /** Likewise. */
  machine?: Machine;
  shareProcessNamespace?: boolean;
  /** What PID 1 of a shared namespace is called; /pause when absent. */
  initCommand?: string[];
  /** The node's, for hostPID. */
  pidNamespace?: PidNamespace;
  /** The node's /dev/shm, for hostIPC. */
  sharedMemory?: FileSystem;
  /** securityContext.sysctls. */
  sysctls?: ReadonlyMap<string, string>;
  /** What built-in images get from the node, by name. */
  annex?: ReadonlyMap<string, unknown>;
}

/** /dev/shm of a pod, as containerd makes it. */
const SHM_BYTES = 64 * 1024 * 1024;

export class PodSandbox {
  readonly options: SandboxOptions;
  readonly cpu: Cpu;
  readonly machine: Machine;
  readonly sharedMemory: FileSystem;
  readonly containers = new Set<Container>();
  readonly #pids: PidNamespace | undefined;
  #infra: Container | undefined;
  #stopped = false;

  /** The wall clock of the pod's file systems. */
  readonly now: () => number;

  constructor(o: SandboxOptions) {
    this.options = o;
    this.now = () => o.clock.nowMs();
    this.cpu = o.cpu ?? new Cpu(o.clock);
    this.machine = o.machine ?? new Machine(o.clock);
    this.sharedMemory = o.sharedMemory ?? new FileSystem({ type: "tmpfs", sizeLimitBytes: SHM_BYTES, now: this.now });
    this.sharedMemory.root.mode = 0o1777;
    this.#pids = o.pidNamespace ?? (o.shareProcessNamespace ? this.#sharedPids() : undefined);
  }

  /** The pod's namespace, with /pause as PID 1. */
  #sharedPids(): PidNamespace {
    const pids = this.newPidNamespace();
    const image = { ...pause, reference: "registry.k8s.io/pause:3.10.1", digest: "", standIn: false };
    const command = this.options.initCommand ?? ["/pause"];
    if (command[0] !== "/pause") image.files = [...image.files, { path: command[0] as string, program: pauseMain }];
    this.#infra = new Container(this, { name: "POD", image, command, env: {}, mounts: [] });
    this.#infra.start(pids);
    return pids;
  }

  /** A namespace of its own, or the pod's. */
  pidNamespace(): PidNamespace {
    return this.#pids ?? this.newPidNamespace();
  }

  get sharedPids(): PidNamespace | undefined {
    return this.#pids;
  }

  newPidNamespace(): PidNamespace {
    return new PidNamespace((p, error) =>
      this.options.log.error(
        { err: error, pod: `${this.options.namespace}/${this.options.name}`, process: p.argv.join(" ") },
        "a program of an image failed",
      ),
    );
  }

  createContainer(o: ContainerOptions): Container {
    const c = new Container(this, o);
    this.containers.add(c);
    return c;
  }

  /** Kills everything that is left. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    for (const c of this.containers) c.kill(9);
    this.containers.clear();
    this.#infra?.kill(9);
  }
}

/** The node itself, for pods with hostPID (its process table, with an init) and hostIPC (its shared memory). */
export function createHostSandbox(o: Omit<SandboxOptions, "shareProcessNamespace" | "initCommand">): PodSandbox {
  return new PodSandbox({ ...o, shareProcessNamespace: true, initCommand: ["/sbin/init"] });
}

/** A pod's sandbox in a network namespace that the caller made and closes. */
export function createPodSandbox(o: SandboxOptions): PodSandbox {
  return new PodSandbox(o);
}
