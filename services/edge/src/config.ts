// Flags of the edge, beside those that every component takes (bus: runComponent).
import { bool, z } from "@podwire/base";

export const edgeFlags = {
  /** Where real listeners for Services are opened on this host. */
  "listen-address": z.string().default("127.0.0.1"),
  /** The name or address by which the user's machine reaches the listeners; the listen address when absent. */
  "public-host": z.string().optional(),
  /** Give Services of type LoadBalancer an address and listeners; false leaves them to another load balancer's controller. */
  "load-balancers": z.union([z.boolean(), bool]).default(true),
  /** Open <listen-address>:<nodePort> for NodePorts too. */
  "node-port-forward": z.union([z.boolean(), bool]).default(true),
  /** "first-last": the only host ports that load balancers may use (a container publishes only some); any port when empty. */
  "host-ports": z
    .string()
    .regex(/^(\d+-\d+)?$/, "write first-last")
    .default(""),
};

export type EdgeConfig = z.infer<z.ZodObject<typeof edgeFlags>>;

/** A range has at most this many ports. */
const MAX_RANGE = 1_000;

export function portsOf(range: string): number[] {
  const [first, last] = range.split("-").map(Number);
  if (!first || !last || last < first) return [];
  return Array.from({ length: Math.min(last - first + 1, MAX_RANGE) }, (_, i) => first + i);
}
