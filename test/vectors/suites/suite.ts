// What a suite of truth tables exports: `run(dir)` reads every table of its shape in `dir` and answers with what held.

export interface SuiteResult {
  passed: number;
  failed: number;
  /** One line each: the case and what differed. */
  failures: string[];
}

export type RunSuite = (dir: string) => Promise<SuiteResult>;
