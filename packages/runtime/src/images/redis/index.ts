// redis: strings, counters, lists, hashes, expiry and pub/sub-free basics over RESP2, in memory; redis-cli beside it.
import type { Process } from "../../kernel/process.ts";
import type { StreamSocket } from "../../net/net-stack.ts";
import { busyboxFiles, GROUP, PASSWD } from "../busybox/index.ts";
import type { ImageSpec } from "../image.ts";
import { redisCli } from "./cli.ts";
import { Followers, follow, isWrite } from "./replication.ts";
import { readRequest } from "./request.ts";
import { RedisStore } from "./store.ts";

const PORT = 6379;
/** Bytes of one request; a client that sends more is cut off. */
const MAX_REQUEST_BYTES = 64 * 1024 * 1024;

async function redisMain(p: Process): Promise<number> {
  const at = p.argv.indexOf("--port");
  const port = at > 0 ? Number(p.argv[at + 1]) : PORT;
  const password = p.argv.includes("--requirepass") ? p.argv[p.argv.indexOf("--requirepass") + 1] : undefined;
  const store = new RedisStore(() => p.clock.nowMs());
  const followers = new Followers();
  const leader = leaderOf(p.argv);
  p.net.listen(p, { port }, (s) => serve(s, store, { password, followers, readOnly: leader !== undefined }));
  await p.print(`${p.pid}:${leader ? "S" : "M"} * Ready to accept connections tcp\n`);
  for (const s of [15, 2])
    p.onSignal(s, () => {
      void p.print(`${p.pid}:signal-handler Received ${s === 15 ? "SIGTERM" : "SIGINT"} scheduling shutdown...\n`);
      p.terminate({ code: 0, signal: 0 });
    });
  if (leader) return follow(p, store, leader.host, leader.port, (args) => followers.tell(args));
  await p.block(() => () => undefined);
  return 0;
}

/** --replicaof HOST PORT, also as one word. */
function leaderOf(argv: readonly string[]): { host: string; port: number } | undefined {
  const at = argv.findIndex((a) => a === "--replicaof" || a === "--slaveof");
  if (at < 0) return undefined;
  const [host = "", port = String(PORT)] = argv
    .slice(at + 1)
    .join(" ")
    .trim()
    .split(/\s+/);
  return { host, port: Number(port) };
}

interface Serving {
  password: string | undefined;
  followers: Followers;
  readOnly: boolean;
}

function serve(s: StreamSocket, store: RedisStore, { password, followers, readOnly }: Serving): void {
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
      else if (name === "replconf") s.write("+OK\r\n");
      else if (name === "psync") followers.add(s, store);
      else if (readOnly && isWrite(r.args)) s.write("-READONLY You can't write against a read only replica.\r\n");
      else if (name === "info") s.write(store.info(readOnly ? "slave" : "master", followers.count));
      else {
        const answer = store.execute(r.args);
        s.write(answer);
        if (isWrite(r.args) && !answer.startsWith("-")) followers.tell(r.args);
      }
    }
  });
}

/** The follower of Google's guestbook: a redis that replicates from redis-leader. */
async function followerMain(p: Process): Promise<number> {
  p.argv = ["redis-server", "--replicaof", p.env.get("REDIS_LEADER_SERVICE_HOST") ?? "redis-leader", String(PORT)];
  return redisMain(p);
}

export const gbRedisFollower: ImageSpec = {
  repositories: ["google-samples/containers/gke/gb-redis-follower", "google_samples/gb-redis-follower", "gb-redis-follower"],
  tags: ["*"],
  entrypoint: ["/run.sh"],
  exposedPorts: [{ port: PORT, protocol: "TCP" }],
  sizeBytes: 45_000_000,
  files: [
    ...busyboxFiles(true),
    { path: "/etc/passwd", content: PASSWD },
    { path: "/etc/group", content: GROUP },
    { path: "/usr/local/bin/redis-cli", program: redisCli },
    { path: "/run.sh", program: followerMain },
  ],
};

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
