// What a container runtime and its network plugins say to each other: the operations' results and errors in the shapes of the CNI
// specification 1.1.0 (github.com/containernetworking/cni, SPEC.md).
// Invariant: every error carries one of the specification's codes; a result names interfaces by index, addresses as CIDRs.
import { PodwireError } from "@podwire/base";
import type { BandwidthLimits } from "./bandwidth-plugin.ts";
import type { PortMapping } from "./portmap-plugin.ts";

export const CNI_VERSION = "1.1.0";
export const SUPPORTED_VERSIONS = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", CNI_VERSION] as const;

/** Error codes of the specification; from 100 on they are the plugin's own. */
export const CniCode = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  invalidEnvironment: 4,
  ioFailure: 5,
  decodingFailure: 6,
  invalidConfig: 7,
  tryAgainLater: 11,
  /** STATUS: the plugin cannot serve ADD. */
  notAvailable: 50,
  internal: 999,
} as const;

export class CniError extends PodwireError {
  readonly code: number;
  readonly details: string;
  constructor(code: number, message: string, o: { details?: string; cause?: unknown } = {}) {
    super(message, o.cause === undefined ? {} : { cause: o.cause });
    this.code = code;
    this.details = o.details ?? "";
  }

  /** As a plugin prints it. */
  toJSON(): { cniVersion: string; code: number; msg: string; details?: string } {
    return { cniVersion: CNI_VERSION, code: this.code, msg: this.message, ...(this.details === "" ? {} : { details: this.details }) };
  }
}

/** What ADD is asked for: CNI_CONTAINERID, CNI_ARGS and the capabilities of the runtime. */
export interface CniRequest {
  containerId: string;
  podName: string;
  podNamespace: string;
  /** Capability portMappings. */
  hostPorts?: readonly PortMapping[];
  /** Capability bandwidth. */
  bandwidth?: BandwidthLimits;
}

export interface CniInterface {
  name: string;
  mac: string;
  mtu?: number;
  sandbox?: string;
}

/** Result of ADD. */
export interface CniResult {
  cniVersion: string;
  interfaces: CniInterface[];
  ips: { address: string; gateway: string; interface: number }[];
  routes: { dst: string; gw?: string }[];
  dns: Record<string, never>;
}

export interface VersionResult {
  cniVersion: string;
  supportedVersions: readonly string[];
}

export function isIpv6(text: string): boolean {
  return text.includes(":");
}
