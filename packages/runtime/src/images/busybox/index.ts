// busybox: the shell and the applets in /bin. CMD sh, which ends at once without standard input, as Jobs rely on.
import { APPLETS, busyboxMain } from "../../applets/index.ts";
import type { ImageFile, ImageSpec } from "../image.ts";

const USR_BIN = new Set([
  "[",
  "[[",
  "basename",
  "clear",
  "cmp",
  "cut",
  "dirname",
  "du",
  "env",
  "expand",
  "expr",
  "find",
  "fold",
  "free",
  "head",
  "hexdump",
  "id",
  "killall",
  "md5sum",
  "mkfifo",
  "nc",
  "nl",
  "nohup",
  "nproc",
  "nslookup",
  "od",
  "paste",
  "pgrep",
  "printf",
  "realpath",
  "seq",
  "sha1sum",
  "sha256sum",
  "sha512sum",
  "sort",
  "tac",
  "tail",
  "tee",
  "test",
  "timeout",
  "top",
  "tr",
  "traceroute",
  "traceroute6",
  "truncate",
  "tty",
  "uniq",
  "uptime",
  "wc",
  "wget",
  "which",
  "whoami",
  "xargs",
  "xxd",
  "yes",
]);

export const PASSWD =
  "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nbin:x:2:2:bin:/bin:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n";
export const GROUP = "root:x:0:\ndaemon:x:1:\nbin:x:2:\nnogroup:x:65534:\n";

/** Applets as files; with `usr` where a distribution has them, else all in /bin. */
export function busyboxFiles(usr: boolean): ImageFile[] {
  const out: ImageFile[] = [{ path: "/bin/busybox", program: busyboxMain }];
  for (const [name, program] of Object.entries(APPLETS))
    out.push({ path: `${usr && USR_BIN.has(name) ? "/usr/bin" : "/bin"}/${name}`, program });
  return out;
}

export const busybox: ImageSpec = {
  repositories: ["busybox", "library/busybox", "e2e-test-images/busybox"],
  tags: ["*"],
  cmd: ["sh"],
  sizeBytes: 4_261_574,
  files: [...busyboxFiles(false), { path: "/etc/passwd", content: PASSWD }, { path: "/etc/group", content: GROUP }],
};
