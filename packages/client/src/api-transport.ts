// How a request of the Kubernetes API reaches a server: over NATS or over HTTPS. Paths, headers and bodies are the same.

export interface ApiRequest {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Path with query. */
  path: string;
  headers: Record<string, string>;
  body?: Uint8Array;
}

export interface ApiResponse {
  status: number;
  /** Lower-case names. */
  headers: Record<string, string>;
  body: Uint8Array;
}

/** A response whose body arrives in parts for as long as it takes. */
export interface ApiStream {
  readonly status: number;
  readonly headers: Record<string, string>;
  /** One reader; a returned promise holds back the next chunk. */
  onChunk(cb: (chunk: Uint8Array) => void | Promise<void>): void;
  /** Called once: the body is complete (no error) or broke. */
  onClose(cb: (error?: Error) => void): void;
  close(): void;
}

export interface ApiTransport {
  /** Rejects with ApiUnreachableError; any HTTP status resolves. */
  request(r: ApiRequest, opts?: { timeoutMs?: number; signal?: AbortSignal }): Promise<ApiResponse>;
  stream(r: ApiRequest, opts?: { signal?: AbortSignal }): Promise<ApiStream>;
  close(): Promise<void>;
}
