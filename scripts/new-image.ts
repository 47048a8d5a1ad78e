// Makes the folder of a new image: node scripts/node.mjs scripts/new-image.ts NAME [PORT]. Invariant: nothing that exists is overwritten.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [name = "", portText = "8080"] = process.argv.slice(2);
const port = Number(portText);
if (!/^[a-z][a-z0-9-]*$/.test(name) || !Number.isInteger(port) || port < 1 || port > 65_535) {
  console.error("new-image: want a name of lower-case letters, digits and dashes, and a port: scripts/new-image.ts my-server 8080");
  process.exit(1);
}
const images = join(import.meta.dirname, "..", "packages", "runtime", "src", "images");
const dir = join(images, name);
if (existsSync(dir)) {
  console.error(`new-image: ${dir} is there already`);
  process.exit(1);
}
const id = name.replace(/-(.)/g, (_, c: string) => c.toUpperCase());
const constant = `export const ${id}: ImageSpec`;

mkdirSync(dir);
writeFileSync(
  join(dir, "index.ts"),
  `// ${name}: answers every request on port ${port} with its host name.
import type { Process } from "../../kernel/process.ts";
import { busyboxFiles, GROUP, PASSWD } from "../busybox/index.ts";
import type { ImageSpec } from "../image.ts";

const PORT = ${port};

async function main(p: Process): Promise<number> {
  p.net.serveHttp(p, { port: PORT }, (_req, res) => res.end(\`${name} on \${p.hostname}\\n\`));
  p.onSignal(15, () => p.terminate({ code: 0, signal: 0 }));
  await p.print(\`listening on \${PORT}\\n\`);
  await p.block(() => () => undefined);
  return 0;
}

${constant} = {
  repositories: ["${name}"],
  tags: ["*"],
  cmd: ["/${name}"],
  exposedPorts: [{ port: PORT, protocol: "TCP" }],
  sizeBytes: 1_000_000,
  files: [
    ...busyboxFiles(true),
    { path: "/etc/passwd", content: PASSWD },
    { path: "/etc/group", content: GROUP },
    { path: "/${name}", program: main },
  ],
};
`,
);
writeFileSync(
  join(dir, `${name}.test.ts`),
  `// ${name} in a pod of its own, asked by curl beside it.
import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { NetNamespace } from "@podwire/net";
import { expect, it } from "vitest";
import { createPodSandbox } from "../../container/sandbox.ts";
import { ImageCatalogue } from "../catalogue.ts";

it("answers on its port", async () => {
  const shared = { clock: systemClock, random: seededRandom(1), log: silentLogger };
  const netns = new NetNamespace({ name: "t/p", process: "t", ...shared });
  const pod = createPodSandbox({ name: "p", namespace: "t", uid: "1", hostname: "p", netns, ...shared });
  const start = (image: string, command?: string[]) => {
    const r = new ImageCatalogue({ strict: true }).resolve(image);
    if (r.kind !== "image") throw new Error(r.kind);
    const c = pod.createContainer({ name: image, image: r.image, env: {}, mounts: [], ...(command ? { command } : {}) });
    let text = "";
    c.onOutput((_stream, bytes) => {
      text += Buffer.from(bytes).toString();
    });
    c.start();
    return { c, text: () => text };
  };
  try {
    start("${name}");
    await new Promise((r) => setTimeout(r, 50));
    const curl = start("curlimages/curl", ["curl", "-s", "http://127.0.0.1:${port}/"]);
    await curl.c.wait();
    expect(curl.text()).toBe("${name} on p\\n");
  } finally {
    pod.stop();
    netns.close();
  }
});
`,
);
const catalogue = join(images, "catalogue.ts");
const text = readFileSync(catalogue, "utf8");
const imported = text.replace(/\nimport [^\n]*\/image\.ts";/, (line) => `\nimport { ${id} } from "./${name}/index.ts";${line}`);
writeFileSync(catalogue, imported.replace("\n];", `\n  ${id},\n];`));
console.log(`packages/runtime/src/images/${name}: edit index.ts, then npm test -- --unit ${name}`);
