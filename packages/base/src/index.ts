// base: the things that every other package stands on. No package below this one; no I/O but the logger's.
export * from "./clock.ts";
export * from "./config.ts";
export * from "./errors.ts";
export * from "./log.ts";
export * from "./random.ts";
