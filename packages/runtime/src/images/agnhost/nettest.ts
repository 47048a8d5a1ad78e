// agnhost nettest: counts who wrote to it, and tells; the pre-stop hook tests read it.
import type { Process } from "../../kernel/process.ts";
import { goJson, klogLine, log, parseFlags } from "./go.ts";
import { serve, serveMux } from "./http-server.ts";

const CA_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

interface Counters {
  Hostname: string;
  Sent: { [peer: string]: number } | null;
  Received: { [peer: string]: number } | null;
  Errors: string[] | null;
  Log: string[] | null;
  StillContactingPeers: boolean;
}

export async function nettest(p: Process, argv: readonly string[]): Promise<number> {
  const { flags } = parseFlags(argv, {
    port: { kind: "int", default: 8080 },
    peers: { kind: "int", default: 8 },
    service: { kind: "string", default: "nettest" },
    namespace: { kind: "string", default: "default" },
    "delay-shutdown": { kind: "int", default: 0 },
  });
  const state: Counters = { Hostname: p.hostname, Sent: null, Received: null, Errors: null, Log: null, StillContactingPeers: true };
  const delay = flags["delay-shutdown"] as number;
  p.onSignal(15, () => {
    if (delay > 0) log(p, `Sleeping ${delay} seconds before exit ...`);
    p.clock.after(delay * 1000, () => p.terminate({ code: 0, signal: 0 }), { unref: true });
  });
  serve(
    p,
    flags["port"] as number,
    serveMux({
      "/read": (w) => w.write(goJson(sorted(state), "\t")),
      "/write": (w, r) => {
        try {
          const { Source } = JSON.parse(r.body.toString("utf8")) as { Source?: string };
          state.Received ??= {};
          state.Received[Source ?? ""] = (state.Received[Source ?? ""] ?? 0) + 1;
        } catch {
          // A body that is no JSON counts for nobody.
        }
        w.write(`${goJson({ Hostname: p.hostname })}\n`);
      },
      "/status": (w) => w.write(state.StillContactingPeers ? "running" : "pass"),
      "/quit": () => p.terminate({ code: 0, signal: 0 }),
    }),
  );
  await findPeers(p);
  await p.block(() => () => undefined);
  return 0;
}

function sorted(s: Counters): Counters {
  return { ...s, Received: s.Received && Object.fromEntries(Object.entries(s.Received).sort()) };
}

/** The peers come from the API server; without one it says so and goes on asking. */
async function findPeers(p: Process): Promise<void> {
  const [host, port] = [p.env.get("KUBERNETES_SERVICE_HOST"), p.env.get("KUBERNETES_SERVICE_PORT")];
  if (!host || !port) return;
  if (!p.fs.exists(CA_FILE))
    await p.printError(
      klogLine(
        p,
        "E",
        "config.go:562",
        `Expected to load root CA config from ${CA_FILE}, but got err: open ${CA_FILE}: no such file or directory`,
      ),
    );
  try {
    (await p.until(p.net.connect(p, { host, port: Number(port), timeoutMs: 5_000 }))).destroy();
  } catch (e) {
    if (p.ended) throw e;
    log(
      p,
      `Unable to get server version: Get "https://${host}:${port}/version": dial tcp ${host}:${port}: connect: connection refused; retrying.`,
    );
  }
}
