// Connection tracking and translation.
export { Conntrack, type ConntrackEntry, type ConntrackFilter, type ConntrackOptions, CtState, DEFAULT_MAX_ENTRIES } from "./conntrack.ts";
export { type ConntrackTimeouts, DEFAULT_TIMEOUTS } from "./tcp-state.ts";
