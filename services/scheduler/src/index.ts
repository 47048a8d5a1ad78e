// scheduler: which node a pod runs on. The door for tests and benchmarks; the process is main.ts.
export { SchedulerCache, type Snapshot } from "./framework/cache.ts";
export { fitMessage, GATED, NO_NODES } from "./framework/messages.ts";
export { type PodInfo, podInfo } from "./framework/pod-info.ts";
export { type Failure, type Outcome, type Profile, schedule } from "./framework/schedule.ts";
export { planPreemption } from "./preemption.ts";
export { DEFAULT_SCHEDULER, defaultProfile } from "./profiles.ts";
export { type Scheduler, type SchedulerOptions, scheduler } from "./scheduler.ts";
