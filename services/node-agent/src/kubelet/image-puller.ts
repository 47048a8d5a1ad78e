// Pulling images: policy, simulated time, back-off and the kubelet's events and waiting reasons (images/image_manager.go).
// Invariant: an image is "present" on this node from the end of its first pull on; pulls of one node run one after another
// unless the time of a pull is zero.
import type { Container as ContainerSpec, Pod } from "@podwire/api";
import type { Clock } from "@podwire/base";
import type { EventRecorder } from "@podwire/client";
import type { Image, ImageCatalogue } from "@podwire/runtime";
import { type BackOff, inBackOff, nextBackOff } from "./back-off.ts";

export type PullResult = { image: Image } | { reason: string; message: string; retryMs: number };

export class ImagePuller {
  readonly #catalogue: ImageCatalogue;
  readonly #clock: Clock;
  readonly #events: EventRecorder;
  readonly #pullMs: number;
  readonly #present = new Map<string, { image: Image; pulledMs: number; usedMs: number }>();
  readonly #backOffs = new Map<string, BackOff & { endedMs: number; error: string }>();

  constructor(o: { catalogue: ImageCatalogue; clock: Clock; events: EventRecorder; pullMs: number }) {
    this.#catalogue = o.catalogue;
    this.#clock = o.clock;
    this.#events = o.events;
    this.#pullMs = o.pullMs;
  }

  /** What node.status.images lists: one entry an image, with all its names. */
  images(): { names: string[]; sizeBytes: number }[] {
    const byDigest = new Map<string, { names: string[]; sizeBytes: number }>();
    for (const { image } of this.#present.values()) {
      const known = byDigest.get(image.digest);
      if (known) known.names.push(image.reference);
      else byDigest.set(image.digest, { names: [image.digest, image.reference], sizeBytes: image.sizeBytes });
    }
    return [...byDigest.values()].sort((a, b) => b.sizeBytes - a.sizeBytes);
  }

  /** Removes images that nobody uses, the longest unused first, until `bytes` are free; none pulled after `pulledBeforeMs`. */
  collect(inUse: ReadonlySet<string>, bytes: number, pulledBeforeMs: number): number {
    const candidates = [...this.#present].filter(([ref, i]) => !inUse.has(ref) && i.pulledMs <= pulledBeforeMs);
    let freed = 0;
    for (const [ref, i] of candidates.sort(([, a], [, b]) => a.usedMs - b.usedMs || a.pulledMs - b.pulledMs)) {
      if (freed >= bytes) break;
      this.#present.delete(ref);
      freed += i.image.sizeBytes;
    }
    return freed;
  }

  /** Removes images that nobody has used since. */
  expire(inUse: ReadonlySet<string>, usedBeforeMs: number): void {
    for (const [ref, i] of [...this.#present]) if (!inUse.has(ref) && i.usedMs < usedBeforeMs) this.#present.delete(ref);
  }

  async ensure(pod: Pod, spec: ContainerSpec, fieldPath: string): Promise<PullResult> {
    const reference = spec.image ?? "";
    const policy = spec.imagePullPolicy ?? (/:latest$|^[^:@]*$/.test(reference.replace(/^[^/]*:\d+\//, "")) ? "Always" : "IfNotPresent");
    const event = (type: "Normal" | "Warning", reason: string, message: string) =>
      this.#events.event(podRef(pod), type, reason, message, { fieldPath });
    const held = this.#present.get(reference);
    if (held) held.usedMs = this.#clock.nowMs();
    const present = held?.image;
    if (present && policy !== "Always") {
      event("Normal", "Pulled", `Container image "${reference}" already present on machine`);
      return { image: present };
    }
    if (policy === "Never") {
      const message = `Container image "${reference}" is not present with pull policy of Never`;
      event("Warning", "ErrImageNeverPull", message);
      event("Warning", "Failed", "Error: ErrImageNeverPull");
      return { reason: "ErrImageNeverPull", message, retryMs: 10_000 };
    }
    const resolution = this.#catalogue.resolve(reference);
    if (resolution.kind === "invalid") {
      event("Warning", "InspectFailed", resolution.message);
      event("Warning", "Failed", "Error: InvalidImageName");
      return { reason: "InvalidImageName", message: resolution.message, retryMs: 10_000 };
    }
    const key = `${pod.metadata!.uid}_${reference}`;
    const now = this.#clock.nowMs();
    const backOff = this.#backOffs.get(key);
    if (backOff && inBackOff(backOff, backOff.endedMs, now)) {
      const message = `Back-off pulling image "${reference}": ErrImagePull: ${backOff.error}`;
      event("Normal", "BackOff", `Back-off pulling image "${reference}"`);
      event("Warning", "Failed", "Error: ImagePullBackOff");
      return { reason: "ImagePullBackOff", message, retryMs: Math.max(1000, backOff.endedMs + backOff.delayMs - now) };
    }
    event("Normal", "Pulling", `Pulling image "${reference}"`);
    const started = this.#clock.monotonicMs();
    if (this.#pullMs > 0 && !present) await this.#clock.sleep(this.#pullMs);
    if (resolution.kind === "absent") {
      const ended = this.#clock.nowMs();
      const next = { ...nextBackOff(backOff, ended, ended), endedMs: ended, error: resolution.message };
      this.#backOffs.set(key, next);
      event("Warning", "Failed", `Failed to pull image "${reference}": ${resolution.message}`);
      event("Warning", "Failed", "Error: ErrImagePull");
      return { reason: "ErrImagePull", message: resolution.message, retryMs: 1000 };
    }
    this.#backOffs.delete(key);
    const tookMs = Math.round(this.#clock.monotonicMs() - started);
    const took = tookMs < 1000 ? `${tookMs}ms` : `${(tookMs / 1000).toFixed(3).replace(/0+$/, "").replace(/\.$/, "")}s`;
    event(
      "Normal",
      "Pulled",
      `Successfully pulled image "${reference}" in ${took} (${took} including waiting). Image size: ${resolution.image.sizeBytes} bytes.`,
    );
    if (resolution.image.standIn)
      event(
        "Warning",
        "ImageStandIn",
        `Image "${reference}" is not in the catalogue: the echo workload answers on the container's declared ports instead`,
      );
    const pulledMs = this.#clock.nowMs();
    this.#present.set(reference, { image: resolution.image, pulledMs, usedMs: pulledMs });
    return { image: resolution.image };
  }

  forget(uid: string): void {
    for (const k of [...this.#backOffs.keys()]) if (k.startsWith(`${uid}_`)) this.#backOffs.delete(k);
  }
}

/** The object of a pod's events. */
export function podRef(pod: Pod): any {
  return { apiVersion: "v1", kind: "Pod", ...pod };
}
