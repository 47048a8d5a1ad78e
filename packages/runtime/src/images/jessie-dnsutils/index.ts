// registry.k8s.io/e2e-test-images/jessie-dnsutils: dig, getent and a shell, for the DNS tests of the e2e suite.

import { busyboxFiles, GROUP, PASSWD } from "../busybox/index.ts";
import { NETWORK_TOOLS } from "../curl/index.ts";
import type { ImageSpec } from "../image.ts";

export const jessieDnsutils: ImageSpec = {
  repositories: ["e2e-test-images/jessie-dnsutils", "dnsutils"],
  tags: ["*"],
  cmd: ["sleep", "3600"],
  sizeBytes: 112_000_000,
  files: [...busyboxFiles(true), ...NETWORK_TOOLS, { path: "/etc/passwd", content: PASSWD }, { path: "/etc/group", content: GROUP }],
};
