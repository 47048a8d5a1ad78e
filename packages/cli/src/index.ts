// cli: the podwire command. Its door is for tests that drive a cluster from outside; people use bin/podwire.mjs.
export { HOST_ADDRESS_ANNOTATION } from "./commands/status.ts";
export { ExitCode } from "./errors.ts";
export type { Component } from "./installation.ts";
export { freePort, isPortFree, ownerOfPort } from "./ports.ts";
export { ClusterFolder } from "./state/cluster-folder.ts";
export { ADMIN, type IdentityFile, readIdentity, underlayOfSlot } from "./state/identities.ts";
export { MALLOC, NODE_FLAGS, youngGeneration } from "./supervisor/components.ts";
export type { SupervisorStatus } from "./supervisor/control.ts";
export type { ProcessStatus } from "./supervisor/process.ts";
