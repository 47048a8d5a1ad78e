// runtime: simulated containers. A pod's sandbox, its containers, their processes and files, and the catalogue of images.

export { APPLETS } from "./applets/index.ts";
export * from "./container/container.ts";
export * from "./container/rootfs.ts";
export * from "./container/sandbox.ts";
export * from "./container/session.ts";
export type { OutputListener, OutputStream } from "./container/session-output.ts";
export * from "./container/user.ts";
export * from "./images/catalogue.ts";
export {
  type Answer as DnsReply,
  answerKubernetes,
  type KubernetesConfig as DnsZoneConfig,
  KubernetesIndex,
  type Record as DnsRecord,
} from "./images/coredns/records.ts";
export * from "./images/image.ts";
export * from "./images/reference.ts";
export * from "./kernel/capabilities.ts";
export * from "./kernel/cpu.ts";
export * from "./kernel/errno.ts";
export * from "./kernel/machine.ts";
export * from "./kernel/open-file.ts";
export * from "./kernel/pipe.ts";
export * from "./kernel/process.ts";
export * from "./kernel/process-table.ts";
export * from "./kernel/signals.ts";
export * from "./kernel/tty.ts";
export * from "./kernel/unix-socket.ts";
export * from "./kernel/usage.ts";
export * from "./net/net-stack.ts";
export * from "./net/pod-net.ts";
export * from "./net/resolver.ts";
export * from "./vfs/inode.ts";
export * from "./vfs/journal.ts";
export * from "./vfs/mounts.ts";
export * from "./vfs/process-fs.ts";
export * from "./vfs/shared-replica.ts";
