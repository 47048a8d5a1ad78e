// redis: strings, counters, lists, hashes, expiry and pub/sub-free basics over RESP2, in memory; redis-cli beside it.
import type { Process } from "../../kernel/process.ts";
import type { StreamSocket } from "../../net/net-stack.ts";
import { busyboxFiles, GROUP, PASSWD } from "../busybox/index.ts";
import type { ImageSpec } from "../image.ts";
import { redisCli } from "./cli.ts";
import { RedisStore } from "./store.ts";

const PORT = 6379;
/** Bytes of one request; a client that sends more is cut off. */
const MAX_REQUEST_BYTES = 64 * 1024 * 1024;

async function redisMain(p: Process): Promise<number> {
  const at = p.argv.indexOf("--port");
  const port = at > 0 ? Number(p.argv[at + 1]) : PORT;
  const password = p.argv.includes("--requirepass") ? p.argv[p.argv.indexOf("--requirepass") + 1] : undefined;
  const store = new RedisStore(() => p.clock.nowMs());
  p.net.listen(p, { port }, (s) => serve(s, store, password));
  await p.print(`${p.pid}:M * Ready to accept connections tcp\n`);
  for (const s of [15, 2])
    p.onSignal(s, () => {
      void p.print(`${p.pid}:signal-handler Received ${s === 15 ? "SIGTERM" : "SIGINT"} scheduling shutdown...\n`);
      p.terminate({ code: 0, signal: 0 });
    });
  await p.block(() => () => undefined);
  return 0;
}

function serve(s: StreamSocket, store: RedisStore, password: string | undefined): void {
  let buffer: Buffer = Buffer.alloc(0);
  let allowed = password === undefined;
  s.on("error", () => s.destroy());
  s.on("end", () => s.end());
  s.on("data", (d: Buffer) => {
    buffer = buffer.length === 0 ? d : Buffer.concat([buffer, d]);
    if (buffer.length > MAX_REQUEST_BYTES) return void s.destroy();
    for (;;) {
      const r = readRequest(buffer);
      if (r === undefined) return;
      if (r === "malformed") return void s.end("-ERR Protocol error: expected '$'\r\n");
      buffer = buffer.subarray(r.length);
      const name = (r.args[0] ?? "").toLowerCase();
      if (name === "") continue;
      if (name === "auth") {
        allowed = r.args.at(-1) === password;
        s.write(allowed ? "+OK\r\n" : "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
      } else if (name === "quit") return void s.end("+OK\r\n");
      else if (!allowed) s.write("-NOAUTH Authentication required.\r\n");
      else s.write(store.execute(r.args));
    }
  });
}

/** One request in RESP or as a plain line; undefined when more bytes are needed. */
export function readRequest(b: Buffer): { args: string[]; length: number } | undefined | "malformed" {
  const line = b.indexOf("\r\n");
  const nl = b.indexOf(10);
  if (nl < 0) return undefined;
  if (b[0] !== 42) return { args: b.toString("utf8", 0, nl).trim().split(/\s+/), length: nl + 1 };
  if (line < 0) return undefined;
  const count = Number(b.toString("latin1", 1, line));
  const args: string[] = [];
  let at = line + 2;
  for (let i = 0; i < count; i++) {
    const end = b.indexOf("\r\n", at);
    if (end < 0) return undefined;
    if (b[at] !== 36) return "malformed";
    const length = Number(b.toString("latin1", at + 1, end));
    if (b.length < end + 2 + length + 2) return undefined;
    args.push(b.toString("utf8", end + 2, end + 2 + length));
    at = end + 2 + length + 2;
  }
  return { args, length: at };
}

export const redis: ImageSpec = {
  repositories: ["redis", "library/redis", "bitnami/redis"],
  tags: ["*"],
  entrypoint: ["docker-entrypoint.sh"],
  cmd: ["redis-server"],
  workingDir: "/data",
  exposedPorts: [{ port: PORT, protocol: "TCP" }],
  sizeBytes: 45_000_000,
  files: [
    ...busyboxFiles(true),
    { path: "/etc/passwd", content: `${PASSWD}redis:x:999:1000::/home/redis:/bin/sh\n` },
    { path: "/etc/group", content: GROUP },
    { path: "/usr/local/bin/redis-server", program: redisMain },
    { path: "/usr/local/bin/redis-cli", program: redisCli },
    {
      path: "/usr/local/bin/docker-entrypoint.sh",
      mode: 0o755,
      content: '#!/bin/sh\ncase "$1" in -*) set -- redis-server "$@";; esac\nexec "$@"\n',
    },
    { path: "/data", dir: true },
  ],
};
