// registry.k8s.io/e2e-test-images/nonewprivs: one set-user-ID program of root that tells as whom it runs.

import type { Process } from "../../kernel/process.ts";
import { busyboxFiles, GROUP, PASSWD } from "../busybox/index.ts";
import type { ImageSpec } from "../image.ts";

async function nnp(p: Process): Promise<number> {
  await p.print(`Effective uid: ${p.identity.uid}\n`);
  return 0;
}

export const nonewprivs: ImageSpec = {
  repositories: ["e2e-test-images/nonewprivs", "nonewprivs"],
  tags: ["*"],
  entrypoint: ["/nnp"],
  sizeBytes: 3_000_000,
  files: [
    ...busyboxFiles(true),
    { path: "/etc/passwd", content: PASSWD },
    { path: "/etc/group", content: GROUP },
    { path: "/nnp", mode: 0o4755, program: nnp },
  ],
};
