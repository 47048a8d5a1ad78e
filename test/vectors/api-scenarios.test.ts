// The scenarios recorded from a real kube-apiserver 1.34, one case each, against one server: as they were recorded. Each works in a
// namespace of its own, so several run at once. `npm run test:vectors api` runs the same.
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ApiServer } from "../../services/apiserver/src/index.ts";
import { exceptions, replay, scenarios, startServer, unexcused } from "./suites/api.ts";

const dir = join(import.meta.dirname, "api");

describe("recorded API scenarios", () => {
  let server: ApiServer;
  const excepted = exceptions(dir);
  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server?.stop());

  for (const scenario of scenarios(dir))
    test.concurrent(scenario.name, async () => {
      expect(unexcused(await replay(server, scenario), excepted)).toEqual([]);
    });
});
