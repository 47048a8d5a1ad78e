// Sets of completion indexes as a Job's status writes them: "1,3-5,7". Sorted, without duplicates.

export const INDEX_ANNOTATION = "batch.kubernetes.io/job-completion-index";

export function parseIndexes(text: string | undefined, completions: number): Set<number> {
  const out = new Set<number>();
  for (const part of (text ?? "").split(",")) {
    const m = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (!m) continue;
    const last = Math.min(Number(m[2] ?? m[1]), completions - 1);
    for (let i = Number(m[1]); i <= last; i++) out.add(i);
  }
  return out;
}

export function formatIndexes(indexes: ReadonlySet<number>): string {
  const sorted = [...indexes].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let i = 0; i < sorted.length; ) {
    let j = i;
    while (j + 1 < sorted.length && sorted[j + 1] === (sorted[j] as number) + 1) j++;
    const [a, b] = [sorted[i] as number, sorted[j] as number];
    // Kubernetes writes two neighbours with a comma.
    parts.push(a === b ? `${a}` : b === a + 1 ? `${a},${b}` : `${a}-${b}`);
    i = j + 1;
  }
  return parts.join(",");
}

/** The index of a pod, or -1. */
export function indexOfPod(pod: { metadata: { annotations?: Record<string, string> } }): number {
  const text = pod.metadata.annotations?.[INDEX_ANNOTATION];
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : -1;
}
