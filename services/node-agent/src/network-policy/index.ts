// NetworkPolicy on a node.
export { type NetworkPolicyEnforcer, type NetworkPolicyOptions, startNetworkPolicy } from "./network-policy.ts";
export { type NetworkPolicyLike, type PodLike, planPolicies } from "./plan.ts";
