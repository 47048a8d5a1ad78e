// The last one out: a shell that holds a pipe from the supervisor and knows the pids of everything it started. When the pipe
// closes, however the supervisor ended, it ends every process group that is left. It needs nothing of the processes themselves,
// so it works for nats-server too. Invariant: a pid is told to the guardian before anybody relies on it being cleaned up.
import { type ChildProcess, spawn } from "node:child_process";

/** Between the polite signal and the other one. */
const GRACE_SECONDS = 3;

// "+ 12" adds a group, "- 12" forgets it. Written for a plain POSIX shell; "kill -s 0" asks whether a group still exists.
const SCRIPT = `
trap '' INT TERM HUP
all=" "
while read -r op pid; do
  case $op in
    +) all="$all$pid " ;;
    -) all=" $(for p in $all; do [ "$p" = "$pid" ] || printf '%s ' "$p"; done)" ;;
  esac
done
left() { for p in $all; do kill -s 0 -- "-$p" 2>/dev/null && return 0; done; return 1; }
for p in $all; do kill -s TERM -- "-$p" 2>/dev/null; done
n=0
while left && [ $n -lt ${GRACE_SECONDS * 5} ]; do sleep 0.2; n=$((n+1)); done
for p in $all; do kill -s KILL -- "-$p" 2>/dev/null; done
exit 0
`;

export class Guardian {
  private readonly shell: ChildProcess;

  constructor() {
    this.shell = spawn("/bin/sh", ["-c", SCRIPT], { detached: true, stdio: ["pipe", "ignore", "ignore"] });
    this.shell.unref();
    this.shell.stdin?.on("error", () => undefined); // It was killed: nothing to be done here.
  }

  /** `pid` leads a process group. */
  watch(pid: number): void {
    this.shell.stdin?.write(`+ ${pid}\n`);
  }

  /** The group is gone; its number may be used again by others. */
  forget(pid: number): void {
    this.shell.stdin?.write(`- ${pid}\n`);
  }

  /** Lets go: what is still watched is ended now. */
  close(): void {
    this.shell.stdin?.end();
  }
}
