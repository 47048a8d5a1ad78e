// podwire down: ends a cluster's processes. Its state stays, for the next `up`.
import { type Context, folderOf, type GlobalOptions } from "../context.ts";
import { askSupervisor, statusIfRunning } from "../supervisor/control.ts";
import { endLeftovers } from "../supervisor/leftovers.ts";
import { progressOn } from "../terminal/progress.ts";

export async function down(c: Context, o: GlobalOptions): Promise<void> {
  const folder = folderOf(c, o);
  const running = await statusIfRunning(folder.socket, folder.name);
  if (!running) {
    const ended = endLeftovers(folder);
    c.terminal.err(`cluster ${folder.name} is not running${ended > 0 ? `; ended ${ended} processes that were left of it` : ""}`);
    return;
  }
  await progressOn(c.terminal, c.clock).phase(`Stopping cluster ${folder.name}`, async () => {
    await askSupervisor(folder.socket, folder.name, { op: "down" });
    while (isAlive(running.pid)) await c.clock.sleep(20);
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (e) {
    return (e as NodeJS.ErrnoException).code === "EPERM";
  }
}
