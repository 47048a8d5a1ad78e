// What goes wrong on the command line, by the exit code it ends in: 1 failure, 2 usage, 3 unhealthy.
import { PodwireError } from "@podwire/base";

export const ExitCode = { ok: 0, failure: 1, usage: 2, unhealthy: 3 } as const;

/** The command was written wrong. */
export class UsageError extends PodwireError {}

/** The cluster runs but is not well, or did not become so in time. */
export class UnhealthyError extends PodwireError {}

/** No supervisor answers for this cluster. */
export class NotRunningError extends PodwireError {
  constructor(cluster: string, cause?: unknown) {
    super(`cluster ${JSON.stringify(cluster)} is not running`, { cause, next: "podwire up -d" });
  }
}

/** A port that was asked for belongs to somebody else. */
export class PortTakenError extends PodwireError {
  constructor(port: number, what: string, owner: string | undefined) {
    super(`port ${port} (${what}) is taken${owner ? ` by ${owner}` : ""}`, {
      next: `stop that process, or choose another port for ${what}`,
    });
  }
}

/** A process that the cluster cannot do without ended while starting. */
export class ProcessFailedError extends PodwireError {}

/** Something did not happen within its time. */
export class TimedOutError extends PodwireError {}

export function exitCodeOf(e: unknown): number {
  if (e instanceof UsageError) return ExitCode.usage;
  if (e instanceof UnhealthyError) return ExitCode.unhealthy;
  return ExitCode.failure;
}
