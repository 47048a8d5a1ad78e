// The data of the redis image and its commands, answered in RESP2. Pure but for the clock.

type Entry =
  | { kind: "string"; v: string }
  | { kind: "list"; v: string[] }
  | { kind: "hash"; v: Map<string, string> }
  | { kind: "set"; v: Set<string> };

const bulk = (v: string | undefined) => (v === undefined ? "$-1\r\n" : `$${Buffer.byteLength(v)}\r\n${v}\r\n`);
const int = (n: number) => `:${n}\r\n`;
const array = (list: (string | undefined)[]) => `*${list.length}\r\n${list.map(bulk).join("")}`;
const OK = "+OK\r\n";
const WRONG = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

export class RedisStore {
  readonly #data = new Map<string, Entry>();
  readonly #expires = new Map<string, number>();
  readonly #now: () => number;
  constructor(now: () => number) {
    this.#now = now;
  }

  #get(key: string): Entry | undefined {
    const at = this.#expires.get(key);
    if (at !== undefined && at <= this.#now()) {
      this.#data.delete(key);
      this.#expires.delete(key);
    }
    return this.#data.get(key);
  }

  #as<K extends Entry["kind"]>(key: string, kind: K, make: () => Extract<Entry, { kind: K }>): Extract<Entry, { kind: K }> | undefined {
    const e = this.#get(key);
    if (e === undefined) {
      const made = make();
      this.#data.set(key, made);
      return made;
    }
    return e.kind === kind ? (e as Extract<Entry, { kind: K }>) : undefined;
  }

  info(role: "master" | "slave", followers: number): string {
    return bulk(
      `# Server\r\nredis_version:7.4.0\r\n# Replication\r\nrole:${role}\r\nconnected_slaves:${followers}\r\n# Keyspace\r\ndb0:keys=${this.#data.size}\r\n`,
    );
  }

  /** Commands that make this data. */
  *dump(): Generator<string[]> {
    for (const key of this.#data.keys()) {
      const e = this.#get(key);
      if (e === undefined) continue;
      if (e.kind === "string") yield ["SET", key, e.v];
      else if (e.kind === "list") yield ["RPUSH", key, ...e.v];
      else if (e.kind === "hash") yield ["HSET", key, ...[...e.v].flat()];
      else yield ["SADD", key, ...e.v];
      const at = this.#expires.get(key);
      if (at !== undefined) yield ["PEXPIRE", key, String(Math.max(1, at - this.#now()))];
    }
  }

  execute(args: string[]): string {
    const name = (args[0] as string).toLowerCase();
    const [, a = "", b = "", c = ""] = args;
    const few = `-ERR wrong number of arguments for '${name}' command\r\n`;
    switch (name) {
      case "ping":
        return args.length > 1 ? bulk(a) : "+PONG\r\n";
      case "echo":
        return bulk(a);
      case "select":
      case "client":
      case "config":
        return name === "config" && a.toLowerCase() === "get" ? array([]) : OK;
      case "command":
        return array([]);
      case "info":
        return this.info("master", 0);
      case "dbsize":
        return int(this.#data.size);
      case "flushall":
      case "flushdb":
        this.#data.clear();
        this.#expires.clear();
        return OK;
      case "get": {
        if (args.length !== 2) return few;
        const e = this.#get(a);
        return e === undefined ? bulk(undefined) : e.kind === "string" ? bulk(e.v) : WRONG;
      }
      case "set":
      case "setex":
      case "setnx": {
        if (args.length < 3) return few;
        const options = name === "set" ? args.slice(3).map((x) => x.toLowerCase()) : [];
        const there = this.#get(a) !== undefined;
        if ((name === "setnx" || options.includes("nx")) && there) return name === "setnx" ? int(0) : bulk(undefined);
        if (options.includes("xx") && !there) return bulk(undefined);
        this.#data.set(a, { kind: "string", v: name === "setex" ? c : b });
        this.#expires.delete(a);
        const ex = options.indexOf("ex");
        const px = options.indexOf("px");
        if (name === "setex") this.#expires.set(a, this.#now() + Number(b) * 1000);
        else if (ex >= 0) this.#expires.set(a, this.#now() + Number(options[ex + 1]) * 1000);
        else if (px >= 0) this.#expires.set(a, this.#now() + Number(options[px + 1]));
        return name === "setnx" ? int(1) : OK;
      }
      case "mget":
        return array(args.slice(1).map((k) => (this.#get(k)?.kind === "string" ? (this.#get(k) as { v: string }).v : undefined)));
      case "mset":
        for (let i = 1; i + 1 < args.length; i += 2) this.#data.set(args[i] as string, { kind: "string", v: args[i + 1] as string });
        return OK;
      case "incr":
      case "decr":
      case "incrby":
      case "decrby": {
        const e = this.#as(a, "string", () => ({ kind: "string", v: "0" }));
        if (!e) return WRONG;
        if (!/^-?\d+$/.test(e.v)) return "-ERR value is not an integer or out of range\r\n";
        const by = name.endsWith("by") ? Number(b) : 1;
        e.v = String(Number(e.v) + (name.startsWith("incr") ? by : -by));
        return int(Number(e.v));
      }
      case "append": {
        const e = this.#as(a, "string", () => ({ kind: "string", v: "" }));
        if (!e) return WRONG;
        e.v += b;
        return int(Buffer.byteLength(e.v));
      }
      case "del":
      case "unlink": {
        let n = 0;
        for (const k of args.slice(1)) if (this.#get(k) && this.#data.delete(k)) n++;
        return int(n);
      }
      case "exists":
        return int(args.slice(1).filter((k) => this.#get(k) !== undefined).length);
      case "keys": {
        const re = new RegExp(
          `^${a
            .replace(/[.+^${}()|\\]/g, "\\$&")
            .replaceAll("*", ".*")
            .replaceAll("?", ".")}$`,
          "s",
        );
        return array([...this.#data.keys()].filter((k) => this.#get(k) && re.test(k)));
      }
      case "type":
        return `+${this.#get(a)?.kind ?? "none"}\r\n`;
      case "expire":
      case "pexpire":
        if (!this.#get(a)) return int(0);
        this.#expires.set(a, this.#now() + Number(b) * (name === "expire" ? 1000 : 1));
        return int(1);
      case "ttl": {
        if (!this.#get(a)) return int(-2);
        const at = this.#expires.get(a);
        return int(at === undefined ? -1 : Math.ceil((at - this.#now()) / 1000));
      }
      default:
        return this.#collections(name, args, few);
    }
  }

  #collections(name: string, args: string[], few: string): string {
    const [, a = "", b = "", c = ""] = args;
    switch (name) {
      case "lpush":
      case "rpush": {
        const e = this.#as(a, "list", () => ({ kind: "list", v: [] }));
        if (!e) return WRONG;
        for (const v of args.slice(2)) name === "lpush" ? e.v.unshift(v) : e.v.push(v);
        return int(e.v.length);
      }
      case "lpop":
      case "rpop": {
        const e = this.#get(a);
        if (e && e.kind !== "list") return WRONG;
        return bulk(name === "lpop" ? e?.v.shift() : e?.v.pop());
      }
      case "llen": {
        const e = this.#get(a);
        return e && e.kind !== "list" ? WRONG : int(e?.v.length ?? 0);
      }
      case "lrange": {
        const e = this.#get(a);
        if (e && e.kind !== "list") return WRONG;
        const list = e?.v ?? [];
        const at = (n: number) => (n < 0 ? list.length + n : n);
        return array(list.slice(Math.max(0, at(Number(b))), at(Number(c)) + 1));
      }
      case "hset": {
        if (args.length < 4) return few;
        const e = this.#as(a, "hash", () => ({ kind: "hash", v: new Map() }));
        if (!e) return WRONG;
        let n = 0;
        for (let i = 2; i + 1 < args.length; i += 2) {
          if (!e.v.has(args[i] as string)) n++;
          e.v.set(args[i] as string, args[i + 1] as string);
        }
        return int(n);
      }
      case "hget":
      case "hgetall":
      case "hdel":
      case "hlen": {
        const e = this.#get(a);
        if (e && e.kind !== "hash") return WRONG;
        if (name === "hget") return bulk(e?.v.get(b));
        if (name === "hlen") return int(e?.v.size ?? 0);
        if (name === "hdel") return int(args.slice(2).filter((k) => e?.v.delete(k)).length);
        return array([...(e?.v ?? [])].flat());
      }
      case "sadd": {
        const e = this.#as(a, "set", () => ({ kind: "set", v: new Set() }));
        if (!e) return WRONG;
        const before = e.v.size;
        for (const v of args.slice(2)) e.v.add(v);
        return int(e.v.size - before);
      }
      case "smembers": {
        const e = this.#get(a);
        return e && e.kind !== "set" ? WRONG : array([...(e?.v ?? [])]);
      }
      default:
        return `-ERR unknown command '${args[0]}', with args beginning with: ${args
          .slice(1, 4)
          .map((x) => `'${x}' `)
          .join("")}\r\n`;
    }
  }
}
