// Memory of an idle pod namespace: its lo, eth0, addresses, routes and both ends of its veth on a bridge.
// node --expose-gc bench/net/memory.ts. Prints one JSON line.
import { MemoryWire, TestNode } from "../../packages/testkit/src/two-nodes.ts";

const PODS = 2000;
const gc = (globalThis as { gc?: () => void }).gc;
if (gc === undefined) throw new Error("run with --expose-gc");
const nodes = Array.from({ length: PODS / 200 }, (_, i) => new TestNode(new MemoryWire(), i + 1, []));
for (const n of nodes) n.addPod(2);
const used = () => {
  gc();
  const m = process.memoryUsage();
  return m.heapUsed + m.external + m.arrayBuffers;
};
const before = used();
for (const n of nodes) for (let i = 0; i < 200; i++) n.addPod(20 + i);
console.log(JSON.stringify({ name: "idle pod namespace", bytes: Math.round((used() - before) / PODS) }));
for (const n of nodes) n.close();
