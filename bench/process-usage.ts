// What processes use, from /proc (Linux only): processor time and memory of any process by its id, and what a bench reports of itself.
import { readFileSync } from "node:fs";

/** Linux counts processor time in hundredths of a second (USER_HZ). */
const TICKS_PER_SECOND = 100;

/** User and system time since the process began. */
export function cpuSeconds(pid: number): number {
  // The command's name stands in parentheses and may hold anything.
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Of several processes together. */
export const cpuSecondsOf = (pids: Iterable<number>): number => [...pids].reduce((sum, pid) => sum + cpuSeconds(pid), 0);

/** Of this process since `process.cpuUsage()` was asked. */
export function ownCpuSeconds(since: NodeJS.CpuUsage): number {
  const c = process.cpuUsage(since);
  return (c.user + c.system) / 1e6;
}

/** Resident memory, and the part of it that no other process shares, in MB of 2^20 bytes. */
export function memoryMb(pid: number): { residentMb: number; privateMb: number } {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const kb = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(rollup)?.[1] ?? 0);
  return { residentMb: kb("Rss") / 1024, privateMb: (kb("Private_Clean") + kb("Private_Dirty")) / 1024 };
}
