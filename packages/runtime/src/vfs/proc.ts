// /proc and /sys of a container, as far as programs and people look: processes, mounts, memory, CPUs, a few sysctls.
// Directories are made anew at each look, so that they show what is true now.
import { capabilityMask } from "../kernel/capabilities.ts";
import type { ContainerContext, Process } from "../kernel/process.ts";
import type { PidNamespace } from "../kernel/process-table.ts";
import { DirInode, FileInode, FileSystem, type Inode, SymlinkInode } from "./inode.ts";
import { type Mount, type MountTable, pathOf } from "./mounts.ts";
import { procNet } from "./proc-net.ts";

const encoder = new TextEncoder();

/** A directory whose entries are computed. */
class LiveDir extends DirInode {
  readonly #list: () => Map<string, Inode>;
  constructor(fs: FileSystem, list: () => Map<string, Inode>) {
    super(fs, 0o555, 0, 0);
    this.#list = list;
  }
  override entries(): Map<string, Inode> {
    return this.#list();
  }
  override get(name: string): Inode | undefined {
    return this.#list().get(name);
  }
}

/** What `sysctl` shows unless the pod asked for something else. */
const DEFAULT_SYSCTLS: ReadonlyMap<string, string> = new Map([
  ["kernel.shm_rmid_forced", "0"],
  ["kernel.pid_max", "4194304"],
  ["kernel.ostype", "Linux"],
  ["kernel.osrelease", "6.12.0-podwire"],
  ["net.ipv4.ip_forward", "1"],
  ["net.ipv4.ip_local_port_range", "32768\t60999"],
  ["net.ipv4.ip_unprivileged_port_start", "0"],
  ["net.ipv4.ping_group_range", "0\t2147483647"],
  ["net.ipv4.tcp_syncookies", "1"],
  ["net.core.somaxconn", "4096"],
  ["vm.swappiness", "60"],
]);

function sysctlTree(
  names: readonly string[],
  file: (name: string) => Inode,
  tree: (entries: Record<string, Inode>) => DirInode,
  prefix = "",
): DirInode {
  const below = new Map<string, string[]>();
  for (const n of names) {
    const [head = "", ...rest] = n.split(".");
    below.set(head, [...(below.get(head) ?? []), ...(rest.length > 0 ? [rest.join(".")] : [])]);
  }
  const entries = [...below].map(([head, rest]): [string, Inode] => [
    head,
    rest.length === 0 ? file(`${prefix}${head}`) : sysctlTree(rest, file, tree, `${prefix}${head}.`),
  ]);
  return tree(Object.fromEntries(entries));
}

/** The root of /proc: fixed files, made at the first look, and a directory a process. */
class ProcRoot extends DirInode {
  readonly #context: ContainerContext;
  readonly #container: { readonly pids: PidNamespace | undefined };
  #fixed: Map<string, Inode> | undefined;
  constructor(fs: FileSystem, context: ContainerContext, container: { readonly pids: PidNamespace | undefined }) {
    super(fs, 0o555, 0, 0);
    this.#context = context;
    this.#container = container;
  }
  override entries(): Map<string, Inode> {
    const out = new Map(this.#fixedEntries());
    for (const p of this.#container.pids?.processes.values() ?? []) out.set(String(p.pid), processDir(this.fs, p));
    return out;
  }
  override get(name: string): Inode | undefined {
    const p = /^\d+$/.test(name) ? this.#container.pids?.processes.get(Number(name)) : undefined;
    return p !== undefined ? processDir(this.fs, p) : this.#fixedEntries().get(name);
  }
  #fixedEntries(): Map<string, Inode> {
    this.#fixed ??= fixedEntries(this.fs, this.#context, () => this.#container.pids);
    return this.#fixed;
  }
}

function fixedEntries(fs: FileSystem, context: ContainerContext, pids: () => PidNamespace | undefined): Map<string, Inode> {
  const { machine } = context;
  const text = (make: () => string): FileInode => {
    const f = new FileInode(fs, 0o444, 0, 0);
    f.generate = () => encoder.encode(make());
    return f;
  };
  const tree = (entries: Record<string, Inode>): DirInode => {
    const d = new DirInode(fs, 0o555, 0, 0);
    for (const [k, v] of Object.entries(entries)) d.entries().set(k, v);
    return d;
  };
  const uptime = () => {
    const up = machine.uptimeMs / 1000;
    return `${up.toFixed(2)} ${Math.max(0, up * machine.cores - machine.usage.cpuMs / 1000).toFixed(2)}\n`;
  };
  const load = () => {
    const averages = machine.load().map((l) => l.toFixed(2));
    return `${averages.join(" ")} 1/${pids()?.processes.size ?? 0} ${pids()?.lastPid ?? 0}\n`;
  };
  const processors = () => Array.from({ length: machine.cores }, (_, i) => `processor\t: ${i}\nmodel name\t: Podwire vCPU\n\n`).join("");
  const sysctls = new Map([...DEFAULT_SYSCTLS, ...(context.sysctls ?? [])]);
  const sysctl = (name: string) => text(() => `${name === "kernel.hostname" ? context.hostname() : sysctls.get(name)}\n`);
  return new Map<string, Inode>([
    // Who asks decides what it is: MountTable's walk goes to the process's own directory.
    ["self", new SymlinkInode(fs, "self", 0, 0)],
    ["mounts", new SymlinkInode(fs, "self/mounts", 0, 0)],
    ["uptime", text(uptime)],
    ["loadavg", text(load)],
    ["version", text(() => "Linux version 6.12.0-podwire (podwire) #1 SMP\n")],
    ["meminfo", text(() => memInfo(context))],
    ["cpuinfo", text(processors)],
    ["stat", text(() => statText(context, pids()))],
    ["net", new SymlinkInode(fs, "self/net", 0, 0)],
    ["filesystems", text(() => "nodev\tproc\nnodev\ttmpfs\nnodev\toverlay\n\text4\n")],
    ["sys", sysctlTree([...sysctls.keys(), "kernel.hostname"], sysctl, tree)],
  ]);
}

/** `container.pids` is looked at when somebody reads: it is set when the container starts. */
export function mountProc(context: ContainerContext, container: { readonly pids: PidNamespace | undefined }): void {
  const table = context.mounts;
  const { now } = table.rootMount.root.fs;
  const proc = new FileSystem({ type: "proc", now, inodeLimit: Number.MAX_SAFE_INTEGER });
  const target = table.resolve(table.root, "/proc", { uid: 0, gid: 0, groups: [], override: true });
  table.mount(target, { root: new ProcRoot(proc, context, container), readOnly: false, source: "proc", target: "/proc" });
}

function memInfo(context: ContainerContext): string {
  const total = Math.floor(context.machine.memoryBytes / 1024);
  const used = Math.min(total, Math.round(context.machine.usedBytes / 1024));
  const row = (k: string, v: number) => `${`${k}:`.padEnd(16)}${String(v).padStart(8)} kB\n`;
  return (
    row("MemTotal", total) +
    row("MemFree", total - used) +
    row("MemAvailable", total - used) +
    row("Buffers", 0) +
    row("Cached", 0) +
    row("SwapTotal", 0) +
    row("SwapFree", 0)
  );
}

/** Jiffies (a hundredth of a second): what programs took is user time, the rest idle. */
function statText(context: ContainerContext, pids: PidNamespace | undefined): string {
  const { machine } = context;
  const busy = Math.round(machine.usage.cpuMs / 10);
  const idle = Math.max(0, Math.round((machine.uptimeMs * machine.cores) / 10) - busy);
  const running = [...(pids?.processes.values() ?? [])].filter((p) => !p.ended && !p.stopped).length;
  return `cpu  ${busy} 0 0 ${idle} 0 0 0 0 0 0\nbtime ${Math.floor(machine.bootMs / 1000)}\nprocesses ${pids?.lastPid ?? 0}\nprocs_running ${Math.min(1, running)}\nprocs_blocked 0\n`;
}

function processDir(fs: FileSystem, p: Process): DirInode {
  const d = new DirInode(fs, 0o555, p.identity.uid, p.identity.gid);
  const add = (name: string, make: () => string | Uint8Array, mode = 0o444) => {
    const f = new FileInode(fs, mode, p.identity.uid, p.identity.gid);
    f.generate = () => {
      const c = make();
      return typeof c === "string" ? encoder.encode(c) : c;
    };
    d.entries().set(name, f);
  };
  const state = () => (p.ended ? "Z (zombie)" : p.stopped ? "T (stopped)" : "S (sleeping)");
  add("cmdline", () => p.argv.map((a) => `${a}\0`).join(""));
  add("comm", () => `${p.name}\n`);
  add("environ", () => [...p.env].map(([k, v]) => `${k}=${v}\0`).join(""), 0o400);
  add("mounts", () => mountsText(p.container.mounts));
  add("cgroup", () => "0::/\n");
  add(
    "stat",
    () =>
      `${p.pid} (${p.name}) ${state()[0]} ${p.ppid} ${p.pgid} ${p.sid} 0 -1 0 0 0 0 0 ${Math.round(p.cpuMs / 10)} 0 0 0 20 0 1 0 ${Math.max(0, Math.round((p.startMs - p.container.machine.bootMs) / 10))} ${p.residentBytes} ${Math.round(p.residentBytes / 4096)}\n`,
  );
  add("status", () => statusText(p, state()));
  add(
    "limits",
    () =>
      `Limit                     Soft Limit           Hard Limit           Units     \nMax open files            ${String(p.fds.limit).padEnd(21)}${String(p.fds.limit).padEnd(21)}files     \n`,
  );
  d.entries().set(
    "net",
    new LiveDir(fs, () => {
      const files = new Map<string, Inode>();
      for (const [name, make] of procNet(p)) {
        const f = new FileInode(fs, 0o444, 0, 0);
        f.generate = () => encoder.encode(make());
        files.set(name, f);
      }
      return files;
    }),
  );
  d.entries().set("exe", new SymlinkInode(fs, p.exe, 0, 0));
  d.entries().set("cwd", new SymlinkInode(fs, p.cwdPath, 0, 0));
  const root = new DirInode(fs, 0o777, 0, 0);
  d.entries().set("root", p.container.mounts.root.inode instanceof DirInode ? p.container.mounts.root.inode : root);
  const fdDir = new DirInode(fs, 0o500, p.identity.uid, p.identity.gid);
  for (const [fd, f] of p.fds.list()) fdDir.entries().set(String(fd), new SymlinkInode(fs, `${f.kind}:[${fd}]`, 0, 0));
  d.entries().set("fd", fdDir);
  return d;
}

function statusText(p: Process, state: string): string {
  const i = p.identity;
  const ids = (real: number, effective: number) => `${real}\t${effective}\t${effective}\t${effective}`;
  const eff = capabilityMask(i.caps);
  return (
    `Name:\t${p.name}\nUmask:\t${p.umask.toString(8).padStart(4, "0")}\nState:\t${state}\nTgid:\t${p.pid}\nPid:\t${p.pid}\nPPid:\t${p.ppid}\n` +
    `Uid:\t${ids(i.realUid ?? i.uid, i.uid)}\nGid:\t${ids(i.realGid ?? i.gid, i.gid)}\nGroups:\t${i.groups.join(" ")} \n` +
    `VmRSS:\t${Math.round(p.residentBytes / 1024)} kB\nThreads:\t1\nCapInh:\t${ZERO_MASK}\nCapPrm:\t${eff}\nCapEff:\t${eff}\n` +
    `CapBnd:\t${capabilityMask(i.bounding ?? i.caps)}\nCapAmb:\t${ZERO_MASK}\nNoNewPrivs:\t${i.noNewPrivileges ? 1 : 0}\nSeccomp:\t0\n`
  );
}

const ZERO_MASK = "0".repeat(16);

/** /proc/mounts. */
export function mountsText(table: MountTable): string {
  return table.mounts
    .map(
      (m: Mount) =>
        `${m.source} ${m.target} ${m.root.fs.type} ${m.readOnly ? "ro" : "rw"},relatime${m.options ? `,${m.options}` : ""} 0 0\n`,
    )
    .join("");
}

export { pathOf };
