import { defineConfig } from "vitest/config";

// `unit` stands beside the code; `system` (test/) starts real processes, two files at a time; `alone` are those of them that use the
// standard ports and folders as a user does, or whose subject is how fast failures show;
// `conformance` (test/conformance) shares one cluster between all of its files and tests.
const alone = ["compose", "faults", "lifecycle", "readme", "start", "serial/*"].map((name) => `test/${name}.test.ts`);

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["packages/*/src/**/*.test.ts", "services/*/src/**/*.test.ts", "scripts/**/*.test.ts"],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: "system",
          include: ["test/**/*.test.ts"],
          exclude: ["test/conformance/**", ...alone],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          pool: "forks",
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: "alone",
          include: alone,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          pool: "forks",
        },
      },
      {
        test: {
          name: "conformance",
          include: ["test/conformance/**/*.test.ts"],
          globalSetup: ["test/conformance/setup.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          pool: "forks",
          isolate: false, // Loading the client for each file cost as much as half of the tests.
          maxWorkers: 3,
          maxConcurrency: 8,
        },
      },
    ],
  },
});
