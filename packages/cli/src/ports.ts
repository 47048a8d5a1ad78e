// Ports of the host: which is free, and who holds one that is not (Linux: /proc; elsewhere the answer is "somebody").
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createServer } from "node:net";

export async function isPortFree(port: number, host = "127.0.0.1"): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** A port that was free a moment ago, chosen by the operating system. */
export async function freePort(host = "127.0.0.1"): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ port: 0, host, exclusive: true }, () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** "node (pid 1234: node server.js)" for the process that listens on a TCP port; undefined when it cannot be told. */
export function ownerOfPort(port: number): string | undefined {
  try {
    const inodes = new Set(["tcp", "tcp6"].flatMap((table) => listeningInodes(readFileSync(`/proc/net/${table}`, "utf8"), port)));
    if (inodes.size === 0) return undefined;
    for (const pid of readdirSync("/proc").filter((n) => /^\d+$/.test(n))) {
      if (!holdsSocket(pid, inodes)) continue;
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").filter(Boolean).join(" ");
      const name = readFileSync(`/proc/${pid}/comm`, "utf8").trim();
      return `${name} (pid ${pid}: ${command.length > 80 ? `${command.slice(0, 80)}...` : command})`;
    }
  } catch {
    // No /proc here, or the process ended while we looked.
  }
  return undefined;
}

/** Inodes of the sockets that listen (state 0A) on `port`, from the text of /proc/net/tcp. */
export function listeningInodes(table: string, port: number): string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return table
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((f) => f[1]?.endsWith(`:${hex}`) && f[3] === "0A")
    .map((f) => f[9] as string);
}

function holdsSocket(pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        const m = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`));
        return m !== null && inodes.has(m[1] as string);
      } catch {
        return false;
      }
    });
  } catch {
    return false; // Another user's process, or one that has just ended.
  }
}
