// What every verb works on: the request as a transport hands it in, the answer as it takes it, and the server's parts.
import type { KubeObject, ResourceInfo } from "@podwire/api";
import type { Clock, Logger, Random } from "@podwire/base";
import type { BusStream } from "@podwire/bus";
import type { AdmissionChain } from "./admission/chain.ts";
import type { AuditNotes } from "./audit/audit.ts";
import type { Authorizer } from "./authorization/authorizer.ts";
import type { ListBytes } from "./cache/list-bytes.ts";
import type { WatchCache } from "./cache/watch-cache.ts";
import type { Dialer } from "./network/cluster-network.ts";
import type { Output } from "./request/accept.ts";
import type { RequestInfo } from "./request/request-info.ts";
import type { Allocators } from "./resources/allocators.ts";
import type { Catalogue, Served } from "./resources/catalogue.ts";
import type { Route } from "./routing.ts";
import type { ObjectStorage } from "./storage/object-storage.ts";
import type { ProcessConnections } from "./subresources/connections.ts";
import type { WatchFlusher } from "./verbs/watch-flusher.ts";

export interface User {
  name: string;
  uid?: string;
  groups: readonly string[];
  extra?: Readonly<Record<string, readonly string[]>>;
}

export interface ApiRequest {
  method: string;
  /** Path with query, as on the request line. */
  path: string;
  /** Names in lower case. */
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body?: Uint8Array;
  /** Aborts when the client has gone. */
  signal?: AbortSignal;
  sourceAddress?: string;
}

/** Where a streaming answer is written. */
export interface ResponseSink {
  /** Queues bytes; false when the client is slower than the server and more should wait for `onDrain`. */
  write(bytes: Uint8Array): boolean;
  end(): void;
  readonly closed: boolean;
  /** Bytes queued and not yet taken by the transport. */
  readonly backlog: number;
  onClose(cb: () => void): void;
  onDrain(cb: () => void): void;
}

export interface ApiResponse {
  status: number;
  headers: Record<string, string | string[]>;
  /** Several pieces are sent one after the other; they may be shared, nobody changes them. */
  body?: Uint8Array | string | readonly Uint8Array[];
  /** Streams instead of `body`; called once, after the headers are on their way. */
  stream?: (sink: ResponseSink) => void;
  /** A two-way stream (exec, attach): opened once the transport has switched protocols, and bridged to its framing. */
  connection?: () => Promise<Duplexed>;
  /** Port-forward: opens a byte stream to a port of the pod. */
  portForward?: (port: number) => Promise<BusStream>;
}

/** One side of a channelled stream (the WebSocket subprotocol channel.k8s.io without its framing). */
export interface Duplexed {
  onFrame(cb: (channel: number, data: Uint8Array) => void | Promise<void>): void;
  onClose(cb: (error: string | undefined) => void): void;
  send(channel: number, data: Uint8Array): Promise<void>;
  /** No more of a channel from the client; channel undefined: the client is gone. */
  end(channel?: number): void;
}

export interface Api {
  clock: Clock;
  random: Random;
  log: Logger;
  cache: WatchCache;
  storage: ObjectStorage;
  lists: ListBytes;
  flusher: WatchFlusher;
  catalogue: Catalogue;
  admission: AdmissionChain;
  authorizer: Authorizer;
  connections: ProcessConnections;
  /** The way to pods, Services and nodes as packets. */
  dialer: Dialer;
  /** How the apiserver shows itself to kubelets; undefined where there is no PKI. */
  kubeletClient: { certPem: string; keyPem: string } | undefined;
  /** Subresources with code of their own, by "pods/log"; filled at start. */
  subresources: Map<string, (call: Call, r: Route) => Promise<ApiResponse>>;
  /** Resources that are computed, not stored, by group resource. */
  virtual: Map<string, (call: Call, r: Route) => Promise<ApiResponse>>;
  /** ClusterIP and NodePort allocation. */
  allocators: Allocators;
  /** Which reads ask the store's leader first; see WatchCache.fresh. */
  /** --min-request-timeout: without timeoutSeconds a watch lasts between this and twice this. */
  minRequestTimeoutS: number;
  readFresh(request?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Why an object, or some object of a collection, cannot be read from the store (its key is lost); absent without encryption. */
  unreadable?: (group: string, resource: string, namespace: string, name?: string) => string | undefined;
}

/** One resource request on its way through authorization, admission and storage. */
export interface Call {
  request: ApiRequest;
  info: RequestInfo;
  user: User;
  served: Served;
  /** Namespace of the request; "" for cluster scope or all namespaces. */
  namespace: string;
  name: string;
  subresource: string;
  output: Output;
  /** Sent as Warning headers. */
  warnings: string[];
  userAgent: string;
  /** Takes annotations for the audit event; absent when the request is not recorded. */
  notes?: AuditNotes;
}

export type { KubeObject, ResourceInfo };
