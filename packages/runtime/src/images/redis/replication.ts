// Redis replication as PSYNC has it (full resynchronization only): a leader sends its data as commands, then every write; a follower
// applies them and refuses writes of its own.
import type { Process } from "../../kernel/process.ts";
import type { StreamSocket } from "../../net/net-stack.ts";
import { readRequest } from "./request.ts";
import type { RedisStore } from "./store.ts";

const RETRY_MS = 1_000;
/** Bytes that wait for a slow follower; past it, it has to start anew. */
const BACKLOG_MAX_BYTES = 16 * 1024 * 1024;
const REPLICATION_ID = "0".repeat(40);

const READS = new Set(
  "ping echo select client config command info dbsize get mget exists keys type ttl pttl strlen llen lrange lindex hget hgetall hmget hkeys hvals hlen hexists smembers sismember scard scan auth quit replconf psync object memory time".split(
    " ",
  ),
);

export const isWrite = (args: readonly string[]): boolean => !READS.has((args[0] ?? "").toLowerCase());

export function encodeCommand(args: readonly string[]): string {
  return `*${args.length}\r\n${args.map((a) => `$${Buffer.byteLength(a)}\r\n${a}\r\n`).join("")}`;
}

export class Followers {
  readonly #sockets = new Set<StreamSocket>();
  /** Answers PSYNC: an empty snapshot, then the data as commands. */
  add(s: StreamSocket, store: RedisStore): void {
    s.write(`+FULLRESYNC ${REPLICATION_ID} 0\r\n$0\r\n`);
    for (const c of store.dump()) s.write(encodeCommand(c));
    this.#sockets.add(s);
    s.once("close", () => this.#sockets.delete(s));
  }
  tell(args: readonly string[]): void {
    const text = encodeCommand(args);
    for (const s of this.#sockets) {
      if (s.writableLength > BACKLOG_MAX_BYTES) s.destroy();
      else s.write(text);
    }
  }
  get count(): number {
    return this.#sockets.size;
  }
}

/** Follows the leader for ever; a lost connection starts again from its data. */
export async function follow(
  p: Process,
  store: RedisStore,
  host: string,
  port: number,
  onCommand: (args: string[]) => void,
): Promise<never> {
  for (;;) {
    try {
      const s = await p.until(p.net.connect(p, { host, port, timeoutMs: 5_000 }));
      await p.print(`${p.pid}:S * MASTER <-> REPLICA sync started\n`);
      await p.until(session(s, store, onCommand));
    } catch {
      p.check();
    }
    await p.sleep(RETRY_MS);
  }
}

function session(s: StreamSocket, store: RedisStore, onCommand: (args: string[]) => void): Promise<void> {
  return new Promise((resolve) => {
    let buffer: Buffer = Buffer.alloc(0);
    let synced = false;
    s.on("error", () => s.destroy());
    s.on("close", () => resolve());
    s.on("data", (d: Buffer) => {
      buffer = Buffer.concat([buffer, d]);
      if (!synced) {
        const m = /^\+FULLRESYNC [^\r]*\r\n\$(\d+)\r\n/.exec(buffer.toString("latin1"));
        if (m === null || buffer.length < m[0].length + Number(m[1])) return;
        buffer = buffer.subarray(m[0].length + Number(m[1]));
        store.execute(["flushall"]);
        synced = true;
      }
      for (;;) {
        const r = readRequest(buffer);
        if (r === undefined) return;
        if (r === "malformed") return void s.destroy();
        buffer = buffer.subarray(r.length);
        store.execute(r.args);
        onCommand(r.args);
      }
    });
    s.write(encodeCommand(["PSYNC", "?", "-1"]));
  });
}
