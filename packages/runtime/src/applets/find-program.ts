// Where a program lies, by PATH: for `which`.
import { SysError } from "../kernel/errno.ts";
import type { Process } from "../kernel/process.ts";

export function findProgramIn(p: Process, name: string): string | undefined {
  const usable = (path: string) => {
    try {
      if (p.fs.stat(path).kind !== "file") return false;
      p.fs.access(path, 1);
      return true;
    } catch (e) {
      if (e instanceof SysError) return false;
      throw e;
    }
  };
  if (name.includes("/")) return usable(name) ? name : undefined;
  for (const dir of (p.env.get("PATH") ?? "").split(":")) {
    const path = `${dir === "" ? "." : dir}/${name}`;
    if (usable(path)) return path;
  }
  return undefined;
}
