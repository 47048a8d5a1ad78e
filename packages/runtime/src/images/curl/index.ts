// curlimages/curl, and netshoot and dnsutils: curl, dig and the applets.

import { ipRoute2 } from "../../applets/ip.ts";
import { getent } from "../../applets/network.ts";
import { curl as curlProgram } from "../../tools/curl.ts";
import { dig } from "../../tools/dig.ts";
import { host } from "../../tools/host.ts";
import { ss } from "../../tools/ss.ts";
import { tcpdump } from "../../tools/tcpdump/index.ts";
import { busyboxFiles, GROUP, PASSWD } from "../busybox/index.ts";
import type { ImageFile, ImageSpec } from "../image.ts";

/** Network tools that distributions put beside busybox. */
export const NETWORK_TOOLS: readonly ImageFile[] = [
  { path: "/usr/bin/curl", program: curlProgram },
  { path: "/usr/bin/dig", program: dig },
  { path: "/usr/bin/getent", program: getent },
  { path: "/usr/bin/host", program: host },
  { path: "/sbin/ip", program: ipRoute2 },
  { path: "/usr/sbin/ss", program: ss },
];

const FILES: readonly ImageFile[] = [
  ...busyboxFiles(true),
  ...NETWORK_TOOLS,
  { path: "/etc/passwd", content: PASSWD },
  { path: "/etc/group", content: GROUP },
];

export const curl: ImageSpec = {
  repositories: ["curlimages/curl"],
  tags: ["*"],
  entrypoint: ["/entrypoint.sh"],
  cmd: ["curl"],
  user: "100",
  sizeBytes: 9_000_000,
  files: [
    ...FILES,
    { path: "/entrypoint.sh", mode: 0o755, content: '#!/bin/sh\ncase "$1" in -*|http*) set -- curl "$@";; esac\nexec "$@"\n' },
  ],
};

export const netshoot: ImageSpec = {
  repositories: ["nicolaka/netshoot", "alpine", "library/alpine", "debian", "library/debian", "ubuntu", "library/ubuntu"],
  tags: ["*"],
  cmd: ["sh"],
  sizeBytes: 60_000_000,
  files: [...FILES, { path: "/bin/bash", symlink: "/bin/sh" }, { path: "/usr/bin/tcpdump", program: tcpdump }],
};
