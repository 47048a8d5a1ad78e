// Background jobs of one shell: numbers, what they run, how they ended; the text that `jobs` prints.
import type { Process } from "../kernel/process.ts";
import { signalDescription } from "../kernel/signals.ts";
import type { Node, Word } from "./ast.ts";

export interface Job {
  number: number;
  process: Process;
  text: string;
  /** Reported as done already. */
  told: boolean;
  /** Of the parent shell: shown by `jobs`, not waited for. */
  inherited: boolean;
}

export class Jobs {
  /** Commands are remembered by interactive shells only. */
  shown = false;
  #list: Job[] = [];

  add(process: Process, node: Node): Job {
    let number = 1;
    while (this.#list.some((j) => j.number === number)) number++;
    const job = { number, process, text: textOf(node), told: false, inherited: false };
    this.#list.push(job);
    return job;
  }

  inherit(jobs: readonly Job[]): void {
    this.#list = jobs.map((j) => ({ ...j, inherited: true }));
  }

  all(): readonly Job[] {
    return this.#list;
  }
  remove(job: Job): void {
    this.#list = this.#list.filter((j) => j !== job);
  }
  byPid(pid: number): Job | undefined {
    return this.#list.find((j) => j.process.pid === pid);
  }
  /** "%1", "%%", "%+", "%-", "%text". */
  bySpec(spec: string): Job | undefined {
    const s = spec.slice(1);
    if (s === "" || s === "%" || s === "+") return this.#list.at(-1);
    if (s === "-") return this.#list.at(-2) ?? this.#list.at(-1);
    if (/^\d+$/.test(s)) return this.#list.find((j) => j.number === Number(s));
    return this.#list.find((j) => (s.startsWith("?") ? j.text.includes(s.slice(1)) : j.text.startsWith(s)));
  }

  line(job: Job, o: { pids?: boolean } = {}): string {
    const mark = job === this.#list.at(-1) ? "+" : job === this.#list.at(-2) ? "-" : " ";
    const s = job.process.status;
    const state = job.process.stopped
      ? "Stopped"
      : s === undefined
        ? "Running"
        : s.signal !== 0
          ? signalDescription(s.signal)
          : s.code === 0
            ? "Done"
            : `Done(${s.code})`;
    return `[${job.number}]${mark}  ${o.pids ? `${job.process.pid} ` : ""}${state.padEnd(27)}${this.shown ? job.text : ""}\n`;
  }
}

/** A command as ash's cmdtxt prints it. */
export function textOf(node: Node): string {
  switch (node.t) {
    case "simple":
      return [
        ...node.assigns.map((a) => `${a.name}=${wordText(a.value)}`),
        ...node.words.map(wordText),
        ...node.redirects.map((r) => `${r.fd === (r.kind.startsWith("<") ? 0 : 1) ? "" : r.fd}${r.kind}${wordText(r.target)}`),
      ].join(" ");
    case "pipe":
      return `${node.negate ? "! " : ""}${node.commands.map(textOf).join(" | ")}`;
    case "and":
      return `${textOf(node.left)} && ${textOf(node.right)}`;
    case "or":
      return `${textOf(node.left)} || ${textOf(node.right)}`;
    case "seq":
      return node.list.map(textOf).join("; ");
    case "background":
      return `${textOf(node.body)} &`;
    case "subshell":
      return `(${textOf(node.body)})`;
    case "group":
      return `{ ${textOf(node.body)}; }`;
    case "if":
      return `if ${textOf(node.cond)}; then ${textOf(node.then)}; ${node.else ? `else ${textOf(node.else)}; ` : ""}fi`;
    case "while":
    case "until":
      return `${node.t} ${textOf(node.cond)}; do ${textOf(node.body)}; done`;
    case "for":
      return `for ${node.name} in ${(node.words ?? []).map(wordText).join(" ")}; do ${textOf(node.body)}; done`;
    case "case":
      return `case ${wordText(node.word)} in ${node.items.map((i) => `${i.patterns.map(wordText).join("|")}) ${i.body ? textOf(i.body) : ""};;`).join(" ")} esac`;
    case "function":
      return `${node.name}() { ... }`;
  }
}

function wordText(w: Word): string {
  return w
    .map((p) => {
      if (p.t === "lit") return p.quoted && !/^[-+.,/:@_\w]+$/.test(p.text) ? `"${p.text}"` : p.text;
      if (p.t === "param") return p.op === "" ? `\${${p.name}}` : `\${${p.name}${p.op}${p.word ? wordText(p.word) : ""}}`;
      if (p.t === "cmd") return "$(...)";
      if (p.t === "arith") return `$((${wordText(p.expr)}))`;
      return "";
    })
    .join("");
}
