// Flags of the node-agent; kubelet's and flannel's names where they have one. Nothing else reads the environment.
import { bool, durationMs, z } from "@podwire/base";
import { parsePrefix } from "@podwire/net";
import { parseMinimumReclaim, parseThresholds, type Threshold } from "./kubelet/eviction/thresholds.ts";

const list = z.string().transform((s) =>
  s
    .split(",")
    .map((x) => x.trim())
    .filter((x) => x !== ""),
);

const labels = z.string().transform((s, ctx): Record<string, string> => {
  const out: Record<string, string> = {};
  for (const pair of s.split(",").filter((x) => x !== "")) {
    const at = pair.indexOf("=");
    if (at < 1) {
      ctx.addIssue({ code: "custom", message: `not a label: ${pair}` });
      return z.NEVER;
    }
    out[pair.slice(0, at)] = pair.slice(at + 1);
  }
  return out;
});

const taints = z.string().transform((s, ctx): { key: string; value?: string; effect: string }[] => {
  const out = [];
  for (const text of s.split(",").filter((x) => x !== "")) {
    const m = /^([^=:]+)(?:=([^:]*))?:(NoSchedule|PreferNoSchedule|NoExecute)$/.exec(text);
    if (!m) {
      ctx.addIssue({ code: "custom", message: `not a taint: ${text} (key=value:Effect)` });
      return z.NEVER;
    }
    out.push({ key: m[1] as string, ...(m[2] === undefined ? {} : { value: m[2] }), effect: m[3] as string });
  }
  return out;
});

const gracePeriods = list.transform((parts, ctx): Map<string, number> => {
  const out = new Map<string, number>();
  for (const part of parts) {
    const [signal = "", text = ""] = part.split("=");
    const ms = durationMs.safeParse(text);
    if (ms.success && signal !== "") out.set(signal, ms.data);
    else ctx.addIssue({ code: "custom", message: `invalid grace period: ${part} (signal=duration)` });
  }
  return out;
});

const minimumReclaim = z.string().transform((s, ctx) => {
  const parsed = parseMinimumReclaim(s);
  if (typeof parsed !== "string") return parsed;
  ctx.addIssue({ code: "custom", message: parsed });
  return z.NEVER;
});

const cidrs = list.superRefine((ranges, ctx) => {
  const families = ranges.map((r) => (parsePrefix(r) === undefined ? 0 : r.includes(":") ? 6 : 4));
  for (const [i, r] of ranges.entries()) if (families[i] === 0) ctx.addIssue({ code: "custom", message: `not a CIDR: ${r}` });
  if (ranges.length === 0 || ranges.length > 2 || new Set(families).size !== ranges.length)
    ctx.addIssue({ code: "custom", message: "one range, or one of each family" });
  if (families[0] === 6) ctx.addIssue({ code: "custom", message: "the first range must be IPv4: the underlay is" });
});

const nodePortAddresses = list.superRefine((all, ctx) => {
  if (all.includes("primary") && all.length > 1) ctx.addIssue({ code: "custom", message: '"primary" stands alone' });
  for (const a of all) if (a !== "primary" && parsePrefix(a) === undefined) ctx.addIssue({ code: "custom", message: `not a CIDR: ${a}` });
});

const thresholds = z.string().transform((s, ctx): Threshold[] => {
  const parsed = parseThresholds(s);
  if (typeof parsed !== "string") return parsed;
  ctx.addIssue({ code: "custom", message: parsed });
  return z.NEVER;
});

export const FLAGS = {
  "node-name": z.string().default(""),
  "node-ip": z.string().default(""),
  "node-labels": labels.prefault(""),
  "register-node": bool.default(true),
  "register-with-taints": taints.prefault(""),
  /** One range, or one of each family for dual-stack. */
  "cluster-cidr": cidrs.prefault("10.244.0.0/16"),
  "cluster-dns": list.prefault("10.96.0.10"),
  "cluster-domain": z.string().default("cluster.local"),
  /** The underlay's router: where packets to neither a node nor a pod go. */
  "underlay-gateway": z.string().default("172.30.0.3"),
  "underlay-prefix": z.coerce.number().int().min(8).max(30).default(16),
  mtu: z.coerce.number().int().min(576).max(65_535).default(1500),
  overlay: z.enum(["vxlan", "host-gw"]).default("vxlan"),
  "max-pods": z.coerce.number().int().min(1).default(110),
  /** The kubelet's HTTPS port in the node's own network; 0 closes it. */
  port: z.coerce.number().int().min(0).max(65_535).default(10_250),
  "client-ca-file": z.string().default(""),
  "anonymous-auth": bool.default(false),
  "authorization-mode": z.enum(["Webhook", "AlwaysAllow"]).default("Webhook"),
  /** Folder of static pods' manifests. */
  "pod-manifest-path": z.string().default(""),
  "file-check-frequency": durationMs.default(20_000),
  "eviction-hard": thresholds.prefault(
    "memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%,imagefs.available<15%,imagefs.inodesFree<5%",
  ),
  "eviction-soft": thresholds.prefault(""),
  /** How long each soft threshold must be crossed: "memory.available=1m30s". */
  "eviction-soft-grace-period": gracePeriods.prefault(""),
  /** Seconds that a pod gets which a soft threshold evicts, at most. */
  "eviction-max-pod-grace-period": z.coerce.number().int().min(0).default(0),
  "eviction-minimum-reclaim": minimumReclaim.prefault(""),
  "eviction-pressure-transition-period": durationMs.default(300_000),
  /** How often usage is looked at for evictions. */
  "housekeeping-interval": durationMs.default(10_000),
  "image-gc-high-threshold": z.coerce.number().int().min(0).max(100).default(85),
  "image-gc-low-threshold": z.coerce.number().int().min(0).max(100).default(80),
  "minimum-image-ttl-duration": durationMs.default(120_000),
  "image-maximum-gc-age": durationMs.default(0),
  "container-log-max-size": z.string().default("10Mi"),
  "container-log-max-files": z.coerce.number().int().min(2).default(5),
  "shutdown-grace-period": durationMs.default(0),
  "shutdown-grace-period-critical-pods": durationMs.default(0),
  "allowed-unsafe-sysctls": list.prefault(""),
  cpus: z.string().default("8"),
  memory: z.string().default("16Gi"),
  "ephemeral-storage": z.string().default("100Gi"),
  /** What pods may really write to emptyDirs and hostPaths: it is held in memory while the node runs. More answers ENOSPC. */
  "disk-space": z.string().default("512Mi"),
  /** Content of the CSI and NFS volumes that pods here have mounted; it is held in memory while they do. More answers ENOSPC. */
  "volume-space": z.string().default("1Gi"),
  /** CSINode's allocatable.count: volumes that may be attached to the node at a time. */
  "csi-attach-limit": z.coerce.number().int().min(0).default(128),
  "kube-reserved-memory": z.string().default("100Mi"),
  "node-status-update-frequency": durationMs.default(10_000),
  "node-lease-duration-seconds": z.coerce.number().int().min(1).default(40),
  /** Simulated time of an image's first pull. */
  "image-pull-time": durationMs.default(0),
  /** Unknown images fail to pull instead of being stood in for by the echo workload. */
  "strict-images": bool.default(false),
  "proxy-mode": z.enum(["iptables", "ipvs", "nftables", "none"]).default("iptables"),
  "ipvs-scheduler": z.enum(["rr", "wrr", "lc", "wlc", "sh", "dh", "sed", "nq", "mh"]).default("rr"),
  /** CIDRs of addresses that node ports answer on, or "primary"; none is all of them (in nftables mode: the primary ones). */
  "nodeport-addresses": nodePortAddresses.prefault(""),
  "iptables-localhost-nodeports": bool.default(true),
  "masquerade-all": bool.default(false),
} as const;

export type NodeAgentConfig = z.infer<z.ZodObject<typeof FLAGS>>;
