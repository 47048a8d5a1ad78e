// Applets on bytes: hexdump, od, xxd, base64, md5sum and relatives, gzip, dd, cmp.
import { createHash } from "node:crypto";
import zlib from "node:zlib";
import { SysError, strerror } from "../kernel/errno.ts";
import type { Process } from "../kernel/process.ts";
import { complain, complainOf, number, options, usage } from "./options.ts";
import { closeInput, lines, Output, openInput, readAll } from "./streams.ts";

async function inputs(
  p: Process,
  files: string[],
  report: (name: string, e: SysError) => Promise<void>,
): Promise<{ data: Buffer; status: number }> {
  const parts: Buffer[] = [];
  let status = 0;
  for (const f of files.length === 0 ? ["-"] : files) {
    try {
      const fd = await openInput(p, f);
      parts.push(await readAll(p, fd));
      closeInput(p, fd);
    } catch (e) {
      if (!(e instanceof SysError)) throw e;
      await report(f, e);
      status = 1;
    }
  }
  return { data: Buffer.concat(parts), status };
}

const hex = (n: number, width: number) => n.toString(16).padStart(width, "0");
const visible = (b: number) => (b >= 32 && b < 127 ? String.fromCharCode(b) : ".");

/** Reads at most `limit` bytes of the first file without waiting for its end. */
async function firstBytes(
  p: Process,
  files: string[],
  limit: number,
  report: (name: string, e: SysError) => Promise<void>,
): Promise<{ data: Buffer; status: number }> {
  if (!Number.isFinite(limit)) return inputs(p, files, report);
  try {
    const fd = await openInput(p, files[0] ?? "-");
    const parts: Buffer[] = [];
    let left = limit;
    while (left > 0) {
      const b = await p.read(fd, left);
      if (b.length === 0) break;
      parts.push(Buffer.from(b));
      left -= b.length;
    }
    return { data: Buffer.concat(parts), status: 0 };
  } catch (e) {
    if (!(e instanceof SysError)) throw e;
    await report(files[0] ?? "-", e);
    return { data: Buffer.alloc(0), status: 1 };
  }
}

export async function hexdump(p: Process): Promise<number> {
  const o = await options(p, "bcdoxCn:s:ve:", "[-bcCdovx] [-n LEN] [-s OFS] [-e FMT] [FILE]...");
  const limit = o.values.has("n") ? await number(p, o.values.get("n") as string) : Number.POSITIVE_INFINITY;
  const { data, status } = await firstBytes(p, o.args, limit, (f, e) => complainOf(p, f, e));
  if (o.args.length > 0 && status !== 0 && data.length === 0) return status;
  const out = new Output(p);
  const f = o.flags;
  const format = o.values.get("e");
  if (format !== undefined) {
    const m = /^\s*(?:(\d+)\/)?(\d+)?\s*"(.*)"\s*$/.exec(format);
    const size = Number(m?.[2] ?? 1);
    for (let i = 0; i < data.length; i += size)
      await out.write(
        (m?.[3] ?? "").replace(/%0?(\d*)([xXdoc_])/g, (_, w: string, c: string) =>
          c === "c"
            ? visible(data[i] as number)
            : data
                .readUIntLE(i, Math.min(size, data.length - i))
                .toString(c === "d" ? 10 : c === "o" ? 8 : 16)
                .padStart(Number(w || 1), "0"),
        ),
      );
    await out.flush();
    return status;
  }
  let previous = "";
  let starred = false;
  for (let at = 0; at < data.length; at += 16) {
    const row = data.subarray(at, at + 16);
    const key = row.toString("latin1");
    if (key === previous && row.length === 16 && !f.has("v")) {
      if (!starred) await out.write("*\n");
      starred = true;
      continue;
    }
    previous = key;
    starred = false;
    if (f.has("C")) {
      const cells = [...row].map((b) => hex(b, 2));
      const left = cells.slice(0, 8).join(" ").padEnd(23);
      const right = cells.slice(8).join(" ").padEnd(23);
      await out.write(`${hex(at, 8)}  ${left}  ${right}  |${[...row].map(visible).join("")}|\n`);
    } else if (f.has("c"))
      await out.write(
        `${hex(at, 7)}${[...row]
          .map((b) => ` ${charName(b).padStart(3)}`)
          .join("")
          .padEnd(64)}\n`,
      );
    else if (f.has("b"))
      await out.write(
        `${hex(at, 7)}${[...row]
          .map((b) => ` ${b.toString(8).padStart(3, "0")}`)
          .join("")
          .padEnd(64)}\n`,
      );
    else {
      let text = "";
      for (let i = 0; i < row.length; i += 2) {
        const v = (row[i] as number) | ((row[i + 1] ?? 0) << 8);
        text += f.has("x")
          ? `    ${hex(v, 4)}`
          : f.has("d")
            ? `   ${String(v).padStart(5, "0")}`
            : f.has("o")
              ? `  ${v.toString(8).padStart(6, "0")}`
              : ` ${hex(v, 4)}`;
      }
      await out.write(`${hex(at, 7)}${text.padEnd(f.has("x") || f.has("d") || f.has("o") ? 64 : 40)}\n`);
    }
  }
  if (data.length > 0) await out.write(`${hex(data.length, f.has("C") ? 8 : 7)}\n`);
  await out.flush();
  return status;
}

function charName(b: number): string {
  const named: Record<number, string> = { 0: "\\0", 7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r" };
  return named[b] ?? (b >= 32 && b < 127 ? String.fromCharCode(b) : b.toString(8).padStart(3, "0"));
}

export async function od(p: Process): Promise<number> {
  const o = await options(p, "aBbcDdeFfHhIiLlOovXxsA:N:j:t:w:", "[-abcdfhilovxs] [-t TYPE] [-A RADIX] [-N SIZE] [-j SKIP] [FILE]...", {
    argv: p.argv.slice(1),
  });
  const limit = o.values.has("N") ? await number(p, o.values.get("N") as string) : Number.POSITIVE_INFINITY;
  const skip = o.values.has("j") ? await number(p, o.values.get("j") as string) : 0;
  const all = await firstBytes(p, o.args, limit + skip, (f, e) => complainOf(p, f, e));
  const data = all.data.subarray(skip);
  const radix = o.values.get("A") ?? "o";
  const address = (n: number) =>
    radix === "n" ? "" : radix === "x" ? hex(n, 6) : radix === "d" ? String(n).padStart(7, "0") : n.toString(8).padStart(7, "0");
  const t =
    o.values.get("t") ??
    (o.flags.has("c")
      ? "c"
      : o.flags.has("b")
        ? "o1"
        : o.flags.has("x") || o.flags.has("h")
          ? "x2"
          : o.flags.has("d")
            ? "u2"
            : o.flags.has("i")
              ? "d4"
              : "o2");
  const kind = t[0] as string;
  const size = kind === "c" || kind === "a" ? 1 : Number(t.slice(1) || (kind === "f" ? 8 : 4));
  const width =
    kind === "c"
      ? 3
      : kind === "x"
        ? size * 2
        : kind === "o"
          ? Math.ceil((size * 8) / 3)
          : kind === "u"
            ? ([0, 3, 5, 0, 10][size] ?? 20)
            : ([0, 4, 6, 0, 11][size] ?? 20);
  const out = new Output(p);
  for (let at = 0; at < data.length; at += 16) {
    const row = data.subarray(at, at + 16);
    let text = "";
    for (let i = 0; i < row.length; i += size) {
      if (kind === "c") {
        text += ` ${charName(row[i] as number).padStart(3)}`;
        continue;
      }
      const piece = Buffer.alloc(size);
      row.copy(piece, 0, i, i + size);
      let v = 0n;
      for (let k = size - 1; k >= 0; k--) v = (v << 8n) | BigInt(piece[k] as number);
      if (kind === "d")
        text += ` ${BigInt.asIntN(size * 8, v)
          .toString()
          .padStart(width)}`;
      else text += ` ${v.toString(kind === "x" ? 16 : kind === "o" ? 8 : 10).padStart(width, kind === "u" ? " " : "0")}`;
    }
    await out.write(`${address(at + skip)}${text}\n`);
  }
  if (radix !== "n") await out.write(`${address(data.length + skip)}\n`);
  await out.flush();
  return all.status;
}

export async function xxd(p: Process): Promise<number> {
  const o = await options(p, "pg:c:n:s:ri", "[-pri] [-g N] [-c N] [-l LEN] [-s OFS] [FILE]");
  const { data, status } = await inputs(p, o.args.slice(0, 1), (f, e) => complainOf(p, f, e));
  if (o.flags.has("p")) {
    const text = data.toString("hex");
    await p.print(text.replace(/(.{60})/g, "$1\n") + (text.length % 60 === 0 && text !== "" ? "" : "\n"));
    return status;
  }
  for (let at = 0; at < data.length; at += 16) {
    const row = data.subarray(at, at + 16);
    await p.print(
      `${hex(at, 8)}: ${(row.toString("hex").match(/.{1,4}/g) ?? []).join(" ").padEnd(39)}  ${[...row].map(visible).join("")}\n`,
    );
  }
  return status;
}

export async function base64(p: Process): Promise<number> {
  const o = await options(p, "dw:", "[-d] [-w COL] [FILE]");
  const { data, status } = await inputs(p, o.args.slice(0, 1), (f, e) => complainOf(p, f, e));
  if (status !== 0) return status;
  if (o.flags.has("d")) {
    const text = data.toString("latin1").replace(/\s/g, "");
    if (/[^A-Za-z0-9+/=]/.test(text)) {
      const good = /^[A-Za-z0-9+/]*/.exec(text)?.[0] ?? "";
      await p.write(1, Buffer.from(good.slice(0, good.length - (good.length % 4)), "base64"));
      return 0;
    }
    await p.write(1, Buffer.from(text, "base64"));
    return 0;
  }
  const width = await number(p, o.values.get("w") ?? "76");
  const text = data.toString("base64");
  await p.print(width === 0 ? text : text === "" ? "" : `${(text.match(new RegExp(`.{1,${width}}`, "g")) ?? []).join("\n")}\n`);
  return 0;
}

export function sum(algorithm: string): (p: Process) => Promise<number> {
  return async (p) => {
    const o = await options(p, "csw", "[-c[sw]] [FILE]...");
    let status = 0;
    const digest = async (f: string): Promise<string | undefined> => {
      try {
        const fd = await openInput(p, f);
        const d = createHash(algorithm)
          .update(await readAll(p, fd))
          .digest("hex");
        closeInput(p, fd);
        return d;
      } catch (e) {
        if (!(e instanceof SysError)) throw e;
        await complain(p, `can't open '${f}': ${strerror(e)}`);
        status = 1;
        return undefined;
      }
    };
    if (o.flags.has("c")) {
      let bad = 0;
      let total = 0;
      for (const list of o.args.length === 0 ? ["-"] : o.args) {
        const fd = await openInput(p, list);
        for await (const l of lines(p, fd)) {
          const m = /^([0-9a-f]+) [ *](.*)$/.exec(l.text);
          if (!m) continue;
          total++;
          const ok = (await digest(m[2] as string)) === m[1];
          if (!ok) bad++;
          if (!o.flags.has("s")) await p.print(`${m[2]}: ${ok ? "OK" : "FAILED"}\n`);
        }
      }
      if (bad > 0) {
        if (!o.flags.has("s")) await complain(p, `WARNING: ${bad} of ${total} computed checksums did NOT match`);
        return 1;
      }
      return status;
    }
    for (const f of o.args.length === 0 ? ["-"] : o.args) {
      const d = await digest(f);
      if (d !== undefined) await p.print(`${d}  ${f}\n`);
    }
    return status;
  };
}

export async function gzip(p: Process): Promise<number> {
  const o = await options(p, "cdfktq123456789", "[-cfkdt123456789] [FILE]...");
  const decompress = o.flags.has("d") || p.name === "gunzip" || p.name === "zcat";
  const toOutput = o.flags.has("c") || p.name === "zcat";
  let status = 0;
  for (const f of o.args.length === 0 ? ["-"] : o.args) {
    try {
      const fd = await openInput(p, f);
      const data = await readAll(p, fd);
      closeInput(p, fd);
      const result = decompress ? zlib.gunzipSync(data) : zlib.gzipSync(data);
      if (f === "-" || toOutput) await p.write(1, result);
      else {
        if (decompress && !f.endsWith(".gz")) {
          await complain(p, `${f}: unknown suffix - ignored`);
          status = 1;
          continue;
        }
        p.fs.writeFile(decompress ? f.slice(0, -3) : `${f}.gz`, result);
        if (!o.flags.has("k")) p.fs.unlink(f);
      }
    } catch (e) {
      if (e instanceof SysError) await complain(p, `${f}: ${strerror(e)}`);
      else await complain(p, "invalid magic");
      status = 1;
    }
  }
  return status;
}

export async function dd(p: Process): Promise<number> {
  const o = new Map<string, string>();
  for (const a of p.argv.slice(1)) {
    const at = a.indexOf("=");
    if (at < 0) return usage(p, "[if=FILE] [of=FILE] [bs=N] [count=N] [skip=N] [seek=N] [conv=notrunc]");
    o.set(a.slice(0, at), a.slice(at + 1));
  }
  const size = async (k: string, d: number) => (o.has(k) ? number(p, (o.get(k) as string).replace(/B$/, "")) : d);
  const bs = await size("bs", await size("ibs", 512));
  const count = await size("count", Number.POSITIVE_INFINITY);
  const fd = o.has("if") ? await p.open(o.get("if") as string, { read: true }) : 0;
  const keep = (o.get("conv") ?? "").includes("notrunc") || o.has("seek");
  const to = o.has("of") ? await p.open(o.get("of") as string, { write: true, create: true, truncate: !keep }) : 1;
  if (o.has("skip"))
    for (let left = bs * (await size("skip", 0)); left > 0; ) left -= (await p.read(fd, Math.min(left, 65_536))).length || left;
  if (o.has("seek")) {
    const at = bs * (await size("seek", 0));
    if (o.has("of") && !(o.get("conv") ?? "").includes("notrunc")) p.fs.truncate(o.get("of") as string, at);
    p.fds.get(to).seek(at, "set");
  }
  let full = 0;
  let partial = 0;
  let bytes = 0;
  const started = p.clock.monotonicMs();
  for (let i = 0; i < count; i++) {
    const b = await p.read(fd, bs);
    if (b.length === 0) break;
    if (b.length === bs) full++;
    else partial++;
    bytes += b.length;
    await p.write(to, b);
    const pause = p.checkpoint();
    if (pause) await pause;
  }
  const seconds = (p.clock.monotonicMs() - started) / 1000;
  if (o.get("status") !== "none")
    await p.printError(
      `${full}+${partial} records in\n${full}+${partial} records out\n${bytes} bytes copied, ${seconds.toFixed(6)} seconds\n`,
    );
  return 0;
}

export async function cmp(p: Process): Promise<number> {
  const o = await options(p, "lsn:", "[-ls] [-n NUM] FILE1 [FILE2]");
  const data: Buffer[] = [];
  for (const f of [o.args[0] ?? "-", o.args[1] ?? "-"]) {
    try {
      const fd = await openInput(p, f);
      data.push(await readAll(p, fd));
      closeInput(p, fd);
    } catch (e) {
      if (!o.flags.has("s")) await complainOf(p, f, e);
      return 2;
    }
  }
  const [a, b] = data as [Buffer, Buffer];
  let line = 1;
  let status = 0;
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    if (i >= a.length || i >= b.length) {
      if (!o.flags.has("s")) await complain(p, `EOF on ${i >= a.length ? o.args[0] : o.args[1]}`);
      return 1;
    }
    if (a[i] !== b[i]) {
      status = 1;
      if (o.flags.has("s")) return 1;
      if (!o.flags.has("l")) {
        await p.print(`${o.args[0]} ${o.args[1]} differ: char ${i + 1}, line ${line}\n`);
        return 1;
      }
      await p.print(`${i + 1} ${(a[i] as number).toString(8).padStart(3)} ${(b[i] as number).toString(8).padStart(3)}\n`);
    }
    if (a[i] === 10) line++;
  }
  return status;
}
