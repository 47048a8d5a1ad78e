// sort: lines by keys, numbers, months, sizes (POSIX sort and what busybox adds).
import type { Process } from "../kernel/process.ts";
import { complainOf, options } from "./options.ts";
import { closeInput, openInput, raw, readAll } from "./streams.ts";

interface SortKey {
  from: [number, number];
  to: [number, number] | undefined;
  flags: string;
}

export async function sort(p: Process): Promise<number> {
  const o = await options(
    p,
    "nugMcszbrdfiVhk:t:o:T:m",
    "[-nrughMcszbdfiokt] [-o FILE] [-k START[.OFS][OPTS][,END[.OFS][OPTS]] [-t CHAR] [FILE]...",
  );
  const global = ["n", "g", "M", "b", "r", "d", "f", "i", "V", "h"].filter((f) => o.flags.has(f)).join("");
  const sep = o.values.get("t");
  const keys: SortKey[] = (o.all.get("k") ?? []).map((spec) => {
    const m = /^(\d+)(?:\.(\d+))?([a-zA-Z]*)(?:,(\d+)(?:\.(\d+))?([a-zA-Z]*))?$/.exec(spec);
    return {
      from: [Number(m?.[1] ?? 1), Number(m?.[2] ?? 1)],
      to: m?.[4] ? [Number(m[4]), Number(m[5] ?? 0)] : undefined,
      flags: `${m?.[3] ?? ""}${m?.[6] ?? ""}`,
    };
  });
  let all = "";
  const status = 0;
  const end = o.flags.has("z") ? "\0" : "\n";
  for (const f of o.args.length === 0 ? ["-"] : o.args) {
    try {
      const fd = await openInput(p, f);
      const text = (await readAll(p, fd)).toString("latin1");
      closeInput(p, fd);
      all += text === "" || text.endsWith(end) ? text : `${text}${end}`;
    } catch (e) {
      await complainOf(p, f, e);
      return 2;
    }
  }
  const list = all === "" ? [] : all.slice(0, -1).split(end);
  const fields = (line: string) => (sep !== undefined ? line.split(sep) : (line.match(/[ \t]*[^ \t]*/g) ?? []).slice(0, -1));
  const part = (line: string, k: SortKey): string => {
    const f = fields(line);
    const at = (n: number) => f.slice(0, n).reduce((s, x) => s + x.length + (sep !== undefined ? 1 : 0), 0);
    const start = at(k.from[0] - 1) + (k.from[1] - 1);
    if (k.to === undefined) return line.slice(start);
    const end = k.to[1] > 0 ? at(k.to[0] - 1) + k.to[1] : at(k.to[0]) - (sep !== undefined ? 1 : 0);
    return line.slice(start, Math.max(start, end));
  };
  const compare = (a: string, b: string, flags: string): number => {
    let x = a;
    let y = b;
    if (flags.includes("b") || flags.includes("n")) {
      x = x.replace(/^\s+/, "");
      y = y.replace(/^\s+/, "");
    }
    if (/[nghM]/.test(flags)) {
      const v = (s: string) => (flags.includes("h") ? human(s) : flags.includes("M") ? month(s) : Number.parseFloat(s) || 0);
      const d = v(x) - v(y);
      return d < 0 ? -1 : d > 0 ? 1 : 0;
    }
    if (flags.includes("V")) return x.localeCompare(y, "en", { numeric: true });
    if (flags.includes("d")) {
      x = x.replace(/[^A-Za-z0-9 \t]/g, "");
      y = y.replace(/[^A-Za-z0-9 \t]/g, "");
    }
    if (flags.includes("f")) {
      x = x.toUpperCase();
      y = y.toUpperCase();
    }
    return x < y ? -1 : x > y ? 1 : 0;
  };
  const order = (a: string, b: string): number => {
    for (const k of keys) {
      const flags = k.flags === "" ? global : k.flags;
      const d = compare(part(a, k), part(b, k), flags);
      if (d !== 0) return flags.includes("r") ? -d : d;
    }
    if (keys.length === 0) {
      const d = compare(a, b, global);
      if (d !== 0) return global.includes("r") ? -d : d;
    }
    if (o.flags.has("s") || o.flags.has("u")) return 0;
    const d = a < b ? -1 : a > b ? 1 : 0;
    return global.includes("r") ? -d : d;
  };
  if (o.flags.has("c")) {
    for (let i = 1; i < list.length; i++) {
      const d = order(list[i - 1] as string, list[i] as string);
      if (d > 0 || (d === 0 && o.flags.has("u"))) {
        await p.printError(`Check line ${i}\n`);
        return 1;
      }
    }
    return 0;
  }
  list.sort(order);
  const kept = o.flags.has("u") ? list.filter((l, i) => i === 0 || order(list[i - 1] as string, l) !== 0) : list;
  const text = kept.map((l) => l + end).join("");
  const target = o.values.get("o");
  if (target !== undefined) p.fs.writeFile(target, raw(text));
  else await p.write(1, raw(text));
  return status;
}

function human(s: string): number {
  const m = /^\s*(-?[\d.]+)([KMGTPE]?)/.exec(s);
  return m ? Number(m[1]) * 1024 ** "KMGTPE".indexOf(m[2] || "_") * (m[2] ? 1024 : 1024) : 0;
}
function month(s: string): number {
  return ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"].indexOf(s.trim().slice(0, 3).toUpperCase());
}
