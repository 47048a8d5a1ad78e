// date: the time, in UTC, in the formats of strftime(3).
import type { Process } from "../kernel/process.ts";
import { parseDate } from "./files.ts";
import { die, options } from "./options.ts";

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

/** strftime(3) in UTC. */
export function strftime(format: string, ms: number): string {
  const d = new Date(ms);
  const two = (n: number) => String(n).padStart(2, "0");
  const h12 = d.getUTCHours() % 12 || 12;
  const one = (c: string): string => {
    switch (c) {
      case "Y":
        return String(d.getUTCFullYear());
      case "y":
        return two(d.getUTCFullYear() % 100);
      case "m":
        return two(d.getUTCMonth() + 1);
      case "d":
        return two(d.getUTCDate());
      case "e":
        return String(d.getUTCDate()).padStart(2);
      case "H":
        return two(d.getUTCHours());
      case "I":
        return two(h12);
      case "M":
        return two(d.getUTCMinutes());
      case "S":
        return two(d.getUTCSeconds());
      case "s":
        return String(Math.floor(ms / 1000));
      case "N":
        return String(Math.floor((ms % 1000) * 1e6)).padStart(9, "0");
      case "a":
        return (DAYS[d.getUTCDay()] as string).slice(0, 3);
      case "A":
        return DAYS[d.getUTCDay()] as string;
      case "b":
      case "h":
        return (MONTHS[d.getUTCMonth()] as string).slice(0, 3);
      case "B":
        return MONTHS[d.getUTCMonth()] as string;
      case "p":
        return d.getUTCHours() < 12 ? "AM" : "PM";
      case "j":
        return String(Math.floor((ms - Date.UTC(d.getUTCFullYear(), 0, 1)) / 86_400_000) + 1).padStart(3, "0");
      case "u":
        return String(d.getUTCDay() || 7);
      case "w":
        return String(d.getUTCDay());
      case "F":
        return strftime("%Y-%m-%d", ms);
      case "T":
        return strftime("%H:%M:%S", ms);
      case "R":
        return strftime("%H:%M", ms);
      case "D":
      case "x":
        return strftime("%m/%d/%y", ms);
      case "X":
        return strftime("%H:%M:%S", ms);
      case "c":
        return strftime("%a %b %e %H:%M:%S %Y", ms);
      case "z":
        return "+0000";
      case "Z":
        return "UTC";
      case "n":
        return "\n";
      case "t":
        return "\t";
      case "%":
        return "%";
      default:
        return `%${c}`;
    }
  };
  return format.replace(/%-?([a-zA-Z%])/g, (w, c: string) => (w[1] === "-" ? one(c).replace(/^0+(?=.)/, "") : one(c)));
}

export async function date(p: Process): Promise<number> {
  const o = await options(p, "us:d:r:RI:D:", "[OPTIONS] [+FMT] [[-s] TIME]", {
    long: { utc: "u", date: "d", "rfc-2822": "R", iso: "I" },
    argv: p.argv.slice(1).map((a) => (a === "-I" || a === "-Iseconds" || a === "-Is" ? (a === "-I" ? "-Idate" : "-Iseconds") : a)),
  });
  let ms = p.clock.nowMs();
  const text = o.values.get("d");
  if (text !== undefined) {
    const d = parseDate(text, ms);
    if (d === undefined) return die(p, `invalid date '${text}'`);
    ms = d;
  }
  if (o.values.has("r")) ms = p.fs.stat(o.values.get("r") as string).mtimeMs;
  if (o.values.has("s")) return die(p, "can't set date: Operation not permitted");
  const format = o.args.find((a) => a.startsWith("+"));
  const fallback = o.flags.has("R")
    ? "%a, %d %b %Y %H:%M:%S %z"
    : o.values.has("I")
      ? o.values.get("I") === "date"
        ? "%Y-%m-%d"
        : "%Y-%m-%dT%H:%M:%S+00:00"
      : "%a %b %e %H:%M:%S UTC %Y";
  await p.print(`${strftime(format?.slice(1) ?? fallback, ms)}\n`);
  return 0;
}
