// npm start as a newcomer runs it: its demo succeeds, what it prints works as printed, Ctrl-C ends it; twice, and from another folder.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { eventually, forgetHome, makeHome, missing, processesOf, root, run } from "./cluster.ts";

const skip = missing("npm");

describe.skipIf(skip)(`npm start${skip ? ` (skipped: ${skip})` : ""}`, () => {
  let home: string;
  beforeAll(() => {
    home = makeHome();
  });
  afterEach(async () => {
    for (const p of processesOf(home)) process.kill(p.pid, "SIGKILL");
    await eventually("nothing is left", () => (processesOf(home).length === 0 ? true : undefined), 15_000);
  });
  afterAll(() => forgetHome(home));

  async function start(cwd: string, args: string[]): Promise<{ child: ChildProcess; output: () => string }> {
    const child = spawn("npm", args, {
      cwd,
      env: { ...process.env, PODWIRE_HOME: home, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    let text = "";
    for (const s of [child.stdout, child.stderr]) s.on("data", (d) => (text += d));
    await eventually(
      "the demo is through",
      () => (child.exitCode !== null || text.includes("Logs of all components follow") ? true : undefined),
      150_000,
    );
    if (child.exitCode !== null) throw new Error(`npm start ended with ${child.exitCode}:\n${text}`);
    return { child, output: () => text };
  }

  async function stop(child: ChildProcess): Promise<void> {
    process.kill(-(child.pid as number), "SIGINT"); // Ctrl-C reaches the whole group of the terminal.
    await once(child, "exit");
    await eventually("nothing is left", () => (processesOf(home).length === 0 ? true : undefined), 15_000);
  }

  it("shows phases, requests both ways and a path, and prints commands that work", async () => {
    const { child, output } = await start(root, ["start"]);
    for (const phase of ["Preparing cluster", "Starting NATS", "Starting the control plane", "Joining 3 nodes", "Applying the demo"])
      expect(output()).toMatch(new RegExp(`✓ ${phase}`));
    expect(output()).toMatch(/pod client got: 200 .*web-/);
    expect(output()).toMatch(/The path of one request \(edge > node-\d/);
    expect(output()).toMatch(/→ dnat .*DNAT --to-destination 10\.244\./);
    const commands = /Try next[^\n]*\n((?: {2}.*\n)+)/.exec(output())?.[1] ?? "";
    const printed = commands.split("\n").map((l) => l.trim());
    const curl = printed.find((l) => l.startsWith("curl ")) as string;
    expect((await run("bash", ["-c", `${curl} --silent --fail`])).stdout).toContain("web-");
    if (!missing("kubectl")) {
      const kubectl = printed.filter((l) => l.startsWith("export KUBECONFIG") || l.startsWith("kubectl ")).join("\n");
      expect((await run("bash", ["-ec", kubectl])).stdout).toMatch(/default\s+web-/);
    }
    const status = printed.find((l) => / status$/.test(l)) as string;
    expect((await run("bash", ["-c", status], { env: { PODWIRE_HOME: home }, cwd: tmpdir() })).stdout).toContain("healthy");
    await stop(child);
    expect(output()).toContain("✓ Stopping the cluster");
  });

  it("does it again on the state that is there, from another folder", async () => {
    const { child, output } = await start(tmpdir(), ["--prefix", root, "start"]);
    expect(output()).toMatch(/curl http:\/\/127\.0\.0\.1:\d+\/ got: pod:\s+web-/);
    await stop(child);
  });
});
