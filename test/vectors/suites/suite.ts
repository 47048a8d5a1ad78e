// What a suite of truth tables exports: `run(dir)` reads every table of its shape in `dir` and answers with what held, row by row.

export interface SuiteResult {
  readonly passed: number;
  readonly failed: number;
  /** One line each: the case and what differed. */
  readonly failures: readonly string[];
  /** Every row that ran, in the order in which they ended; `problem` is empty when it held. */
  readonly rows?: readonly Row[];
}

export interface Row {
  name: string;
  problem: string;
}

/** Counts rows. */
export class Tally implements SuiteResult {
  readonly rows: Row[] = [];

  /** No problems, or an empty text: the row held. */
  note(name: string, problems: string | readonly string[] | undefined): void {
    const problem = problems === undefined ? "" : typeof problems === "string" ? problems : problems.join("; ");
    this.rows.push({ name, problem });
  }

  get passed(): number {
    return this.rows.filter((r) => r.problem === "").length;
  }

  get failed(): number {
    return this.rows.length - this.passed;
  }

  get failures(): string[] {
    return this.rows.filter((r) => r.problem !== "").map((r) => `${r.name}: ${r.problem}`);
  }
}

export type RunSuite = (dir: string) => Promise<SuiteResult>;
