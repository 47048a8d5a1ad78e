// What must survive a power cut of the node: restart counts and ends of each pod's containers, one small file a pod.
// Invariant: a file is replaced whole; an unreadable one is as none.
import fs from "node:fs";
import path from "node:path";
import type { ResourceRequirements } from "@podwire/api";
import type { Clock } from "@podwire/base";
import type { ContainerRecord, PodRecord, Termination } from "./pod-record.ts";

interface SavedContainer {
  kind: ContainerRecord["kind"];
  restartCount: number;
  containerId: string;
  imageId: string;
  runningSinceMs?: number;
  terminated?: Termination;
  last?: Termination;
  allocated?: ResourceRequirements;
}

export interface Checkpoint {
  uid: string;
  startMs: number;
  containers: Record<string, SavedContainer>;
}

export class CheckpointStore {
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #dirty = new Map<string, PodRecord>();
  /** What each file holds: what has not changed is not written again. */
  readonly #written = new Map<string, string>();
  #scheduled = false;
  #closed = false;
  constructor(folder: string, clock: Clock) {
    this.#folder = folder;
    this.#clock = clock;
    fs.mkdirSync(folder, { recursive: true });
  }

  load(): Map<string, Checkpoint> {
    const out = new Map<string, Checkpoint>();
    for (const name of fs.readdirSync(this.#folder)) {
      if (!name.endsWith(".json")) continue;
      try {
        const c = JSON.parse(fs.readFileSync(path.join(this.#folder, name), "utf8")) as Checkpoint;
        out.set(c.uid, c);
      } catch {
        fs.rmSync(path.join(this.#folder, name), { force: true });
      }
    }
    return out;
  }

  /** Writes what waits; later changes are no longer saved. */
  close(): void {
    this.flush();
    this.#closed = true;
  }

  save(r: PodRecord): void {
    if (this.#closed || !hasRun(r)) return;
    this.#dirty.set(r.uid, r);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.soon(() => this.flush());
  }

  flush(): void {
    this.#scheduled = false;
    for (const [uid, r] of this.#dirty) {
      const file = path.join(this.#folder, `${uid}.json`);
      const containers: Record<string, SavedContainer> = {};
      for (const [name, c] of r.containers)
        containers[name] = {
          kind: c.kind,
          restartCount: c.restartCount,
          containerId: c.containerId,
          imageId: c.imageId,
          ...(c.running ? { runningSinceMs: c.running.startedMs } : {}),
          ...(c.terminated ? { terminated: c.terminated } : {}),
          ...(c.last ? { last: c.last } : {}),
          ...(c.allocated ? { allocated: c.allocated } : {}),
        };
      const text = JSON.stringify({ uid, startMs: r.startMs, containers } satisfies Checkpoint);
      if (this.#written.get(uid) === text) continue;
      this.#written.set(uid, text);
      fs.writeFileSync(`${file}.new`, text);
      fs.renameSync(`${file}.new`, file);
    }
    this.#dirty.clear();
  }

  remove(uid: string): void {
    this.#dirty.delete(uid);
    this.#written.delete(uid);
    fs.rmSync(path.join(this.#folder, `${uid}.json`), { force: true });
  }
}

/** Before that there is nothing to remember. */
const hasRun = (r: PodRecord): boolean => [...r.containers.values()].some((c) => c.containerId !== "");

/** Puts what was saved into a fresh record: what ran when the power went ended with code 255. */
export function restore(r: PodRecord, saved: Checkpoint, nowMs: number): void {
  r.startMs = saved.startMs;
  for (const [name, s] of Object.entries(saved.containers)) {
    const c = r.containers.get(name);
    if (!c) continue;
    c.restartCount = s.restartCount;
    c.containerId = s.containerId;
    c.imageId = s.imageId;
    c.last = s.last;
    c.allocated = s.allocated;
    c.terminated = s.terminated;
    if (s.runningSinceMs !== undefined) {
      c.last = s.terminated ?? s.last;
      c.terminated = {
        exitCode: 255,
        signal: 0,
        reason: "Unknown",
        message: "",
        startedMs: s.runningSinceMs,
        finishedMs: nowMs,
        containerId: s.containerId,
      };
    }
    // A new sandbox runs its init containers again.
    if (c.kind === "init" && c.terminated) {
      c.last = c.terminated;
      c.terminated = undefined;
    }
  }
}
