// Network namespaces.
export { Flow, readFlow } from "./flow.ts";
export { ipHeader } from "./icmp-errors.ts";
export {
  type LocalSockets,
  type NamespaceOptions,
  NetConfigError,
  NetNamespace,
  type NetNamespaceInit,
  type RouteSpec,
} from "./namespace.ts";
