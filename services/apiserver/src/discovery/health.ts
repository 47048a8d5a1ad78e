// /healthz, /livez, /readyz with their checks, ?verbose and ?exclude (apiserver/pkg/server/healthz), and /version.

import type { ApiResponse } from "../call.ts";
import type { RequestInfo } from "../request/request-info.ts";
import { jsonResponse, textResponse } from "../response.ts";

export interface HealthCheck {
  name: string;
  /** Throws or answers false when unhealthy. */
  check(): boolean | Promise<boolean>;
}

export const VERSION = {
  major: "1",
  minor: "34",
  emulationMajor: "1",
  emulationMinor: "34",
  minCompatibilityMajor: "1",
  minCompatibilityMinor: "33",
  gitVersion: "v1.34.9",
  gitCommit: "0000000000000000000000000000000000000000",
  gitTreeState: "clean",
  buildDate: "2026-01-01T00:00:00Z",
  goVersion: "go1.24.0",
  compiler: "gc",
  platform: "linux/amd64",
};

export class Health {
  readonly #checks: readonly HealthCheck[];
  readonly #readiness: readonly HealthCheck[];

  /** `readiness` checks count for /readyz only. */
  constructor(checks: readonly HealthCheck[], readiness: readonly HealthCheck[]) {
    this.#checks = [{ name: "ping", check: () => true }, { name: "log", check: () => true }, ...checks];
    this.#readiness = readiness;
  }

  /** undefined: not a path of mine. */
  async answer(info: RequestInfo): Promise<ApiResponse | undefined> {
    const path = info.path.replace(/\/$/, "");
    if (path === "/version") return jsonResponse(200, VERSION);
    const m = /^\/(healthz|livez|readyz)(?:\/(.+))?$/.exec(path);
    if (!m) return undefined;
    const name = m[1] as string;
    const checks = name === "readyz" ? [...this.#checks, ...this.#readiness] : [...this.#checks];
    if (m[2] !== undefined) {
      const check = checks.find((c) => c.name === m[2]);
      if (!check) return textResponse(404, "404 page not found\n");
      return (await passes(check)) ? textResponse(200, "ok") : textResponse(500, `internal server error: ${check.name}: not ok\n`);
    }
    const excluded = new Set(info.query.getAll("exclude"));
    let out = "";
    const failed: string[] = [];
    for (const c of checks) {
      if (excluded.has(c.name)) {
        excluded.delete(c.name);
        out += `[+]${c.name} excluded: ok\n`;
      } else if (await passes(c)) out += `[+]${c.name} ok\n`;
      else {
        failed.push(c.name);
        out += `[-]${c.name} failed: reason withheld\n`;
      }
    }
    if (excluded.size > 0)
      out += `warn: some health checks cannot be excluded: no matches for ${[...excluded].map((e) => JSON.stringify(e)).join(",")}\n`;
    if (failed.length > 0) return textResponse(500, `${out}${name} check failed\n`);
    return textResponse(200, info.query.has("verbose") ? `${out}${name} check passed\n` : "ok");
  }
}

async function passes(c: HealthCheck): Promise<boolean> {
  try {
    return await c.check();
  } catch {
    return false;
  }
}
