// Which node a container is: a slot out of the pool of credentials in the shared state folder, claimed under the container's host
// name. Invariant: two live containers never hold one slot; a container that starts again gets the slot it had, if nobody else took it.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "@podwire/base";
import { PodwireError } from "@podwire/base";
import { writeWhole } from "../state/cluster-folder.ts";

/** A holder says this often that it is alive ... */
export const RENEW_MS = 5_000;
/** ... and after this long in silence its slot may be taken. */
export const STALE_MS = 30_000;
/** A lock older than this belongs to a container that died holding it. */
const STALE_LOCK_MS = 10_000;

export class NoSlotError extends PodwireError {}

export interface Claim {
  host: string;
  /** Wall time of the last sign of life. */
  seenMs: number;
  /** It ended in order: free for anybody, but its own host comes first. */
  released: boolean;
}

/** The slot for `host`. Pure: claims by slot in, slot out; undefined when all `count` are held by live containers. */
export function chooseSlot(claims: ReadonlyMap<number, Claim>, host: string, count: number, nowMs: number): number | undefined {
  for (const [slot, c] of claims) if (c.host === host) return slot;
  const free = (c: Claim | undefined) => c === undefined || c.released || nowMs - c.seenMs > STALE_MS;
  for (let slot = 1; slot <= count; slot++) if (free(claims.get(slot))) return slot;
  return undefined;
}

/** Claims a slot in `dir`; the returned functions renew it and give it back. */
export async function claimSlot(
  dir: string,
  host: string,
  count: number,
  clock: Clock,
): Promise<{ slot: number; renew(): void; release(): void }> {
  mkdirSync(dir, { recursive: true });
  const unlock = await lockFolder(join(dir, ".lock"), clock);
  try {
    const slot = chooseSlot(readClaims(dir), host, count, clock.nowMs());
    if (slot === undefined) throw new NoSlotError(`all ${count} node slots are taken`, { next: "scale node-agent down" });
    const write = (released: boolean) => writeWhole(join(dir, `${slot}.json`), JSON.stringify({ host, seenMs: clock.nowMs(), released }));
    write(false);
    return { slot, renew: () => write(false), release: () => write(true) };
  } finally {
    unlock();
  }
}

function readClaims(dir: string): Map<number, Claim> {
  const claims = new Map<number, Claim>();
  for (const name of readdirSync(dir)) {
    const slot = /^(\d+)\.json$/.exec(name)?.[1];
    if (slot !== undefined) claims.set(Number(slot), JSON.parse(readFileSync(join(dir, name), "utf8")) as Claim);
  }
  return claims;
}

/** A folder as lock: mkdir is atomic on every file system that containers share. */
async function lockFolder(path: string, clock: Clock): Promise<() => void> {
  for (;;) {
    try {
      mkdirSync(path);
      return () => rmSync(path, { recursive: true, force: true });
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code !== "EEXIST") throw e;
    }
    const since = existsSync(path) ? statSync(path, { throwIfNoEntry: false })?.mtimeMs : undefined;
    if (since !== undefined && clock.nowMs() - since > STALE_LOCK_MS) rmSync(path, { recursive: true, force: true });
    await clock.sleep(50);
  }
}
