// A vitest reporter that notes, a line each with the first failure in the file that PODWIRE_SECOND_ATTEMPTS names, the tests that failed once
// and passed when they were run again: each is a fault to be found, of the test or of the product, that a loaded machine showed.
// Invariant: a test that passed at once is not named.
import { appendFileSync } from "node:fs";

export default class SecondAttempts {
  onTestCaseResult(test) {
    if (!test.diagnostic()?.flaky) return;
    const why = test.result().errors?.[0]?.message.split("\n")[0] ?? "";
    appendFileSync(process.env.PODWIRE_SECOND_ATTEMPTS, `${test.module.relativeModuleId} > ${test.fullName}: ${why}\n`);
  }
}
