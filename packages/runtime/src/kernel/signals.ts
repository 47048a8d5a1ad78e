// Signal names, numbers and default actions of Linux on x86-64 (signal(7)).

const NAMES = [
  "",
  "HUP",
  "INT",
  "QUIT",
  "ILL",
  "TRAP",
  "ABRT",
  "BUS",
  "FPE",
  "KILL",
  "USR1",
  "SEGV",
  "USR2",
  "PIPE",
  "ALRM",
  "TERM",
  "STKFLT",
  "CHLD",
  "CONT",
  "STOP",
  "TSTP",
  "TTIN",
  "TTOU",
  "URG",
  "XCPU",
  "XFSZ",
  "VTALRM",
  "PROF",
  "WINCH",
  "POLL",
  "PWR",
  "SYS",
] as const;

export const SIGHUP = 1;
export const SIGINT = 2;
export const SIGQUIT = 3;
export const SIGKILL = 9;
export const SIGPIPE = 13;
export const SIGALRM = 14;
export const SIGTERM = 15;
export const SIGCHLD = 17;
export const SIGCONT = 18;
export const SIGSTOP = 19;
export const SIGTSTP = 20;
export const SIGTTIN = 21;
export const SIGTTOU = 22;
export const SIGWINCH = 28;
export const SIGNAL_MAX = 64;

/** What a process prints when it dies by the signal without a handler (strsignal(3)); only those that shells report. */
const DESCRIPTIONS: Record<number, string> = {
  1: "Hangup",
  2: "Interrupt",
  3: "Quit",
  4: "Illegal instruction",
  5: "Trace/breakpoint trap",
  6: "Aborted",
  7: "Bus error",
  8: "Floating point exception",
  9: "Killed",
  10: "User defined signal 1",
  11: "Segmentation fault",
  12: "User defined signal 2",
  13: "Broken pipe",
  14: "Alarm clock",
  15: "Terminated",
  16: "Stack fault",
  17: "Child exited",
  18: "Continued",
  19: "Stopped (signal)",
  20: "Stopped",
  21: "Stopped (tty input)",
  22: "Stopped (tty output)",
  23: "Urgent I/O condition",
  24: "CPU time limit exceeded",
  25: "File size limit exceeded",
  26: "Virtual timer expired",
  27: "Profiling timer expired",
  28: "Window changed",
  29: "I/O possible",
  30: "Power failure",
  31: "Bad system call",
};

/** "TERM" of 15, as kill -l prints it. */
export function signalName(n: number): string {
  return NAMES[n] ?? (n >= 34 && n <= SIGNAL_MAX ? `RT${n}` : String(n));
}

/** "Terminated" of 15, as a shell tells the end of a job. */
export function signalDescription(n: number): string {
  return DESCRIPTIONS[n] ?? `Unknown signal ${n}`;
}

/** "TERM", "SIGTERM", "term", "15" -> 15; undefined when there is none. 0 ("EXIT" for shells) is not a signal here. */
export function signalNumber(text: string): number | undefined {
  if (/^\d+$/.test(text)) {
    const n = Number(text);
    return n <= SIGNAL_MAX ? n : undefined;
  }
  const upper = text.toUpperCase().replace(/^SIG/, "");
  const alias: Record<string, number> = { IOT: 6, CLD: 17, IO: 29, UNUSED: 31, RTMIN: 34, RTMAX: 64 };
  const n = NAMES.indexOf(upper as (typeof NAMES)[number]);
  return n > 0 ? n : alias[upper];
}

export type DefaultAction = "terminate" | "ignore" | "stop" | "continue";

/** What a signal does to a process that has no handler for it. */
export function defaultAction(n: number): DefaultAction {
  if (n === SIGCHLD || n === 23 || n === SIGWINCH) return "ignore";
  if (n === SIGCONT) return "continue";
  if (n === SIGSTOP || n === SIGTSTP || n === SIGTTIN || n === SIGTTOU) return "stop";
  return "terminate";
}
