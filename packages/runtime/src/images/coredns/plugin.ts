// What plugins speak: a question goes down the chain, a reply comes back up. The order of the chain is fixed (CoreDNS's
// plugin.cfg), not that of the Corefile. Names carry a final dot.
import type { Clock, Random } from "@podwire/base";
import type { Record } from "./records.ts";

export interface Question {
  name: string;
  /** "A", "AAAA", "SRV", ... */
  type: string;
  id: number;
  protocol: "udp" | "tcp";
  /** Who asks, "10.244.1.5" and port. */
  from: { address: string; port: number };
  sizeBytes: number;
  /** EDNS: DO bit and payload size; 512 without EDNS. */
  dnssec: boolean;
  bufferBytes: number;
}

export interface Reply {
  rcode: string;
  answers: Record[];
  authority: Record[];
  additional: Record[];
  /** The AA bit. */
  authoritative: boolean;
  /** Why a SERVFAIL came about; for the `errors` plugin, never on the wire. */
  error?: string;
}

export type Next = (q: Question) => Promise<Reply>;

export interface Plugin {
  readonly name: string;
  answer(q: Question, next: Next): Promise<Reply>;
  /** For the `ready` plugin; absent is ready. */
  ready?(): boolean;
  stop?(): void;
}

/** What plugins need of the world. */
export interface Surroundings {
  clock: Clock;
  random: Random;
  print(line: string): void;
  readText(path: string): string;
  metrics: Metrics;
  /** One question to one server over the pod's network. Rejects on time-out and on ICMP errors. */
  exchange(
    server: { address: string; port: number },
    q: { name: string; type: string },
    o: { tcp: boolean; timeoutMs: number },
  ): Promise<Reply & { truncated: boolean }>;
}

/** Counters by name and labels, printed as Prometheus text. */
export class Metrics {
  readonly #values = new Map<string, number>();

  add(name: string, labels: { [label: string]: string } = {}, by = 1): void {
    const key = series(name, labels);
    if (this.#values.size >= MAX_SERIES && !this.#values.has(key)) return;
    this.#values.set(key, (this.#values.get(key) ?? 0) + by);
  }

  set(name: string, labels: { [label: string]: string }, value: number): void {
    this.#values.set(series(name, labels), value);
  }

  text(): string {
    const lines: string[] = [];
    let family = "";
    for (const [key, value] of [...this.#values].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const name = key.replace(/\{.*$/, "");
      if (name !== family) lines.push(`# TYPE ${name} ${name.endsWith("_total") ? "counter" : "gauge"}`);
      family = name;
      lines.push(`${key} ${value}`);
    }
    return `${lines.join("\n")}\n`;
  }
}

/** Further label combinations are not counted. */
const MAX_SERIES = 2_000;

function series(name: string, labels: { [label: string]: string }): string {
  const inner = Object.entries(labels)
    .map(([k, v]) => `${k}="${v.replace(/["\\\n]/g, "_")}"`)
    .join(",");
  return inner === "" ? name : `${name}{${inner}}`;
}

export function emptyReply(rcode: string, error?: string): Reply {
  return { rcode, answers: [], authority: [], additional: [], authoritative: false, ...(error === undefined ? {} : { error }) };
}
