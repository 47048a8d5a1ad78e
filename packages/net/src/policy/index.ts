// NetworkPolicy in the data path.
export * from "./engine.ts";
