// podwire/client: sends a request to a URL every n seconds and logs who answered.
//   client [--interval SECONDS] [--count N] [--timeout SECONDS] URL

import { strerror } from "../../kernel/errno.ts";
import type { Process } from "../../kernel/process.ts";
import type { ImageSpec } from "../image.ts";

interface Settings {
  url: URL;
  intervalMs: number;
  /** 0 is without end. */
  count: number;
  timeoutMs: number;
}

function settingsOf(argv: readonly string[], env: ReadonlyMap<string, string>): Settings | string {
  const s = { intervalMs: 1000, count: 0, timeoutMs: 5000 };
  let url = env.get("URL");
  for (let i = 1; i < argv.length; i++) {
    const m = /^--(interval|count|timeout)(?:=(.*))?$/.exec(argv[i] as string);
    if (!m) {
      if ((argv[i] as string).startsWith("-")) return `unknown flag: ${argv[i]}`;
      url = argv[i];
      continue;
    }
    const n = Number(m[2] ?? argv[++i]);
    if (!Number.isFinite(n) || n < 0) return `invalid value of --${m[1]}`;
    if (m[1] === "interval") s.intervalMs = n * 1000;
    else if (m[1] === "timeout") s.timeoutMs = n * 1000;
    else s.count = n;
  }
  if (url === undefined) return "a URL is needed: client [--interval SECONDS] [--count N] URL";
  try {
    return { ...s, url: new URL(url.includes("://") ? url : `http://${url}`) };
  } catch {
    return `not a URL: ${url}`;
  }
}

export async function clientMain(p: Process): Promise<number> {
  const s = settingsOf(p.argv, p.env);
  if (typeof s === "string") {
    await p.printError(`client: ${s}\n`);
    return 2;
  }
  p.onSignal(15, () => p.terminate({ code: 0, signal: 0 }));
  let failed = 0;
  for (let n = 1; s.count === 0 || n <= s.count; n++) {
    const started = p.clock.monotonicMs();
    try {
      const r = await p.until(fetchOnce(p, s));
      await p.print(`${r.status} ${(p.clock.monotonicMs() - started).toFixed(1)}ms ${r.summary}\n`);
    } catch (e) {
      p.check();
      failed++;
      await p.print(`error ${(p.clock.monotonicMs() - started).toFixed(1)}ms ${s.url.href}: ${strerror(e)}\n`);
    }
    if (s.count === 0 || n < s.count) await p.sleep(s.intervalMs);
  }
  return failed === 0 ? 0 : 1;
}

async function fetchOnce(p: Process, s: Settings): Promise<{ status: number; summary: string }> {
  const port = s.url.port === "" ? 80 : Number(s.url.port);
  const req = await p.net.request(p, {
    host: s.url.hostname.replace(/^\[|\]$/g, ""),
    port,
    path: `${s.url.pathname}${s.url.search}`,
    headers: { accept: "application/json, text/plain;q=0.9", "user-agent": "podwire-client" },
    connectTimeoutMs: s.timeoutMs,
  });
  return new Promise((resolve, reject) => {
    const timer = p.clock.after(s.timeoutMs, () => req.destroy(Object.assign(new Error("no answer in time"), { code: "ETIMEDOUT" })));
    req.on("error", (e) => {
      timer.cancel();
      reject(e);
    });
    req.on("response", (res) => {
      const parts: Buffer[] = [];
      res.on("data", (d: Buffer) => void parts.push(d));
      res.on("end", () => {
        timer.cancel();
        resolve({ status: res.statusCode ?? 0, summary: summarize(Buffer.concat(parts).toString("utf8")) });
      });
    });
    req.end();
  });
}

function summarize(body: string): string {
  try {
    const a = JSON.parse(body) as { pod?: string; node?: string; podIP?: string; from?: string };
    if (a.pod !== undefined) return `${a.pod} (${a.podIP}) on ${a.node} saw ${a.from}`;
  } catch {
    // Not an echo server: its first line says enough.
  }
  return body.split("\n")[0] ?? "";
}

export const client: ImageSpec = {
  repositories: ["podwire/client"],
  tags: ["*"],
  entrypoint: ["/client"],
  sizeBytes: 1_000_000,
  files: [{ path: "/client", program: clientMain }],
};
