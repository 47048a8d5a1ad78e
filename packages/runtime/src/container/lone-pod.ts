// A pod for tests: a network namespace of its own with nothing but loopback, a sandbox in it, and containers of the catalogue's images
// whose output is kept. It runs on the real clock.
import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { NetNamespace } from "@podwire/net";
import { ImageCatalogue } from "../images/catalogue.ts";
import type { NetStack } from "../net/net-stack.ts";
import type { Container, ContainerOptions } from "./container.ts";
import { createPodSandbox, type PodSandbox, type SandboxOptions } from "./sandbox.ts";

/** A container and all that it has written so far. */
export type HeardContainer = Container & { text: string };

export class LonePod {
  readonly netns: NetNamespace;
  readonly sandbox: PodSandbox;

  constructor(o: Partial<SandboxOptions> = {}) {
    const clock = systemClock;
    this.netns = new NetNamespace({ name: "t/p", process: "t", clock, random: seededRandom(1), log: silentLogger });
    const netns = this.netns as unknown as NetStack;
    const random = seededRandom(2);
    this.sandbox = createPodSandbox({ name: "p", namespace: "t", uid: "1", hostname: "p", netns, clock, random, log: silentLogger, ...o });
  }

  /** A container of an image that the catalogue must have; not started yet. */
  create(image: string, o: Partial<ContainerOptions> = {}): HeardContainer {
    const r = new ImageCatalogue({ strict: true }).resolve(image);
    if (r.kind !== "image") throw new Error(`${image}: ${r.kind}`);
    const c = this.sandbox.createContainer({ name: image, image: r.image, env: {}, mounts: [], ...o }) as HeardContainer;
    c.text = "";
    c.onOutput((_stream, bytes) => {
      c.text += Buffer.from(bytes).toString();
    });
    return c;
  }

  start(image: string, o: Partial<ContainerOptions> = {}): HeardContainer {
    const c = this.create(image, o);
    c.start();
    return c;
  }

  stop(): void {
    this.sandbox.stop();
    this.netns.close();
  }
}
