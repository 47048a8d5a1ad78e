// registry.k8s.io/pause: sleeps until it is told to stop; exits 0 on TERM and INT.
import type { Process } from "../../kernel/process.ts";
import type { ImageSpec } from "../image.ts";

export async function pauseMain(p: Process): Promise<number> {
  if (p.argv[1] === "-v") {
    await p.print("pause.c 3.10.1\n");
    return 0;
  }
  const stop = () => p.terminate({ code: 0, signal: 0 });
  p.onSignal(15, stop);
  p.onSignal(2, stop);
  p.onSignal(17, () => {
    // PID 1 of a shared namespace reaps orphans.
    for (const c of [...p.children]) if (c.ended) p.namespace.reap(c);
  });
  await p.block(() => () => undefined);
  return 0;
}

export const pause: ImageSpec = {
  repositories: ["pause"],
  tags: ["*"],
  entrypoint: ["/pause"],
  user: "65535:65535",
  sizeBytes: 320_448,
  files: [{ path: "/pause", program: pauseMain }],
};
