// A volume whose content lies in the cluster's storage (bus/storage.ts): this node's copy of it, read from the log, with every change
// made here sent there and every change made elsewhere read from there.
// Invariants: the log's order is the truth: after reading what others did, changes of this node that are not in the log yet are made
// again on top; a batch that may or may not have arrived is looked for in the log before it is sent again; past MAX_UNSENT_BYTES
// writes fail with EIO; `close` returns when the log has everything.
import { type Clock, type Logger, reasonOf } from "@podwire/base";
import {
  type Bus,
  MAX_STORAGE_BYTES,
  RemoteError,
  StorageCode,
  type StorageRequest,
  subjectsOf,
  type VolumeAppended,
  type VolumeBytes,
  type VolumeKind,
  type VolumeOpened,
} from "@podwire/bus";
import { FileSystem, partsOf, SharedReplica, type SpacePool } from "@podwire/runtime";
import { VolumeError } from "./payload.ts";

const SESSION_INODES = 2 ** 32;
const MAX_UNSENT_BYTES = 64 * 1024 * 1024;
/** Short: whatever was lost is found in the log, and sending again does no harm. */
const REQUEST_TIMEOUT_MS = 3_000;
const RETRY_FIRST_MS = 50;
const RETRY_MAX_MS = 5_000;
/** How long `close` waits for storage that does not answer. */
const CLOSE_LIMIT_MS = 10_000;

export interface RemoteVolumeOptions {
  bus: Bus;
  clock: Clock;
  log: Logger;
  volume: string;
  kind: VolumeKind;
  readOnly: boolean;
  type: "ext4" | "nfs4";
  /** Memory of this node for the content of all volumes that it has open. */
  pool: SpacePool;
}

export class RemoteVolume {
  readonly fs: FileSystem;
  readonly #o: RemoteVolumeOptions;
  readonly #replica: SharedReplica;
  #session = 0;
  #generation = 0;
  #offset = 0;
  #rest: Uint8Array = new Uint8Array(0);
  #wanted = 0;
  #unswept = false;
  #opening = true;
  /** The session is to be opened anew, and the log read to its end, before anything is sent: what was sent may have arrived. */
  #unsure = false;
  #scheduled = false;
  #working: Promise<void> | undefined;
  #closed = false;
  /** Storage says that this node has no right to it any more. */
  lost: string | undefined;

  private constructor(o: RemoteVolumeOptions) {
    this.#o = o;
    this.fs = new FileSystem({ type: o.type, now: () => o.clock.nowMs(), pool: o.pool });
    this.fs.root.mode = 0o777;
    this.#replica = new SharedReplica(this.fs);
  }

  /** Reads the whole volume. Throws VolumeError with what the storage said. */
  static async open(o: RemoteVolumeOptions): Promise<RemoteVolume> {
    const v = new RemoteVolume(o);
    try {
      await v.#openSession();
      await v.#readTo(v.#wanted);
      v.#opening = false;
    } catch (e) {
      v.fs.release();
      throw new VolumeError(reasonOf(e));
    }
    if (!o.readOnly) v.#replica.record(() => v.#changed());
    return v;
  }

  #request<T>(r: StorageRequest): Promise<T> {
    const { bus } = this.#o;
    return bus.request(subjectsOf(bus.cluster).storage(bus.identity), r, { timeoutMs: REQUEST_TIMEOUT_MS }) as Promise<T>;
  }

  async #openSession(): Promise<void> {
    const { volume, kind, readOnly } = this.#o;
    const answer = await this.#request<VolumeOpened>({ op: "open", volume, kind, readOnly });
    this.#session = answer.session;
    this.#wanted = answer.end;
    this.fs.nextIno = answer.session * SESSION_INODES;
    this.fs.sizeLimitBytes = answer.sizeBytes > 0 ? answer.sizeBytes : undefined;
    if (answer.generation !== this.#generation) this.#beginAgain(answer.generation);
  }

  #beginAgain(generation: number): void {
    this.#replica.beginAgain();
    this.#unswept = true;
    this.#generation = generation;
    this.#offset = 0;
    this.#rest = new Uint8Array(0);
  }

  /** The log has grown to `end`, says the storage. */
  notice(generation: number, end: number): void {
    if (generation !== this.#generation) this.#wanted = Number.MAX_SAFE_INTEGER;
    else this.#wanted = Math.max(this.#wanted, end);
    this.#work();
  }

  /** Asks for the volume's capacity anew; it may have been expanded. */
  async resize(): Promise<number | undefined> {
    await this.#openSession();
    this.#work();
    return this.fs.sizeLimitBytes;
  }

  #changed(): void {
    if (this.#replica.unsentBytes > MAX_UNSENT_BYTES) this.fs.failing = "EIO";
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#o.clock.soon(() => {
      this.#scheduled = false;
      this.#work();
    });
  }

  #work(): void {
    if (this.#closed || this.#working) return;
    this.#working = this.#loop().finally(() => {
      this.#working = undefined;
      if (this.#hasWork() && this.lost === undefined) this.#work();
    });
  }

  #hasWork(): boolean {
    return !this.#closed && (this.#replica.pending || this.#wanted > this.#offset + this.#rest.length);
  }

  async #loop(): Promise<void> {
    let wait = RETRY_FIRST_MS;
    while (this.#hasWork() && this.lost === undefined) {
      try {
        if (this.#unsure) await this.#openSession();
        this.#unsure = false;
        if (this.#wanted > this.#offset + this.#rest.length) await this.#readTo(this.#wanted);
        await this.#send();
        wait = RETRY_FIRST_MS;
      } catch (e) {
        await this.#failed(e, wait);
        wait = Math.min(wait * 2, RETRY_MAX_MS);
      }
    }
  }

  async #failed(e: unknown, waitMs: number): Promise<void> {
    const { clock, log, volume } = this.#o;
    const code = e instanceof RemoteError ? e.code : undefined;
    if (code === StorageCode.notAttached || code === StorageCode.notFound) {
      this.lost = reasonOf(e);
      this.fs.failing = "EIO";
      log.warn({ volume, reason: this.lost }, "a volume was taken away from this node");
      return;
    }
    log.debug({ volume, reason: reasonOf(e) }, "the storage did not take a change yet");
    this.#unsure = true;
    if (code !== StorageCode.oldGeneration && code !== StorageCode.unknownSession) await clock.sleep(waitMs);
  }

  async #send(): Promise<void> {
    const replica = this.#replica;
    const batch = replica.nextBatch(MAX_STORAGE_BYTES);
    if (!batch) return;
    if (this.fs.failing && replica.unsentBytes < MAX_UNSENT_BYTES / 2 && this.lost === undefined) this.fs.failing = undefined;
    batch.session = this.#session;
    const { volume } = this.#o;
    const { session, number, bytes } = batch;
    const answer = await this.#request<VolumeAppended>({ op: "append", volume, session, batch: number, bytes });
    if (answer.generation === this.#generation && answer.from === this.#offset && this.#rest.length === 0) {
      this.#offset = answer.end;
      replica.confirm(batch);
    } else this.notice(answer.generation, answer.end);
  }

  async #readTo(end: number): Promise<void> {
    const { volume } = this.#o;
    for (;;) {
      const generation = this.#generation;
      const at = this.#offset + this.#rest.length;
      if (at >= end) break;
      const answer = await this.#request<VolumeBytes>({ op: "read", volume, generation, offset: at });
      // The log may have been written anew meanwhile (`resize` asks, too).
      if (generation !== this.#generation) continue;
      if (answer.bytes.length === 0) {
        this.#wanted = at;
        break;
      }
      this.#take(answer.bytes);
      if (this.#opening) this.#checkSpace();
    }
    if (this.#unswept) this.#replica.sweep();
    this.#unswept = false;
  }

  /** Content that others write later is taken as it comes; a volume that does not fit from the start is not opened. */
  #checkSpace(): void {
    const { volume, pool } = this.#o;
    if (pool.usedBytes > pool.limitBytes)
      throw new VolumeError(`no space left on device: the content of volume ${volume} does not fit into the node's --volume-space`);
  }

  #take(bytes: Uint8Array): void {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const { parts, rest } = partsOf(all);
    this.#offset += all.length - rest.length;
    this.#rest = rest.length === 0 ? rest : Buffer.from(rest);
    this.#replica.read(parts);
  }

  /** Resolves when the storage has every change. */
  async flush(): Promise<void> {
    const { clock } = this.#o;
    const deadline = clock.monotonicMs() + CLOSE_LIMIT_MS;
    while (this.#replica.pending && this.lost === undefined && clock.monotonicMs() < deadline) {
      this.#work();
      await Promise.race([this.#working, clock.sleep(Math.max(1, deadline - clock.monotonicMs()))]);
    }
  }

  async close(): Promise<void> {
    await this.flush();
    this.abandon();
    await this.#request({ op: "close", volume: this.#o.volume, session: this.#session }).catch(() => undefined);
  }

  /** The node goes down. */
  abandon(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#replica.stop();
    this.fs.release();
  }
}
