// The image catalogue: which references exist, and what stands in for those that do not.
// Invariant: resolving the same reference twice gives the same image and digest, on every node.
import { createHash } from "node:crypto";
import { agnhost } from "./agnhost/index.ts";
import { busybox } from "./busybox/index.ts";
import { client } from "./client/index.ts";
import { coredns } from "./coredns/index.ts";
import { curl, netshoot } from "./curl/index.ts";
import { echo } from "./echo/index.ts";
import { etcd } from "./etcd/index.ts";
import { gbFrontend } from "./gb-frontend/index.ts";
import { httpEcho } from "./http-echo/index.ts";
import { httpd } from "./httpd/index.ts";
import type { Image, ImageSpec } from "./image.ts";
import { jessieDnsutils } from "./jessie-dnsutils/index.ts";
import { mysql } from "./mysql/index.ts";
import { nginx } from "./nginx/index.ts";
import { node } from "./node/index.ts";
import { nonewprivs } from "./nonewprivs/index.ts";
import { pause } from "./pause/index.ts";
import { postgres } from "./postgres/index.ts";
import { gbRedisFollower, redis } from "./redis/index.ts";
import { type ImageReference, parseImageReference, referenceName } from "./reference.ts";
import { sampleApiserver } from "./sample-apiserver/index.ts";
import { whoami } from "./whoami/index.ts";
import { wordpress } from "./wordpress/index.ts";

/** Adding an image: a folder beside this file, and a line here. */
const IMAGES: readonly ImageSpec[] = [
  echo,
  client,
  pause,
  coredns,
  busybox,
  agnhost,
  httpd,
  nginx,
  whoami,
  httpEcho,
  curl,
  netshoot,
  jessieDnsutils,
  redis,
  etcd,
  sampleApiserver,
  nonewprivs,
  node,
  postgres,
  mysql,
  wordpress,
  gbFrontend,
  gbRedisFollower,
];

/** Names that the conformance suite needs to be absent, and registries that nobody may use. */
const ABSENT = [
  /^invalid\.registry\.k8s\.io\//,
  /:non-existent$/,
  /:nonexistent$/,
  /:404$/,
  /^(.*\/)?(foo|webserver):(non-existent|404)$/,
  /\.invalid(:\d+)?\//,
];

export type Resolution =
  | { kind: "image"; image: Image }
  /** The text is no reference: InvalidImageName. */
  | { kind: "invalid"; message: string }
  /** No such image: ErrImagePull, then ImagePullBackOff. */
  | { kind: "absent"; message: string };

export interface CatalogueOptions {
  /** Unknown images fail to pull instead of being stood in for by the echo workload. */
  strict: boolean;
}

export class ImageCatalogue {
  readonly #specs: readonly ImageSpec[];
  readonly #strict: boolean;
  readonly #resolved = new Map<string, Resolution>();
  constructor(o: CatalogueOptions, extra: readonly ImageSpec[] = []) {
    this.#specs = [...extra, ...IMAGES];
    this.#strict = o.strict;
  }

  resolve(reference: string): Resolution {
    const known = this.#resolved.get(reference);
    if (known) return known;
    const r = this.#resolve(reference);
    if (this.#resolved.size < MAX_RESOLVED) this.#resolved.set(reference, r);
    return r;
  }

  #resolve(text: string): Resolution {
    const ref = parseImageReference(text);
    if (ref === undefined)
      return {
        kind: "invalid",
        message: `Failed to apply default image tag "${text}": couldn't parse image name "${text}": invalid reference format`,
      };
    const name = referenceName(ref);
    const notFound = `failed to pull and unpack image "${name}": failed to resolve reference "${name}": ${name}: not found`;
    if (ABSENT.some((a) => a.test(name) || a.test(text))) return { kind: "absent", message: notFound };
    const spec = this.#find(ref);
    if (spec) return { kind: "image", image: { ...spec, reference: text, digest: digestOf(ref), standIn: false } };
    if (this.#strict) return { kind: "absent", message: notFound };
    return { kind: "image", image: { ...echo, reference: text, digest: digestOf(ref), standIn: true } };
  }

  #find(ref: ImageReference): ImageSpec | undefined {
    const short = ref.repository.replace(/^library\//, "");
    const last = short.replace(/^.*\//, "");
    const byName = (s: ImageSpec) => s.repositories.some((r) => r === short || r === ref.repository);
    const byLast = (s: ImageSpec) => s.repositories.some((r) => r === last || r.endsWith(`/${last}`));
    const tagged = (s: ImageSpec) => ref.tag === "" || s.tags.includes("*") || s.tags.includes(ref.tag);
    return (
      this.#specs.find((s) => byName(s) && tagged(s)) ?? this.#specs.find((s) => byLast(s) && tagged(s) && ref.registry !== "docker.io")
    );
  }
}

const MAX_RESOLVED = 10_000;

/** A digest that depends on the name only: there is no manifest to hash. */
function digestOf(ref: ImageReference): string {
  const hash =
    ref.digest !== ""
      ? ref.digest
      : `sha256:${createHash("sha256")
          .update(`podwire:${referenceName(ref)}`)
          .digest("hex")}`;
  return `${ref.registry}/${ref.repository}@${hash}`;
}
