// The door for tests of other packages: a small network of nodes and pods on an in-memory wire. Nothing that runs imports this.
export * from "./namespace/two-nodes.ts";
