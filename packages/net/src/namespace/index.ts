// Network namespaces.
export { Flow, readFlow } from "./flow.ts";
export {
  type LocalSockets,
  type NamespaceOptions,
  NetConfigError,
  NetNamespace,
  type NetNamespaceInit,
  type RouteSpec,
} from "./namespace.ts";
