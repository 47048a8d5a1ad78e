// Processes of an earlier life of this cluster that nobody ended (the guardian was killed too): found by the list that the
// supervisor keeps, and ended before a new life starts. A pid counts only while its command line names this cluster's folder.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { type ClusterFolder, writeWhole } from "../state/cluster-folder.ts";

export function recordProcesses(folder: ClusterFolder, pids: readonly number[]): void {
  writeWhole(folder.processes, JSON.stringify(pids));
}

/** Ends what is left; returns how many processes that were. */
export function endLeftovers(folder: ClusterFolder): number {
  if (!existsSync(folder.processes)) return 0;
  let ended = 0;
  for (const pid of JSON.parse(readFileSync(folder.processes, "utf8")) as number[]) {
    if (!commandOf(pid).includes(folder.path)) continue;
    try {
      process.kill(-pid, "SIGKILL");
      ended++;
    } catch {
      // It ended between the two looks.
    }
  }
  rmSync(folder.processes, { force: true });
  return ended;
}

function commandOf(pid: number): string {
  try {
    return execFileSync("ps", ["-o", "args=", "-p", String(pid)], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    return ""; // No such process.
  }
}
