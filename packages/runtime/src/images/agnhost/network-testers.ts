// agnhost's testers of the network between pods: no-snat-test tells whose address a peer sees, port-forward-tester answers one
// connection in chunks, net runs the two ends of a connection that is left in CLOSE-WAIT.
import type { Process } from "../../kernel/process.ts";
import type { StreamSocket } from "../../net/net-stack.ts";
import { httpGet, resolve } from "./dial.ts";
import { checkArgs, fatal, log, parseFlags, quote, sysText } from "./go.ts";
import { serve, serveMux } from "./http-server.ts";

const TIMEOUT_MS = 30_000;
const IP = /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-f:]*:[0-9a-f:.]*)$/i;

export async function noSnatTest(p: Process, argv: readonly string[]): Promise<number> {
  const { flags, args } = parseFlags(argv, { port: { kind: "string", default: "8080" } });
  checkArgs(args, 0, 0);
  const own: { [name: string]: string } = {};
  for (const name of ["POD_IP", "NODE_IP"]) {
    const value = p.env.get(name);
    const wrong =
      value === undefined
        ? `${name} env var was not present in the environment`
        : IP.test(value)
          ? undefined
          : `${name} env var contained ${quote(value)}, which is not an IP address`;
    if (wrong !== undefined) {
      await p.printError(`${wrong}\n`);
      return 1;
    }
    own[name] = value as string;
  }
  const [podIp, nodeIp] = [own["POD_IP"] as string, own["NODE_IP"] as string];
  const check = async (ip: string): Promise<string | undefined> => {
    const [host = "", port = "80"] = ip.split(":");
    const body = (await httpGet(p, `http://${ip}/whoami`, await resolve(p, "tcp", host, port), TIMEOUT_MS)).body;
    const seen = body.split(":")[0] as string;
    if (seen === podIp) return undefined;
    return seen === nodeIp
      ? `Returned ip ${quote(seen)} != my Pod ip ${quote(podIp)}, == my Node ip ${quote(nodeIp)} - SNAT`
      : `Returned ip ${quote(seen)} != my Pod ip ${quote(podIp)} or my Node ip ${quote(nodeIp)} - SNAT to unexpected ip (possible SNAT through unexpected interface on the way into another node)`;
  };
  serve(
    p,
    Number(flags["port"]),
    serveMux({
      "/whoami": (w, r) => w.write(r.remoteAddr),
      "/checknosnat": async (w, r) => {
        const wrong: string[] = [];
        for (const ip of r.query("ips").split(",")) {
          const why = await check(ip).catch((e: Error) => e.message);
          if (why !== undefined) wrong.push(why);
        }
        w.writeHeader(wrong.length > 0 ? 500 : 200);
        if (wrong.length > 0) w.write(wrong.join(", "));
      },
    }),
  );
  await p.block(() => () => undefined);
  return 0;
}

/** After the last byte the peer has this long to read before the socket goes. */
const LINGER_MS = 500;

export async function portForwardTester(p: Process, argv: readonly string[]): Promise<number> {
  checkArgs(parseFlags(argv, {}).args, 0, 0);
  const env = (name: string) => p.env.get(name) ?? "";
  const host = env("BIND_ADDRESS") || "127.0.0.1";
  let socket: StreamSocket;
  try {
    socket = await p.until(
      new Promise<StreamSocket>((accepted) => {
        const server = p.net.listen(p, { host: host === "localhost" ? "127.0.0.1" : host, port: Number(env("BIND_PORT")) }, (s) => {
          server.close();
          accepted(s);
        });
      }),
    );
  } catch (e) {
    p.check();
    await p.print(`Error listening: ${sysText(e)}\n`);
    return 1;
  }
  socket.on("error", () => socket.destroy());
  await p.print("Accepted client connection\n");
  const wanted = env("EXPECTED_CLIENT_DATA");
  if (wanted !== "") {
    const got = await readExactly(p, socket, wanted.length);
    if (got.length !== wanted.length) {
      await p.print(`Expected to read ${wanted.length} bytes from client, but got ${got.length} instead. err=EOF\n`);
      return 2;
    }
    if (got !== wanted) {
      await p.print(`Expect to read ${quote(wanted)}, but got ${quote(got)}. err=<nil>\n`);
      return 3;
    }
    await p.print("Received expected client data\n");
  }
  const numbers: number[] = [];
  for (const name of ["CHUNKS", "CHUNK_SIZE", "CHUNK_INTERVAL"]) {
    const text = env(name);
    if (!/^[+-]?\d+$/.test(text)) {
      await p.print(`Error parsing ${name} ${quote(text)}: strconv.Atoi: parsing ${quote(text)}: invalid syntax\n`);
      return 1;
    }
    numbers.push(Number(text));
  }
  const [chunks = 0, size = 0, intervalMs = 0] = numbers;
  for (let i = 0; i < chunks; i++) {
    socket.write("x".repeat(size));
    if (i + 1 < chunks) await p.sleep(intervalMs);
  }
  await p.print("Shutting down connection\n");
  socket.end();
  await p.sleep(LINGER_MS);
  socket.destroy();
  await p.print("Done\n");
  return 0;
}

function readExactly(p: Process, s: StreamSocket, length: number): Promise<string> {
  return p.until(
    new Promise((done) => {
      let text = "";
      s.on("data", (d: Buffer) => {
        text += d.toString("latin1");
        if (text.length >= length) done(text.slice(0, length));
      });
      s.on("end", () => done(text));
      s.on("close", () => done(text));
    }),
  );
}

/** A runner's lines; the program prints them when it is over. */
type Runner = (p: Process, options: { [name: string]: unknown }, out: string[]) => Promise<string | undefined>;

const splitAddress = (text: string) => {
  const at = text.lastIndexOf(":");
  return { host: text.slice(0, at), port: Number(text.slice(at + 1)) };
};

const RUNNERS: { [name: string]: Runner } = {
  /** Connects, tells the peer to close, and stays half open until its time-out. */
  "nat-closewait-client": async (p, o, out) => {
    const { host, port } = splitAddress(String(o["RemoteAddr"] ?? ""));
    const seconds = Number(o["TimeoutSeconds"] ?? 0) + Number(o["PostFinTimeoutSeconds"] ?? 0);
    const socket = await p.net.connect(p, { host, port, allowHalfOpen: true, timeoutMs: TIMEOUT_MS });
    socket.on("error", () => socket.destroy());
    out.push(`# client.go: connected to ${host}:${port}`);
    socket.end();
    await p.sleep(seconds * 1000);
    socket.destroy();
    return undefined;
  },
  /** Accepts, and does not close when the peer has. */
  "nat-closewait-server": async (p, o, out) => {
    const { host, port } = splitAddress(String(o["LocalAddr"] ?? ""));
    const held = new Set<StreamSocket>();
    p.net.listen(p, { ...(host === "" ? {} : { host }), port, allowHalfOpen: true }, (s) => {
      s.on("error", () => s.destroy());
      s.resume();
      held.add(s);
    });
    out.push(`# server.go: Server listening on ${host}:${port}`);
    const seconds = Number(o["PostFindTimeoutSeconds"] ?? o["PostFinTimeoutSeconds"] ?? 0);
    await (seconds > 0 ? p.sleep(seconds * 1000) : p.block(() => () => undefined));
    for (const s of held) s.destroy();
    return undefined;
  },
};

async function execute(p: Process, name: string, options: string): Promise<{ error: string | undefined; output: string }> {
  const runner = RUNNERS[name];
  if (runner === undefined) return { error: "Invalid runner: '<nil>', see --help", output: "" };
  const out: string[] = [];
  try {
    const parsed = JSON.parse(options) as { [name: string]: unknown };
    log(p, `Options: ${options}`);
    return { error: await runner(p, parsed, out), output: out.map((l) => `${l}\n`).join("") };
  } catch (e) {
    p.check();
    const why = e instanceof SyntaxError ? `Invalid options JSON: ${e.message}` : sysText(e);
    return { error: why, output: out.map((l) => `${l}\n`).join("") };
  }
}

export async function net(p: Process, argv: readonly string[]): Promise<number> {
  const { flags, args } = parseFlags(argv, {
    serve: { kind: "string", default: "" },
    runner: { kind: "string", default: "" },
    options: { kind: "string", default: "" },
    "delay-shutdown": { kind: "int", default: 0 },
  });
  checkArgs(args, 0, Number.POSITIVE_INFINITY);
  const address = flags["serve"] as string;
  if (flags["runner"] === "" && address === "") return fatal(p, "Must set either --runner or --serve, see --help");
  const delay = flags["delay-shutdown"] as number;
  if (delay > 0)
    p.onSignal(15, () => {
      log(p, `Sleeping ${delay} seconds before terminating...`);
      p.clock.after(delay * 1000, () => p.terminate({ code: 0, signal: 0 }), { unref: true });
    });
  if (address === "") {
    const r = await execute(p, flags["runner"] as string, flags["options"] as string);
    if (r.error !== undefined) log(p, `main.go:113: Error: ${r.error}`);
    await p.print(`output:\n\n${r.output}`);
    return r.error === undefined ? 0 : 1;
  }
  log(p, `main.go:118: Running server on ${address}`);
  serve(p, splitAddress(address).port, async (w, r) => {
    const name = /^\/run\/([^/]*)$/.exec(r.path)?.[1];
    if (name === undefined) return void w.error(`invalid request to run: [${r.path.split("/").join(" ")}]`, 400);
    const done = await execute(p, name, r.body.toString("utf8"));
    if (done.error !== undefined) return void w.error(`Error from runner: ${done.error}\noutput:\n\n${done.output}`, 500);
    w.write(`ok\noutput:\n\n${done.output}`);
  });
  await p.block(() => () => undefined);
  return 0;
}
