// Counters of a namespace: events by name, drops by reason.
// Invariant: names are fixed words of the code, never taken from packets, so the maps stay small.
export class Counters {
  private readonly events = new Map<string, number>();
  private readonly drops = new Map<string, number>();

  count(name: string): void {
    this.events.set(name, (this.events.get(name) ?? 0) + 1);
  }

  drop(reason: string): void {
    this.drops.set(reason, (this.drops.get(reason) ?? 0) + 1);
  }

  read(): { events: Record<string, number>; drops: Record<string, number> } {
    return { events: Object.fromEntries(this.events), drops: Object.fromEntries(this.drops) };
  }
}
