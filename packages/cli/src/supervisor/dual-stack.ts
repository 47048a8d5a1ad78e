// `up --dual-stack`: a range of each family for pods and for Services, and cluster DNS at an address of each.
import { CLUSTER_DNS_ADDRESS, CLUSTER_DNS_ADDRESS_V6 } from "../addons/cluster-dns.ts";

const SERVICES_V6 = "fd00:10:96::/112";

/** "component=--flag=value"; later flags of the same name win. */
export const DUAL_STACK: readonly string[] = [
  `apiserver=--service-cluster-ip-range=10.96.0.0/12,${SERVICES_V6}`,
  "controller-manager=--cluster-cidr=10.244.0.0/16,fd00:10:244::/56",
  "node-agent=--cluster-cidr=10.244.0.0/16,fd00:10:244::/56",
  `node-agent=--cluster-dns=${CLUSTER_DNS_ADDRESS},${CLUSTER_DNS_ADDRESS_V6}`,
];

/** Whether a cluster with these flags gives Services of both families the addresses above. */
export function isDualStack(args: Readonly<Record<string, readonly string[]>>): boolean {
  const range = args["apiserver"]?.findLast((a) => a.startsWith("--service-cluster-ip-range="));
  return range?.includes(SERVICES_V6) === true;
}
