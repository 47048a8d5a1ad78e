// A vitest reporter that notes, a line each in the file that PODWIRE_SECOND_ATTEMPTS names, the tests that failed once and passed when they
// were run again: each is a fault to be found, of the test or of the product, that a loaded machine showed.
// Invariant: a test that passed at once is not named.
import { appendFileSync } from "node:fs";

export default class SecondAttempts {
  onTestCaseResult(test) {
    if (test.diagnostic()?.flaky)
      appendFileSync(process.env.PODWIRE_SECOND_ATTEMPTS, `${test.module.relativeModuleId} > ${test.fullName}\n`);
  }
}
