// Flags of the apiserver, with kube-apiserver's names. Nothing else reads the environment.
import { bool, durationMs, repeatable, z } from "@podwire/base";
import { authorizationModes, featureGates, issuers, pluginNames, runtimeConfig } from "./flag-values.ts";
import type { PortRange } from "./resources/allocators.ts";
import { type IpRange, parseIpRange } from "./resources/ip-range.ts";

/** One range, or one of each family; the first is the primary. */
const ipRanges = z.string().transform((s, ctx): [IpRange, ...IpRange[]] => {
  const ranges = s.split(",").map((text) => parseIpRange(text.trim()));
  const [first, second] = ranges;
  const problem = ranges.some((r) => r === undefined)
    ? `not an IP range: ${s}`
    : ranges.length > 2 || (second !== undefined && second.family === first?.family)
      ? `one range, or one of each family: ${s}`
      : undefined;
  if (problem === undefined) return ranges as [IpRange, ...IpRange[]];
  ctx.addIssue({ code: "custom", message: problem });
  return z.NEVER;
});

const portRange = z.string().transform((s, ctx): PortRange => {
  const m = /^(\d+)-(\d+)$/.exec(s);
  const first = Number(m?.[1]);
  const last = Number(m?.[2]);
  if (m && first > 0 && first <= last && last < 65536) return { first, size: last - first + 1 };
  ctx.addIssue({ code: "custom", message: `not a port range: ${s}` });
  return z.NEVER;
});

const port = z.coerce.number().int().min(0).max(65535);

export const FLAGS = {
  "secure-port": port.default(6443),
  "bind-address": z.string().default("127.0.0.1"),
  "cert-dir": z.string().default(""),
  "client-ca-file": z.string().default(""),
  "tls-cert-file": z.string().default(""),
  "tls-private-key-file": z.string().default(""),
  "token-auth-file": z.string().default(""),
  "anonymous-auth": bool.default(true),
  "authorization-mode": repeatable(authorizationModes.prefault("Node,RBAC")),
  "advertise-address": z.string().default("172.30.0.2"),
  "service-cluster-ip-range": ipRanges.prefault("10.96.0.0/12"),
  "service-node-port-range": portRange.prefault("30000-32767"),
  /** The first issues; tokens of the others hold, too. */
  "service-account-issuer": repeatable(issuers.prefault("https://kubernetes.default.svc")),
  "service-account-key-file": repeatable(z.string().default("")),
  "service-account-signing-key-file": z.string().default(""),
  "api-audiences": repeatable(z.string().default("")),
  "external-hostname": z.string().default(""),
  "enable-admission-plugins": repeatable(pluginNames.prefault("")),
  "disable-admission-plugins": repeatable(pluginNames.prefault("")),
  "allow-privileged": bool.default(true),
  "max-requests-inflight": z.coerce.number().int().min(0).default(400),
  "max-mutating-requests-inflight": z.coerce.number().int().min(0).default(200),
  "metrics-server": bool.default(true),
  "enable-priority-and-fairness": bool.default(true),
  "request-timeout": durationMs.prefault("1m0s"),
  "min-request-timeout": z.coerce.number().int().min(1).default(1_800),
  "event-ttl": durationMs.prefault("1h"),
  "audit-policy-file": z.string().default(""),
  "audit-log-path": z.string().default(""),
  /** Megabytes a file, files to keep (0: all), days to keep (0: for ever). */
  "audit-log-maxsize": z.coerce.number().int().min(0).default(0),
  "audit-log-maxbackup": z.coerce.number().int().min(0).default(0),
  "audit-log-maxage": z.coerce.number().int().min(0).default(0),
  "audit-log-format": z.enum(["json"]).default("json"),
  "encryption-provider-config": z.string().default(""),
  "runtime-config": repeatable(runtimeConfig.prefault("")),
  "feature-gates": repeatable(featureGates.prefault("")),
  "storage-backend": z.enum(["jetstream", "memory"]).default("jetstream"),
};

export type ApiServerConfig = z.infer<z.ZodObject<typeof FLAGS>>;
