// A component's log line as a person reads it: time, component, level when it matters, message, fields.
import type { LogLine } from "../supervisor/log-files.ts";
import { type Colour, paint } from "./terminal.ts";

const COLOURS: readonly Colour[] = ["cyan", "green", "yellow", "blue", "magenta"];
const LEVELS: readonly [number, string, Colour][] = [
  [60, "FATAL", "red"],
  [50, "ERROR", "red"],
  [40, "WARN", "yellow"],
  [30, "", "green"],
  [20, "debug", "dim"],
  [0, "trace", "dim"],
];
const OMITTED = new Set(["time", "component", "level", "msg", "pid", "hostname"]);
const MAX_FIELD_CHARS = 300;

export function renderLogLine(line: LogLine, colour: boolean, width = 18): string {
  const time = new Date(line.time).toISOString().slice(11, 23);
  const name = paint(colour, colourOf(line.component), line.component.padEnd(width));
  const [, label, shade] = LEVELS.find(([at]) => (line.level ?? 30) >= at) as [number, string, Colour];
  const fields = Object.entries(line)
    .filter(([k]) => !OMITTED.has(k))
    .map(([k, v]) => paint(colour, "dim", `${k}=${brief(v)}`));
  return [paint(colour, "dim", time), name, label ? paint(colour, shade, label) : "", line.msg ?? "", ...fields]
    .filter((s) => s !== "")
    .join(" ");
}

function brief(value: unknown): string {
  if (value !== null && typeof value === "object" && "message" in value) return brief(value.message);
  const text = typeof value === "string" && !/[\s"]/.test(value) ? value : JSON.stringify(value);
  return text.length > MAX_FIELD_CHARS ? `${text.slice(0, MAX_FIELD_CHARS)}...` : text;
}

/** The same component has the same colour in every run. */
function colourOf(component: string): Colour {
  let h = 0;
  for (const c of component) h = (h * 31 + c.charCodeAt(0)) >>> 0;
  return COLOURS[h % COLOURS.length] as Colour;
}
