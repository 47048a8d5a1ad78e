// One way to read configuration: `--flag=value`, `--flag value`, `--flag` (true), and environment PODWIRE_<FLAG>.
// Flags win over the environment. Only this file and each service's config.ts look at process.env.
import { z } from "zod";
import { ConfigError } from "./errors.ts";

export { z };

/** "node-name" -> "PODWIRE_NODE_NAME". */
export function envName(flag: string): string {
  return `PODWIRE_${flag.replaceAll("-", "_").toUpperCase()}`;
}

/**
 * Turns flags and environment into a typed object. Keys of `shape` are flag names ("node-monitor-grace-period").
 * Throws ConfigError listing every unknown flag and every bad value at once.
 */
export function readConfig<S extends z.ZodRawShape>(
  component: string,
  shape: S,
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): z.infer<z.ZodObject<S>> {
  const raw: Record<string, string> = {};
  const problems: string[] = [];
  const given = new Set<string>();
  for (const name of Object.keys(shape)) {
    const v = env[envName(name)];
    if (v !== undefined && v !== "") raw[name] = v;
  }
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i] as string;
    const m = /^--?([a-z0-9][a-z0-9-]*)(?:=(.*))?$/s.exec(arg);
    if (!m) {
      problems.push(`unexpected argument ${JSON.stringify(arg)}`);
      continue;
    }
    const name = m[1] as string;
    if (!(name in shape)) {
      problems.push(`unknown flag: --${name}`);
      continue;
    }
    const next = argv[i + 1];
    let value = "true";
    if (m[2] !== undefined) value = m[2];
    else if (next !== undefined && !next.startsWith("--")) {
      value = next;
      i++;
    }
    const more = given.has(name) && (shape[name] as unknown as z.ZodType).meta?.()?.["repeatable"] === true;
    raw[name] = more ? `${raw[name]},${value}` : value;
    given.add(name);
  }
  const parsed = z.object(shape).safeParse(raw);
  if (!parsed.success) for (const issue of parsed.error.issues) problems.push(`--${issue.path.join(".")}: ${issue.message}`);
  if (problems.length > 0) throw new ConfigError(component, problems);
  return parsed.data as z.infer<z.ZodObject<S>>;
}

/** A list separated by commas whose flag may also be given several times. */
export function repeatable<T extends z.ZodType>(schema: T): T {
  return schema.meta({ repeatable: true });
}

/** "1h30m", "40s", "250ms" or "0" (Go's time.ParseDuration, without ns and us) to milliseconds. */
export const durationMs = z.string().transform((s, ctx) => {
  const ms = parseDurationMs(s);
  if (ms === undefined) {
    ctx.addIssue({ code: "custom", message: `invalid duration ${JSON.stringify(s)} (write 40s, 5m or 250ms)` });
    return z.NEVER;
  }
  return ms;
});

/** Go's ParseBool, as Kubernetes reads its flags. */
export const bool = z.string().transform((s, ctx) => {
  if (["1", "t", "T", "true", "TRUE", "True"].includes(s)) return true;
  if (["0", "f", "F", "false", "FALSE", "False"].includes(s)) return false;
  ctx.addIssue({ code: "custom", message: `invalid boolean ${JSON.stringify(s)}` });
  return z.NEVER;
});

/** A Go duration ("1m30s") in milliseconds; undefined when it is none. */
export function parseDurationMs(s: string): number | undefined {
  if (s === "0") return 0;
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(s)) return undefined;
  const unit: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  let total = 0;
  for (const [, n, , u] of s.matchAll(/(\d+(\.\d+)?)(ms|s|m|h)/g)) total += Number(n) * (unit[u as string] as number);
  return total;
}
