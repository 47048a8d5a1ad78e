// Frees images when they fill the disk, or nobody has used them for long (images/image_gc_manager.go).
import type { Clock } from "@podwire/base";
import type { EventRecorder } from "@podwire/client";
import type { NodeAgentConfig } from "../config.ts";
import type { ImagePuller } from "./image-puller.ts";
import { nodeRef } from "./node-status.ts";
import type { NodeStats } from "./stats/node-stats.ts";

export interface ImageCollection {
  config: NodeAgentConfig;
  nodeName: string;
  images: ImagePuller;
  stats: NodeStats;
  inUse: ReadonlySet<string>;
  events: EventRecorder;
  clock: Clock;
}

export function collectImages(o: ImageCollection): void {
  const { config, clock, nodeName, images, stats, inUse, events } = o;
  const n = stats.node();
  const used = n.imageBytes + stats.pods().reduce((sum, p) => sum + p.diskBytes, 0);
  if (config["image-maximum-gc-age"] > 0) images.expire(inUse, clock.nowMs() - config["image-maximum-gc-age"]);
  if (Math.round((used / n.diskCapacityBytes) * 100) < config["image-gc-high-threshold"]) return;
  const target = used - (n.diskCapacityBytes * config["image-gc-low-threshold"]) / 100;
  const freed = images.collect(inUse, target, clock.nowMs() - config["minimum-image-ttl-duration"]);
  if (freed >= target) return;
  const message = `Failed to garbage collect required amount of images. Attempted to free ${Math.round(target)} bytes, but only found ${freed} bytes eligible to free.`;
  events.event(nodeRef(nodeName), "Warning", "FreeDiskSpaceFailed", message);
}
