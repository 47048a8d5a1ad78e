// Where the coredns image gets its objects from. The node hands one in as annex "kube-watch"; it keeps an index filled.

export type WatchedResource = "namespaces" | "services" | "endpointslices" | "pods";

export interface KubeWatch {
  /** Calls back for every object there is and every change; resolves `synced` when the first list is complete. */
  watch(resource: WatchedResource, handlers: { set(o: any): void; remove(o: any): void }): { synced: Promise<void>; stop(): void };
}
