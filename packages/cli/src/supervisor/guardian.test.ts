// A supervisor that dies without a word: its children must not outlive it by more than the guardian's grace.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, it } from "vitest";

const alive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

it("ends the children of a supervisor that was killed", async () => {
  const program = `
    import { spawn } from "node:child_process";
    const { Guardian } = await import(${JSON.stringify(new URL("./guardian.ts", import.meta.url).href)});
    const g = new Guardian();
    const keep = spawn("sleep", ["600"], { detached: true });
    const gone = spawn("sleep", ["600"], { detached: true });
    g.watch(keep.pid); g.watch(gone.pid); g.forget(gone.pid);
    console.log(keep.pid + " " + gone.pid);
    setInterval(() => {}, 1000);`;
  const supervisor = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(supervisor.stdout, "data")) as [Buffer];
  const [watched, forgotten] = line.toString().trim().split(" ").map(Number) as [number, number];
  expect([alive(watched), alive(forgotten)]).toEqual([true, true]);
  // The pids are written to the pipe before the line above, so they are in the shell's input already.
  supervisor.kill("SIGKILL");
  await expect.poll(() => alive(watched), { timeout: 5000 }).toBe(false);
  expect(alive(forgotten)).toBe(true);
  process.kill(forgotten, "SIGKILL");
});
