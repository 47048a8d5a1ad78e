// The recording's own replay program against `podwire up`, as a user would run it. The recorded server had no controllers, no scheduler
// and no kubelets: they are switched off. Skipped where ../shared/oracle/api (or PODWIRE_ORACLE) or python3 is absent.
import { existsSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cluster, makeHome, missing, root, run, startCluster } from "../cluster.ts";
import { exceptions } from "../vectors/suites/api.ts";

const folder = join(process.env["PODWIRE_ORACLE"] ?? join(root, "../shared/oracle"), "api");
const program = join(folder, "replay.py");
const skip = missing("python3") ?? (existsSync(program) ? undefined : `${program} is absent`);

/** One recorded answer says the server's own port. */
const RECORDED_PORT = 16443;
/** The recording server mounts a vendor's volume source that its answers do not show: line numbers of diffs count it. */
const VENDOR_SOURCE = ["ssa-pod", "sub-ephemeralcontainers", "validate-pod-immutable"];

describe.skipIf(skip)(`replay.py${skip ? ` (skipped: ${skip})` : ""}`, () => {
  let cluster: Cluster;
  let server: string;
  const excused = new Set([...VENDOR_SOURCE, ...exceptions(join(root, "test/vectors/api")).map((e) => e.split(" ")[0] as string)]);

  beforeAll(async () => {
    const home = makeHome(); // Removed with the cluster.
    const tokens = join(home, "tokens.csv");
    writeFileSync(tokens, 'admintoken,admin,admin,"system:masters"\n');
    const port = (await free(RECORDED_PORT)) ? RECORDED_PORT : 0;
    if (port === 0) excused.add("discovery-root");
    cluster = await startCluster({
      nodes: 0,
      home,
      port,
      args: [
        `apiserver=--token-auth-file=${tokens}`,
        "apiserver=--metrics-server=false",
        "controller-manager=--controllers=-*",
        "scheduler=--scheduler-name=none",
        "edge=--load-balancers=false",
      ],
    });
    await cluster.kubectl(["delete", "storageclass", "standard"]); // The recorded server had no default class.
    server = (await cluster.kubectl(["config", "view", "-o", "jsonpath={.clusters[0].cluster.server}"])).trim();
  });
  afterAll(() => cluster?.stop());

  it("every scenario but the excepted ones passes", { timeout: 300_000 }, async () => {
    const r = await run("python3", [program, "--dir", folder, "--server", server, "--token", "admintoken", "--jobs", "6"], {
      timeoutMs: 290_000,
    });
    const lines = r.stdout.split("\n");
    const failed = lines.filter((l) => l.startsWith("FAIL ")).map((l) => l.split(" ")[1] as string);
    expect(
      failed.filter((f) => !excused.has(f)),
      r.stdout.replace(/^PASS.*\n/gm, ""),
    ).toEqual([]);
    expect(lines.filter((l) => l.startsWith("PASS ")).length).toBeGreaterThanOrEqual(226 - excused.size);
  });
});

const free = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
