// testkit: what tests of every room use. A clock that the test owns, real servers that clean up after themselves, faults
// by plan, and checkers of histories. Development only: nothing that ships imports it.
export { type FaultPlanOptions, type FaultStep, faultPlan, runFaultPlan } from "./fault-plan.ts";
export { checkStoreHistory, type StoreOperation } from "./history.ts";
export { runStoreWorkload, type WorkloadOptions } from "./store-workload.ts";
export { freePort, startTestNats, type TestNats, type TestNatsOptions, testNatsBinary } from "./test-nats.ts";
export * from "./two-nodes.ts";
export { type VirtualClock, virtualClock } from "./virtual-clock.ts";
