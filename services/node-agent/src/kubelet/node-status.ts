// The Node object as its kubelet writes it: registration, capacity, addresses, node info, conditions (kubelet_node_status.go).
// Pure; who sends it is `node-registrar.ts`.
import type { Node, NodeCondition, NodeStatus } from "@podwire/api";
import { time } from "@podwire/client";

export interface NodeDescription {
  name: string;
  uid: string;
  /** InternalIPs, the primary one first. */
  addresses: readonly string[];
  labels: Readonly<Record<string, string>>;
  taints: readonly { key: string; value?: string; effect: string }[];
  capacity: Readonly<Record<string, string>>;
  allocatable: Readonly<Record<string, string>>;
  bootId: string;
  kubeletPort: number;
}

export const KUBELET_VERSION = "v1.34.2";

export function nodeObject(d: NodeDescription): Node & { metadata: any } {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name: d.name,
      labels: {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": d.name,
        "kubernetes.io/os": "linux",
        ...d.labels,
      },
      annotations: { "volumes.kubernetes.io/controller-managed-attach-detach": "true" },
    },
    spec: d.taints.length > 0 ? { taints: d.taints.map((t) => ({ ...t })) } : {},
  } as never;
}

/** The object of a node's events: the kubelet says the name for the uid. */
export function nodeRef(name: string): any {
  return { apiVersion: "v1", kind: "Node", metadata: { name, uid: name } };
}

export interface NodeHealth {
  networkReady: boolean;
  /** MemoryPressure, DiskPressure, PIDPressure, as many as there are. */
  pressures: readonly string[];
  images: readonly { names: string[]; sizeBytes: number }[];
  /** CSI volumes that pods here use. */
  volumesInUse: readonly string[];
  /** Set while the node shuts down. */
  shutdown: boolean;
}

export function nodeStatus(d: NodeDescription, h: NodeHealth, old: NodeStatus | undefined, nowMs: number): NodeStatus {
  const heartbeat = time(nowMs);
  const condition = (type: string, bad: boolean, reasons: [string, string], messages: [string, string]): NodeCondition => {
    const status = bad ? "True" : "False";
    const before = old?.conditions?.find((c) => c.type === type);
    return {
      type,
      status,
      lastHeartbeatTime: heartbeat,
      lastTransitionTime: before?.status === status && before.lastTransitionTime ? before.lastTransitionTime : heartbeat,
      reason: bad ? reasons[1] : reasons[0],
      message: bad ? messages[1] : messages[0],
    };
  };
  const readyStatus = h.networkReady && !h.shutdown ? "True" : "False";
  const readyBefore = old?.conditions?.find((c) => c.type === "Ready");
  const own = new Set(["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"]);
  return {
    // Extended resources that somebody else has put into the capacity stay, and may be used whole.
    capacity: { ...(old?.capacity as Record<string, string> | undefined), ...d.capacity },
    allocatable: { ...(old?.capacity as Record<string, string> | undefined), ...d.allocatable },
    conditions: [
      ...(old?.conditions ?? []).filter((c) => !own.has(c.type!)),
      condition(
        "MemoryPressure",
        h.pressures.includes("MemoryPressure"),
        ["KubeletHasSufficientMemory", "KubeletHasInsufficientMemory"],
        ["kubelet has sufficient memory available", "kubelet has insufficient memory available"],
      ),
      condition(
        "DiskPressure",
        h.pressures.includes("DiskPressure"),
        ["KubeletHasNoDiskPressure", "KubeletHasDiskPressure"],
        ["kubelet has no disk pressure", "kubelet has disk pressure"],
      ),
      condition(
        "PIDPressure",
        h.pressures.includes("PIDPressure"),
        ["KubeletHasSufficientPID", "KubeletHasInsufficientPID"],
        ["kubelet has sufficient PID available", "kubelet has insufficient PID available"],
      ),
      {
        type: "Ready",
        status: readyStatus,
        lastHeartbeatTime: heartbeat,
        lastTransitionTime:
          readyBefore?.status === readyStatus && readyBefore.lastTransitionTime ? readyBefore.lastTransitionTime : heartbeat,
        reason: readyStatus === "True" ? "KubeletReady" : "KubeletNotReady",
        message: h.shutdown
          ? "node is shutting down"
          : h.networkReady
            ? "kubelet is posting ready status"
            : "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized",
      },
    ],
    addresses: [...d.addresses.map((address) => ({ type: "InternalIP", address })), { type: "Hostname", address: d.name }],
    daemonEndpoints: { kubeletEndpoint: { Port: d.kubeletPort } },
    nodeInfo: {
      machineID: d.uid.replaceAll("-", ""),
      systemUUID: d.uid,
      bootID: d.bootId,
      kernelVersion: "6.12.0-podwire",
      osImage: "Podwire",
      containerRuntimeVersion: "podwire://0.1.0",
      kubeletVersion: KUBELET_VERSION,
      kubeProxyVersion: "",
      operatingSystem: "linux",
      architecture: "amd64",
      swap: { capacity: 0 },
    } as never,
    images: h.images.slice(0, 50).map((i) => ({ names: i.names, sizeBytes: i.sizeBytes })),
    volumesInUse: h.volumesInUse.length > 0 ? [...h.volumesInUse] : null,
    runtimeHandlers: [{ name: "", features: { recursiveReadOnlyMounts: true, userNamespaces: false } }],
    features: { supplementalGroupsPolicy: true },
  } as NodeStatus;
}

/** True when `next` says something new besides the heartbeat. */
export function nodeStatusChanged(old: NodeStatus | undefined, next: NodeStatus): boolean {
  const bare = (s: NodeStatus | undefined) =>
    JSON.stringify({ ...s, conditions: (s?.conditions ?? []).map(({ lastHeartbeatTime: _, ...c }) => c) });
  return bare(old) !== bare(next);
}
