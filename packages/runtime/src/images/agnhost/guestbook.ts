// agnhost guestbook: a store with a primary and replicas over HTTP, and a front end that finds them by Service names.
import type { Process } from "../../kernel/process.ts";
import { DialError, httpGet, resolve } from "./dial.ts";
import { checkArgs, fatal, goJson, log, parseFlags, sysText } from "./go.ts";
import { type GoRequest, type GoResponse, serve, serveMux } from "./http-server.ts";

const REGISTER_RETRY_MS = 1_000;
const PRIMARY = "agnhost-primary";
const REPLICA = "agnhost-replica";
const TIMEOUT_MS = 5_000;

export async function guestbook(p: Process, argv: readonly string[]): Promise<number> {
  const { flags, args } = parseFlags(argv, {
    "http-port": { kind: "string", default: "80" },
    "backend-port": { kind: "string", default: "6379" },
    replicaof: { kind: "string", default: "" },
  });
  checkArgs(args, 0, 0);
  const backend = flags["backend-port"] as string;
  const store = new Map<string, string>();
  const replicas: string[] = [];

  /** Asks every host in turn; the last answer that is not an error counts. */
  const ask = async (host: string, path: string): Promise<string> => {
    const at = await resolve(p, "tcp", host, backend);
    return (await httpGet(p, `http://${host}:${backend}/${path}`, at, TIMEOUT_MS)).body;
  };
  const register = (w: GoResponse, r: GoRequest) => {
    const host = r.query("host");
    log(p, `GET /register?host=${host}`);
    if (replicas.length < MAX_REPLICAS) replicas.push(r.message.socket.remoteAddress ?? host);
    log(p, `Node '${host}' registered.`);
    w.write(goJson({ data: Object.fromEntries([...store].sort()) }));
  };
  const get = (w: GoResponse, r: GoRequest) => {
    const key = r.query("key");
    log(p, `GET /get?key=${key}`);
    w.write(goJson({ data: key === "" ? Object.fromEntries([...store].sort()) : (store.get(key) ?? "") }));
  };
  const set = async (w: GoResponse, r: GoRequest) => {
    const [key, value] = [r.query("key"), r.query("value")];
    log(p, `GET /set?key=${key}&value=${value}`);
    if (key === "") return w.error("cannot set with empty key.", 400);
    store.set(key, value);
    const failures: string[] = [];
    for (const replica of replicas)
      try {
        await ask(replica, `set?key=${encodeURIComponent(key)}&value=${encodeURIComponent(value)}`);
      } catch (e) {
        failures.push((e as Error).message);
      }
    if (failures.length > 0) return w.error(`encountered error while propagating to replicas: ${failures.join("; ")}`, 417);
    w.write(goJson({ message: "Updated" }));
  };
  const front = async (w: GoResponse, r: GoRequest) => {
    const [command, key, value] = [r.query("cmd"), r.query("key"), r.query("value")];
    log(p, `GET /guestbook?cmd=${command}&key=${key}&value=${value}`);
    if (command !== "get" && command !== "set") return w.error(`unsupported cmd: '${command}'`, 400);
    const host = command === "set" ? PRIMARY : REPLICA;
    const path = command === "set" ? `set?key=${key}&value=${value}` : `get?key=${key}`;
    let at: Awaited<ReturnType<typeof resolve>>;
    try {
      at = await resolve(p, "tcp", host, backend);
    } catch (e) {
      return w.error(`host and/or port param are invalid. ${(e as Error).message}`, 400);
    }
    try {
      w.write((await httpGet(p, `http://${host}:${backend}/${path}`, at, TIMEOUT_MS)).body);
    } catch (e) {
      if (!(e instanceof DialError)) throw e;
      w.error(`encountered error: ${e.message}`, 417);
    }
  };
  try {
    serve(p, Number(flags["http-port"]), serveMux({ "/register": register, "/get": get, "/set": set, "/guestbook": front }));
  } catch (e) {
    fatal(p, `listen tcp :${flags["http-port"]}: bind: ${sysText(e)}`);
  }
  const primary = flags["replicaof"] as string;
  if (primary !== "") await registerWith(p, primary, backend, store);
  await p.block(() => () => undefined);
  return 0;
}

const MAX_REPLICAS = 1_000;

async function registerWith(p: Process, primary: string, port: string, store: Map<string, string>): Promise<void> {
  for (;;) {
    const url = `${primary}:${port}/register?host=${primary}`;
    log(p, `Registering to primary: ${url}`);
    try {
      const at = await resolve(p, "tcp", primary, port);
      const known = JSON.parse((await httpGet(p, `http://${url}`, at, TIMEOUT_MS)).body) as { data: { [key: string]: string } };
      for (const [k, v] of Object.entries(known.data)) store.set(k, v);
      log(p, `Registered to node: ${primary}`);
      return;
    } catch (e) {
      if (p.ended) throw e;
      log(p, `encountered error while registering to primary: ${(e as Error).message}. Retrying in 1s.`);
    }
    await p.sleep(REGISTER_RETRY_MS);
  }
}
