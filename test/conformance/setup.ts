// The one cluster that all conformance files share: three node processes, started before the first file and stopped after the last.
// With PODWIRE_CONFORMANCE_KUBECONFIG set the tests use that cluster instead (one that already runs, also a foreign one).
import type { TestProject } from "vitest/node";
import { startCluster } from "../cluster.ts";

declare module "vitest" {
  export interface ProvidedContext {
    kubeconfig: string;
    /** PODWIRE_HOME of the cluster; empty for a foreign one. */
    home: string;
  }
}

export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const given = process.env["PODWIRE_CONFORMANCE_KUBECONFIG"];
  if (given) {
    project.provide("kubeconfig", given);
    project.provide("home", "");
    return undefined;
  }
  const cluster = await startCluster({ nodes: 3, name: "conformance" });
  project.provide("kubeconfig", cluster.kubeconfig);
  project.provide("home", cluster.home);
  return () => cluster.stop();
}
