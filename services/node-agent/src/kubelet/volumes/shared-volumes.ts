// The volumes of this node whose content lies in the cluster's storage, each open once however many pods use it.
// Invariant: a volume is open exactly while a pod uses it; it is let go of only after the storage has everything.
import type { Clock, Logger } from "@podwire/base";
import { type Bus, decode, Identity, type Subscription, subjectsOf, type VolumeChanged, type VolumeKind } from "@podwire/bus";
import type { SpacePool } from "@podwire/runtime";
import { RemoteVolume } from "./remote-volume.ts";

export interface VolumeUse {
  volume: string;
  kind: VolumeKind;
  readOnly: boolean;
  type: "ext4" | "nfs4";
}

interface Entry {
  opening: Promise<RemoteVolume>;
  open: RemoteVolume | undefined;
  users: Set<string>;
  readOnly: boolean;
}

export interface SharedVolumesOptions {
  bus: Bus;
  clock: Clock;
  log: Logger;
  /** Content of all of them together, which is held in memory: what goes past it is ENOSPC. */
  spaceBytes: number;
  onChange: () => void;
  onGrown: (volume: string) => void;
}

export class SharedVolumes {
  readonly #o: SharedVolumesOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #closing = new Map<string, Promise<void>>();
  readonly #pool: SpacePool;
  #notices: Subscription | undefined;

  constructor(o: SharedVolumesOptions) {
    this.#o = o;
    this.#pool = { limitBytes: o.spaceBytes, usedBytes: 0 };
  }

  /** Opens it for `user` (a pod's uid). Throws VolumeError. */
  async acquire(u: VolumeUse, user: string): Promise<RemoteVolume> {
    this.#listen();
    let e = this.#entries.get(u.volume);
    const stale = e !== undefined && (e.open?.lost !== undefined || (e.readOnly && !u.readOnly));
    if (e && stale) {
      this.#entries.delete(u.volume);
      await this.#close(u.volume, e);
    }
    if (!e || stale) {
      await this.#closing.get(u.volume);
      const made = this.#open(u);
      e = made;
    }
    e.users.add(user);
    return e.opening;
  }

  #open(u: VolumeUse): Entry {
    const { bus, clock, log } = this.#o;
    const opening = RemoteVolume.open({ bus, clock, log, pool: this.#pool, ...u });
    const e: Entry = { opening, open: undefined, users: new Set(), readOnly: u.readOnly };
    this.#entries.set(u.volume, e);
    opening.then(
      (v) => {
        e.open = v;
        this.#o.onChange();
      },
      () => {
        if (this.#entries.get(u.volume) === e) this.#entries.delete(u.volume);
      },
    );
    return e;
  }

  /** Lets go of everything that `user` has; resolves when the storage has what it wrote. */
  async release(user: string): Promise<void> {
    const closing: Promise<void>[] = [];
    for (const [volume, e] of this.#entries) {
      if (!e.users.delete(user) || e.users.size > 0) continue;
      this.#entries.delete(volume);
      closing.push(this.#close(volume, e));
    }
    await Promise.all(closing);
  }

  #close(volume: string, e: Entry): Promise<void> {
    const done = e.opening
      .then((v) => v.close())
      .catch(() => undefined)
      .then(() => {
        if (this.#closing.get(volume) === done) this.#closing.delete(volume);
        this.#o.onChange();
      });
    this.#closing.set(volume, done);
    return done;
  }

  /** Names of CSI volumes that are in use here, being closed ones too. */
  csiInUse(): string[] {
    return [...new Set([...this.#entries.keys(), ...this.#closing.keys()])].filter((v) => !v.startsWith("nfs:")).sort();
  }

  find(volume: string): RemoteVolume | undefined {
    return this.#entries.get(volume)?.open;
  }

  #listen(): void {
    if (this.#notices) return;
    const { bus } = this.#o;
    const node = Identity.nodeOf(bus.identity);
    if (node === undefined) return;
    this.#notices = bus.subscribe(subjectsOf(bus.cluster).volume(node), (m) => {
      const change = decode(m.data) as VolumeChanged;
      this.#entries.get(change.volume)?.open?.notice(change.generation, change.end);
      if (change.grown) this.#o.onGrown(change.volume);
    });
  }

  counters() {
    return { open: this.#entries.size, closing: this.#closing.size, contentBytes: this.#pool.usedBytes };
  }

  /** The node goes down. */
  stop(): void {
    this.#notices?.unsubscribe();
    for (const e of this.#entries.values()) e.open?.abandon();
  }
}
