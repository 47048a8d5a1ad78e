// The write-rate alarm of the property tests: a controller that writes one object again and again, whether it succeeds or not, is in a hot
// loop, however well the objects look in the end. Pure but for the time that it is told.
// Invariant: the alarm names the first object whose writes within any WINDOW_MS passed the limit.

const WINDOW_MS = 10_000;
/** Writes of one object (or creations in one collection) within a window. Rollouts and back-off stay far below. */
const MAX_WRITES = 60;
const MAX_CREATIONS = 300;

export class WriteRate {
  readonly #recent = new Map<string, number[]>();
  /** What was too much; undefined so far. */
  alarm: string | undefined;

  note(method: string, path: string, nowMs: number): void {
    if (method === "GET" || this.alarm !== undefined) return;
    const key = `${method} ${path.replace(/\?.*$/, "")}`;
    const times = this.#recent.get(key) ?? [];
    while (times.length > 0 && (times[0] as number) <= nowMs - WINDOW_MS) times.shift();
    times.push(nowMs);
    this.#recent.set(key, times);
    const limit = method === "POST" ? MAX_CREATIONS : MAX_WRITES;
    if (times.length > limit) this.alarm = `hot loop: ${times.length} times ${key} within ${WINDOW_MS / 1000} s`;
  }
}
