// A trace as a person reads it: a heading for each process and namespace that the packet enters, a line for each place in it.
import type { FlowTuple, TracePoint } from "@podwire/net";
import { paint, type Terminal } from "../terminal/terminal.ts";

export function renderTrace(points: readonly TracePoint[], terminal: Pick<Terminal, "outColour">): string[] {
  const colour = terminal.outColour;
  const lines: string[] = [];
  const startMs = points[0]?.timeMs ?? 0;
  let at = "";
  for (const p of points) {
    const where = `${p.process} · ${p.netns === "root" || p.netns === "" ? "host" : `pod ${p.netns}`}`;
    if (where !== at) lines.push(paint(colour, "bold", where));
    at = where;
    const ms = `+${(p.timeMs - startMs).toFixed(2)}`.padStart(8);
    const verdict = p.verdict === "drop" || p.verdict === "reject" ? paint(colour, "red", p.verdict) : p.verdict;
    const parts = [
      paint(colour, "dim", ms),
      `${p.place} ${p.name}`.trim().padEnd(22),
      addresses(p, colour),
      verdict === "" ? "" : `→ ${verdict}`,
      p.rule === "" ? "" : paint(colour, "cyan", p.rule),
      detail(p),
    ];
    lines.push(`  ${parts.filter((x) => x !== "").join("  ")}`);
  }
  return lines;
}

function addresses(p: TracePoint, colour: boolean): string {
  const before = flow(p.before);
  const after = flow(p.after);
  return before === after ? before : `${before}  ⇒  ${paint(colour, "yellow", after)}`;
}

function flow(f: FlowTuple): string {
  const end = (host: string, port: number) => (port === 0 ? host : host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`);
  return `${f.protocol} ${end(f.src, f.sport)} > ${end(f.dst, f.dport)}`;
}

function detail(p: TracePoint): string {
  return Object.entries(p.detail ?? {})
    .map(([k, v]) => `${k}=${v}`)
    .join(" ");
}

/** Processes that the packet crossed, in order, each once in a row: "edge > node-2 > node-1". */
export function processesCrossed(points: readonly TracePoint[]): string[] {
  const out: string[] = [];
  for (const p of points) if (out.at(-1) !== p.process) out.push(p.process);
  return out;
}
