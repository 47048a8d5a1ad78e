// What an image is: files, an entry point and a configuration, as an OCI image has them. Each image is a folder beside this
// file; its index.ts exports one ImageSpec (or several tags of it) and `catalogue.ts` lists them.
import type { Program } from "../kernel/process.ts";

export interface ImageFile {
  /** Absolute path. */
  path: string;
  /** Default: 0o755 for programs and directories, 0o644 else. */
  mode?: number;
  uid?: number;
  gid?: number;
  content?: string | Uint8Array;
  /** Runs when the file is executed. */
  program?: Program;
  symlink?: string;
  dir?: boolean;
}

export interface ImageSpec {
  /** Repository names without a registry: "podwire/echo", "busybox", "e2e-test-images/agnhost". The first is the main one. */
  repositories: string[];
  /** Tags that exist; "*" is any. */
  tags: string[];
  entrypoint?: string[];
  cmd?: string[];
  env?: Record<string, string>;
  /** "uid", "uid:gid", "name". */
  user?: string;
  workingDir?: string;
  exposedPorts?: { port: number; protocol: "TCP" | "UDP" }[];
  labels?: Record<string, string>;
  stopSignal?: string;
  /** As a node's status.images shows it. */
  sizeBytes: number;
  files: readonly ImageFile[];
}

export interface Image extends ImageSpec {
  /** The reference that was asked for. */
  reference: string;
  /** "docker.io/library/busybox@sha256:..." */
  digest: string;
  /** True for the echo workload that stands in for an image that the catalogue does not have. */
  standIn: boolean;
}
