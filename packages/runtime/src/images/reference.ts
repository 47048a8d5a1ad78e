// Image references as containerd and the kubelet read them: default registry docker.io, default repository library/, default
// tag latest (github.com/distribution/reference, the grammar).

export interface ImageReference {
  registry: string;
  /** Without the registry: "library/busybox". */
  repository: string;
  /** "" when only a digest is given. */
  tag: string;
  digest: string;
}

const PART = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const GRAMMAR = new RegExp(
  `^(?:((?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*(?::[0-9]+)?)/)?(${PART}(?:/${PART})*)(?::([\\w][\\w.-]{0,127}))?(?:@([A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?$`,
);

/** undefined when the text is no reference (the kubelet says InvalidImageName). */
export function parseImageReference(text: string): ImageReference | undefined {
  const slash = text.indexOf("/");
  const first = slash < 0 ? "" : text.slice(0, slash);
  const hasRegistry = first.includes(".") || first.includes(":") || first === "localhost" || first !== first.toLowerCase();
  const full = hasRegistry ? text : slash < 0 ? `docker.io/library/${text}` : `docker.io/${text}`;
  const m = GRAMMAR.exec(full);
  if (!m) return undefined;
  const digest = m[4] ?? "";
  return { registry: m[1] as string, repository: m[2] as string, tag: m[3] ?? (digest === "" ? "latest" : ""), digest };
}

/** "docker.io/library/busybox:latest". */
export function referenceName(r: ImageReference): string {
  return `${r.registry}/${r.repository}${r.tag === "" ? "" : `:${r.tag}`}${r.digest === "" ? "" : `@${r.digest}`}`;
}
