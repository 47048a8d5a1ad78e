// bus: messages between processes. Subjects, transports (NATS, memory), requests, streams, the wire, credentials.

export type { Bus, BusMessage, BusStatus, BusStream, RemoteFailure, RequestOptions, Subscription, Transport } from "./bus.ts";
export { checkStructure, decode, encode } from "./codec.ts";
export {
  type ComponentContext,
  type ComponentOptions,
  type ProcessContext,
  type ProcessOptions,
  type RunningComponent,
  readIdentityFile,
  runComponent,
  runProcess,
} from "./component.ts";
export * from "./errors.ts";
export { createIdentity, type IdentityFile, type IdentityKey, publicKeyOf } from "./identity.ts";
export { covers, isSubject, matches, PatternTable } from "./matching.ts";
export { type MemoryBus, type MemoryConnectOptions, memoryBus } from "./memory.ts";
export { connectNats, type NatsConnectOptions, natsConnectionOf } from "./nats.ts";
export { type NatsServerConfig, natsServerConfig } from "./nats-config.ts";
export { BadSeedError } from "./nkey.ts";
export { type Permissions, permissionsFor } from "./permissions.ts";
export {
  checkNatsServer,
  DURABLE_VERSION,
  findNatsServer,
  type NatsBinary,
  NatsServerMissingError,
  type ObtainOptions,
  obtainNatsServer,
  parseVersion,
  versionAtLeast,
} from "./server.ts";
export { NatsServerError, type NatsServerOptions, type NatsServerProcess, startNatsServer } from "./server-process.ts";
export * from "./storage.ts";
export { DEFAULT_WINDOW_BYTES, SILENCE_LIMIT_MS } from "./stream.ts";
export { addressToken, Identity, type Key, type Subjects, subjectsOf, token, tokenAddress, untoken } from "./subjects.ts";
export { armTrace, collectTracePoints, followTraceFilters, reportTraces } from "./traces.ts";
export type { Refusal } from "./transport.ts";
export type { WireCounters, WireFaults, WireFrame, WirePort } from "./wire.ts";
export { BatchWriter, MAX_FRAME_BYTES, readBatch } from "./wire-batch.ts";
export { hasFaults, NO_FAULTS } from "./wire-faults.ts";
export { type FaultyWirePort, type OpenWireOptions, openWire } from "./wire-port.ts";
