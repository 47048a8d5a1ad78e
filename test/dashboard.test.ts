// The dashboard in a real browser, on a real cluster: it shows nodes and pods as they are, counts on, and draws a packet's path.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromium, openPage, type Page } from "./browser.ts";
import { type Cluster, curl, eventually, hostAddress, missing, startCluster, webManifest } from "./cluster.ts";

const skip = missing("kubectl", "curl") ?? (chromium ? undefined : "no Chromium on PATH");

describe.skipIf(skip)(`dashboard${skip ? ` (skipped: ${skip})` : ""}`, () => {
  let cluster: Cluster;
  let page: Page;
  let url: string;
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 2 });
    await cluster.kubectl(["apply", "--validate=false", "-f", "-"], { input: webManifest({ replicas: 2, type: "LoadBalancer" }) });
    await cluster.kubectl(["rollout", "status", "deployment/web", "--timeout=60s"]);
    url = `http://${await hostAddress(cluster, "web")}/`;
    await eventually("curl", () => curl(url));
    page = await openPage((await cluster.status()).dashboardUrl);
  });
  afterAll(async () => {
    await page?.close();
    await cluster?.stop();
  });

  const text = (selector: string) =>
    page.evaluate<string>(`[...document.querySelectorAll(${JSON.stringify(selector)})].map((e) => e.innerText).join("\\n")`);

  it("shows nodes, their pods and Services, live", async () => {
    await eventually("the page is live", async () => ((await text("#connection")) === "live" ? true : undefined));
    const nodes = await eventually("both nodes", async () => {
      const t = await text("#nodes");
      return t.includes("node-1") && t.includes("node-2") && (t.match(/web-/g) ?? []).length === 2 ? t : undefined;
    });
    expect(nodes).toContain("Ready");
    expect(await text("#services")).toContain("default/web");
    await cluster.kubectl(["scale", "deployment/web", "--replicas=3"]);
    await eventually("the third pod appears by itself", async () =>
      ((await text("#nodes")).match(/web-/g) ?? []).length === 3 ? true : undefined,
    );
  });

  it("counts what crosses the wire", async () => {
    const before = await eventually("counters", async () => {
      const t = await text("#nodes .counters");
      return /\d+ frames out/.test(t) ? t : undefined;
    });
    for (let i = 0; i < 5; i++) await curl(url);
    await eventually("the counters moved", async () => ((await text("#nodes .counters")) !== before ? true : undefined));
  });

  it("follows a packet from the edge to a pod", async () => {
    await page.evaluate(
      `document.querySelector("#services button").closest("table") && [...document.querySelectorAll("#services tr")].find((r) => r.innerText.includes("default/web")).querySelector("button").click()`,
    );
    await page.evaluate(`document.querySelector("#trace-form").requestSubmit()`);
    await eventually("the path is drawn", async () => {
      await curl(url);
      const t = await text("#trace");
      return t.includes("edge") && /DNAT/.test(t) && /node-\d/.test(t) ? true : undefined;
    });
  });
});
