// Runs a script in a container's shell and in a real busybox sh, and tells where they part.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { createPodSandbox } from "../container/sandbox.ts";
import { ImageCatalogue } from "../images/catalogue.ts";
import type { NetStack } from "../net/net-stack.ts";
import { randomScript } from "./fuzz.ts";

export interface Outcome {
  stdout: string;
  code: number;
}

/** Milliseconds that a script may take; a longer one is given up on both sides. */
const LIMIT_MS = 5_000;

export async function ours(script: string): Promise<Outcome> {
  const clock = systemClock;
  const pod = createPodSandbox({
    name: "p",
    namespace: "t",
    uid: "1",
    hostname: "p",
    // The scripts of the grammar use no network.
    netns: {} as NetStack,
    clock,
    random: seededRandom(1),
    log: silentLogger,
    shareProcessNamespace: true,
  });
  try {
    const r = new ImageCatalogue({ strict: true }).resolve("busybox");
    if (r.kind !== "image") throw new Error(r.kind);
    const c = pod.createContainer({ name: "c", image: r.image, command: ["sh", "-c", script], env: {}, mounts: [], workingDir: "/w" });
    let stdout = "";
    c.onOutput((stream, b) => {
      if (stream === "stdout") stdout += Buffer.from(b).toString("latin1");
    });
    c.start();
    const limit = clock.after(LIMIT_MS, () => c.kill(9), { unref: true });
    const s = await c.wait();
    limit.cancel();
    return { stdout, code: s.signal ? 128 + s.signal : s.code };
  } finally {
    pod.stop();
  }
}

/** `program` is a path: the scripts run with a PATH of their own. */
export function busybox(program: string, script: string): Outcome {
  const dir = mkdtempSync(join(tmpdir(), "pw-sh-"));
  try {
    const r = spawnSync(program, ["sh", "-c", script], {
      cwd: dir,
      env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
      timeout: LIMIT_MS,
      encoding: "latin1",
    });
    if (r.error && r.stdout === null) throw r.error;
    return { stdout: r.stdout, code: r.signal ? 128 + 9 : (r.status ?? -1) };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Characters of output in a message. */
const SHOWN_MAX = 2_000;
const shown = (text: string) => JSON.stringify(text.slice(0, SHOWN_MAX));

/** A script on which the two differ, with what each did; undefined when `count` scripts from `seed` on agree. */
export async function firstDifference(program: string, seed: number, count: number): Promise<string | undefined> {
  for (let i = seed; i < seed + count; i++) {
    const script = randomScript(seededRandom(i));
    const real = busybox(program, script);
    const mine = await ours(script);
    if (real.stdout !== mine.stdout || real.code !== mine.code)
      return `seed ${i}\n${script}\nbusybox ${real.code}: ${shown(real.stdout)}\npodwire ${mine.code}: ${shown(mine.stdout)}`;
  }
  return undefined;
}
