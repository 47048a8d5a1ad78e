// ImageLocality: prefers nodes that already have the pod's images, large ones above all; an image that few nodes have counts
// less, so that pods do not heap up on the one node that pulled it.
import type { Snapshot } from "../framework/cache.ts";
import { MAX_SCORE, type Plugin } from "../framework/plugin.ts";

const MB = 1024 * 1024;
const MIN_BYTES = 23 * MB;
const MAX_BYTES_PER_IMAGE = 1000 * MB;

export const imageLocality: Plugin = {
  name: "ImageLocality",
  preScore: (c) => (c.pod.images.every((i) => c.snapshot.nodesWithImage(normal(i)) === 0) ? "skip" : undefined),
  score(c, node) {
    let sum = 0;
    for (const image of c.pod.images) {
      const name = normal(image);
      const size = node.images.get(name);
      if (size !== undefined) sum += spreadSize(c.snapshot, name, size);
    }
    const max = MAX_BYTES_PER_IMAGE * c.pod.images.length;
    const clamped = Math.min(max, Math.max(MIN_BYTES, sum));
    return Math.trunc((MAX_SCORE * (clamped - MIN_BYTES)) / (max - MIN_BYTES));
  },
};

function spreadSize(s: Snapshot, name: string, size: number): number {
  return Math.trunc(size * (s.nodesWithImage(name) / s.nodes.length));
}

/** Nodes report images with a tag; a pod may leave ":latest" out. */
function normal(image: string): string {
  return image.lastIndexOf(":") <= image.lastIndexOf("/") ? `${image}:latest` : image;
}
