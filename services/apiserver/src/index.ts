// The apiserver's door, for tests and for a whole cluster in one process.
export { ApiServer, type ApiServerOptions } from "./apiserver.ts";
export type { ApiRequest, ApiResponse, User } from "./call.ts";
export { type ApiServerConfig, FLAGS } from "./config.ts";
export { openPki, type Pki } from "./transport/pki.ts";
