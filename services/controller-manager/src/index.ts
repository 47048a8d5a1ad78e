// controller-manager: the reconciliation loops of the cluster. The door for tests and benchmarks; the process is main.ts.
export { CONTROLLER_MANAGER_FLAGS, settingsOf } from "./config.ts";
export { type ControllerContext, controllerContext, DEFAULT_SETTINGS, type RunningController, type Settings } from "./context.ts";
export { CONTROLLERS, selectControllers } from "./controllers/table.ts";
export { type ConvergenceResult, tryConvergence } from "./convergence.ts";
export { controllerManager, type Manager, type ManagerOptions } from "./manager.ts";
