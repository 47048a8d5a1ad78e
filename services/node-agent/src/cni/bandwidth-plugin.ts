// The CNI plugin "bandwidth": a pod's traffic shaped to what its annotations allow, by a token bucket in each direction.
// Invariant: what the pod sends is shaped on its own end of the veth, what it receives on the node's; limits outside 1 kbit/s to
// 1 Pbit/s are refused. Annotations: kubernetes.io/ingress-bandwidth and kubernetes.io/egress-bandwidth.
import { parseQuantity } from "@podwire/api";
import type { Clock } from "@podwire/base";
import { type Device, TokenBucket } from "@podwire/net";
import { CniCode, CniError } from "./cni.ts";

/** Rates in bits per second; undefined is unlimited. */
export interface BandwidthLimits {
  ingressBitsPerSecond?: number;
  egressBitsPerSecond?: number;
}

const MIN_BITS = 1_000n;
const MAX_BITS = 1_000_000_000_000_000n;
/** What may wait: as much as the rate carries in this time (tbf's latency), beside the burst. */
const LATENCY_MS = 25;
/** Largest burst that tc takes (uint32 bytes). */
const MAX_BURST_BYTES = 2 ** 32 - 1;

/** The limits that a pod's annotations ask for; throws CniError when one is no rate. */
export function bandwidthOf(annotations: Readonly<Record<string, string>> | undefined): BandwidthLimits | undefined {
  const ingress = rateOf(annotations, "kubernetes.io/ingress-bandwidth");
  const egress = rateOf(annotations, "kubernetes.io/egress-bandwidth");
  if (ingress === undefined && egress === undefined) return undefined;
  return {
    ...(ingress === undefined ? {} : { ingressBitsPerSecond: ingress }),
    ...(egress === undefined ? {} : { egressBitsPerSecond: egress }),
  };
}

function rateOf(annotations: Readonly<Record<string, string>> | undefined, name: string): number | undefined {
  const text = annotations?.[name];
  if (text === undefined || text === "") return undefined;
  let bits: bigint;
  try {
    bits = parseQuantity(text).value();
  } catch (cause) {
    throw new CniError(CniCode.invalidConfig, `annotation ${name}: ${(cause as Error).message}`, { cause });
  }
  if (bits < MIN_BITS) throw new CniError(CniCode.invalidConfig, `annotation ${name}: resource is unreasonably small (< 1kbit)`);
  if (bits > MAX_BITS) throw new CniError(CniCode.invalidConfig, `annotation ${name}: resource is unreasonably large (> 1Pbit)`);
  return Number(bits);
}

/** Shapes both directions of a pod's veth; the burst is one second's worth, as the container runtime sets it. */
export function addBandwidth(clock: Clock, host: Device, pod: Device, limits: BandwidthLimits): void {
  if (limits.ingressBitsPerSecond !== undefined) host.shaper = bucket(clock, host, limits.ingressBitsPerSecond);
  if (limits.egressBitsPerSecond !== undefined) pod.shaper = bucket(clock, pod, limits.egressBitsPerSecond);
}

function bucket(clock: Clock, device: Device, bitsPerSecond: number): TokenBucket {
  const burstBytes = Math.min(MAX_BURST_BYTES, Math.max(device.mtu + 14, bitsPerSecond / 8));
  return new TokenBucket(clock, {
    bytesPerSecond: bitsPerSecond / 8,
    burstBytes,
    limitBytes: burstBytes + (bitsPerSecond / 8000) * LATENCY_MS,
  });
}
