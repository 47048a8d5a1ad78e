// kube-proxy: Services made into rules of the node.
export { type KubeProxy, type KubeProxyOptions, startKubeProxy } from "./kube-proxy.ts";
export { createProxier, type Proxier, type ProxyMode } from "./proxier.ts";
export type { ProxySettings } from "./proxy-settings.ts";
export { type EndpointSliceLike, endpointsOf, SERVICE_NAME, type ServiceInput, type ServiceLike, servicePorts } from "./service-ports.ts";
export { type Categorized, categorize } from "./topology.ts";
