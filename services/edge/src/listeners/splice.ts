// Joins a real socket and one of ours: bytes both ways with back-pressure, each half closed when the other side's half is, and a reset
// on one side becomes a reset on the other. Invariant: when either is gone, both are.
import type { Duplex } from "node:stream";

/** A stream that can end with a reset instead of a FIN. */
export type Spliceable = Duplex & { resetAndDestroy?: () => unknown };

/** Calls `onEnd` once, when both are gone. */
export function splice(a: Spliceable, b: Spliceable, onEnd: () => void): void {
  let open = 2;
  const watch = (one: Spliceable, other: Spliceable) => {
    one.on("error", () => abort(other));
    one.on("close", () => {
      // After an orderly end both halves are over and this changes nothing; after a reset or a destroy it ends the other.
      if (!one.readableEnded || !one.writableFinished) abort(other);
      if (--open === 0) onEnd();
    });
  };
  watch(a, b);
  watch(b, a);
  a.pipe(b);
  b.pipe(a);
}

function abort(s: Spliceable): void {
  if (s.destroyed) return;
  if (s.resetAndDestroy) s.resetAndDestroy();
  else s.destroy();
}
