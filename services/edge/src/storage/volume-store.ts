// The cloud's disks and file shares: makes, grows, copies, attaches and removes volumes, and gives nodes their content (bus/storage.ts).
// Invariants: only a node that a CSI volume is attached to reads or writes it; a volume that is attached is not removed; a session
// belongs to the node that opened it.
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { type Clock, type Logger, PodwireError, reasonOf } from "@podwire/base";
import {
  MAX_STORAGE_BYTES,
  RemoteError,
  StorageCode,
  type StorageRequest,
  type VolumeAppended,
  type VolumeBytes,
  type VolumeChanged,
  type VolumeOpened,
} from "@podwire/bus";
import { VolumeLog } from "./volume-log.ts";

/** gRPC's condition, as a CSI driver answers it. */
export class CsiError extends PodwireError {
  readonly code: "NotFound" | "AlreadyExists" | "FailedPrecondition" | "InvalidArgument" | "ResourceExhausted";
  constructor(code: CsiError["code"], description: string) {
    super(`rpc error: code = ${code} desc = ${description}`);
    this.code = code;
  }
}

/** A cluster has at most so many volumes. */
export const MAX_VOLUMES = 10_000;

export interface VolumeStoreOptions {
  folder: string;
  clock: Clock;
  log: Logger;
  /** Tells a node that a volume it has open was changed by another. */
  notify: (node: string, change: VolumeChanged) => void;
}

interface Session {
  node: string;
  readOnly: boolean;
}

export class VolumeStore {
  readonly #o: VolumeStoreOptions;
  readonly #volumes = new Map<string, VolumeLog>();
  readonly #sessions = new Map<string, Map<number, Session>>();

  constructor(o: VolumeStoreOptions) {
    this.#o = o;
    fs.mkdirSync(o.folder, { recursive: true });
    for (const name of fs.readdirSync(o.folder)) {
      try {
        const v = VolumeLog.read(path.join(o.folder, name), o.clock);
        this.#volumes.set(v.facts.id, v);
      } catch (e) {
        o.log.warn({ reason: reasonOf(e), folder: name }, "a volume cannot be read");
      }
    }
  }

  /** CreateVolume: the same again answers the same. */
  create(id: string, sizeBytes: number, sourceId?: string): void {
    const old = this.#volumes.get(id);
    if (old) {
      if (old.facts.sizeBytes >= sizeBytes) return;
      throw new CsiError("AlreadyExists", `volume ${id} exists with another size`);
    }
    const source = sourceId === undefined ? undefined : this.#volumes.get(sourceId);
    if (sourceId !== undefined && !source) throw new CsiError("NotFound", `source volume ${sourceId} not found`);
    const v = this.#make(id, "csi", sizeBytes);
    if (source) source.copyTo(v);
    else v.save();
  }

  #make(id: string, kind: "csi" | "nfs", sizeBytes: number): VolumeLog {
    if (this.#volumes.size >= MAX_VOLUMES) throw new CsiError("ResourceExhausted", `there are ${MAX_VOLUMES} volumes`);
    const folder = path.join(this.#o.folder, createHash("sha256").update(id).digest("hex").slice(0, 32));
    const v = new VolumeLog(folder, { id, kind, sizeBytes, generation: 1, session: 1, attached: {} }, this.#o.clock);
    this.#volumes.set(id, v);
    return v;
  }

  /** DeleteVolume: one that is not there is deleted. */
  remove(id: string): void {
    const v = this.#volumes.get(id);
    if (!v) return;
    const nodes = Object.keys(v.facts.attached);
    if (nodes.length > 0) throw new CsiError("FailedPrecondition", `volume ${id} is still attached to node ${nodes.sort().join(", ")}`);
    this.#volumes.delete(id);
    this.#sessions.delete(id);
    v.remove();
  }

  /** ControllerExpandVolume. */
  grow(id: string, sizeBytes: number): void {
    const v = this.#csi(id);
    if (v.facts.sizeBytes >= sizeBytes) return;
    v.facts.sizeBytes = sizeBytes;
    v.save();
  }

  /** Tells the nodes that have it open that there is more room. */
  announceGrowth(id: string): void {
    const v = this.#volumes.get(id);
    if (!v) return;
    const { generation } = v.facts;
    for (const s of this.#sessions.get(id)?.values() ?? []) this.#o.notify(s.node, { volume: id, generation, end: v.end, grown: true });
  }

  /** ControllerPublishVolume. `exclusive`: no second node may have it. */
  attach(id: string, node: string, o: { readOnly: boolean; exclusive: boolean }): void {
    const v = this.#csi(id);
    const others = Object.keys(v.facts.attached).filter((n) => n !== node);
    if (o.exclusive && others.length > 0)
      throw new CsiError("FailedPrecondition", `volume ${id} is already attached to node ${others.sort().join(", ")}`);
    v.facts.attached[node] = { readOnly: o.readOnly };
    v.save();
  }

  /** ControllerUnpublishVolume: from now on the node is refused. */
  detach(id: string, node: string): void {
    const v = this.#volumes.get(id);
    if (!v || v.facts.attached[node] === undefined) return;
    delete v.facts.attached[node];
    v.save();
    for (const [number, s] of this.#sessions.get(id) ?? []) if (s.node === node) this.#sessions.get(id)?.delete(number);
  }

  sizeOf(id: string): number | undefined {
    return this.#volumes.get(id)?.facts.sizeBytes;
  }

  /** Bytes of the volume's log. */
  lengthOf(id: string): number {
    return this.#volumes.get(id)?.end ?? 0;
  }

  #csi(id: string): VolumeLog {
    const v = this.#volumes.get(id);
    if (!v) throw new CsiError("NotFound", `volume ${id} not found`);
    return v;
  }

  /** Answers a node. Throws RemoteError with a StorageCode. */
  answer(node: string, r: StorageRequest): VolumeOpened | VolumeBytes | VolumeAppended | { closed: true } {
    switch (r.op) {
      case "open":
        return this.#openFor(node, r);
      case "read": {
        const v = this.#for(node, r.volume);
        if (v.facts.generation !== r.generation) throw new RemoteError(StorageCode.oldGeneration, `generation ${v.facts.generation}`);
        return { bytes: v.read(r.offset, MAX_STORAGE_BYTES), end: v.end };
      }
      case "append":
        return this.#append(node, r);
      case "close":
        if (this.#sessions.get(r.volume)?.get(r.session)?.node === node) this.#sessions.get(r.volume)?.delete(r.session);
        return { closed: true };
      default:
        throw new RemoteError("malformed", "unknown storage operation");
    }
  }

  #for(node: string, id: string): VolumeLog {
    const v = this.#volumes.get(id);
    if (!v) throw new RemoteError(StorageCode.notFound, `volume ${id} does not exist`);
    if (v.facts.kind === "csi" && v.facts.attached[node] === undefined)
      throw new RemoteError(StorageCode.notAttached, `volume ${id} is not attached to node ${node}`);
    return v;
  }

  #openFor(node: string, r: StorageRequest & { op: "open" }): VolumeOpened {
    if (r.kind === "nfs" && !this.#volumes.has(r.volume)) this.#make(r.volume, "nfs", 0).save();
    const v = this.#for(node, r.volume);
    let sessions = this.#sessions.get(r.volume);
    if (!sessions) this.#sessions.set(r.volume, (sessions = new Map()));
    // A node that opens it anew has been restarted, or has lost its session.
    for (const [number, s] of sessions) if (s.node === node) sessions.delete(number);
    if (sessions.size === 0 && v.overgrown) v.compact();
    const session = v.facts.session++;
    v.save();
    sessions.set(session, { node, readOnly: r.readOnly || (v.facts.attached[node]?.readOnly ?? false) });
    return { session, generation: v.facts.generation, end: v.end, sizeBytes: v.facts.sizeBytes };
  }

  #append(node: string, r: StorageRequest & { op: "append" }): VolumeAppended {
    const v = this.#for(node, r.volume);
    const sessions = this.#sessions.get(r.volume);
    const s = sessions?.get(r.session);
    if (!sessions || s?.node !== node) throw new RemoteError(StorageCode.unknownSession, `session ${r.session} is not open`);
    if (s.readOnly) throw new RemoteError(StorageCode.notAttached, `volume ${r.volume} is read-only for node ${node}`);
    const { from, end } = v.append(r.session, r.batch, r.bytes);
    const generation = v.facts.generation;
    for (const other of sessions.values()) if (other.node !== node) this.#o.notify(other.node, { volume: r.volume, generation, end });
    return { generation, from, end };
  }

  counters() {
    let sessions = 0;
    for (const s of this.#sessions.values()) sessions += s.size;
    return { volumes: this.#volumes.size, sessions };
  }

  close(): void {
    for (const v of this.#volumes.values()) v.close();
  }
}
