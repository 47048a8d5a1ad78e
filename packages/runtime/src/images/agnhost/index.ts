// registry.k8s.io/e2e-test-images/agnhost: the program that Kubernetes' own tests put into their pods. One binary, many subcommands;
// what each prints and answers is compared with recordings of the real one (test/vectors/agnhost).
import type { Process } from "../../kernel/process.ts";
import { busyboxFiles, GROUP, PASSWD } from "../busybox/index.ts";
import { NETWORK_TOOLS } from "../curl/index.ts";
import type { ImageSpec } from "../image.ts";
import { inclusterclient, issuerDiscovery } from "./cluster-clients.ts";
import { connect } from "./connect.ts";
import { crdConversionWebhook } from "./crd-conversion-webhook.ts";
import { GOROUTINE, GoPanic, HelpRequest, parseFlags, UsageError } from "./go.ts";
import { grpcHealthChecking } from "./grpc-health-checking.ts";
import { guestbook } from "./guestbook.ts";
import { resourceConsumer, resourceConsumerController, stress } from "./load.ts";
import { LOCALHOST_CERT, LOCALHOST_KEY } from "./localhost-cert.ts";
import { mounttest } from "./mounttest.ts";
import { netexec } from "./netexec.ts";
import { nettest } from "./nettest.ts";
import { net, noSnatTest, portForwardTester } from "./network-testers.ts";
import { dnsServerList, dnsSuffix, entrypointTester, etcHosts, logsGenerator, pause } from "./one-shot.ts";
import { auditProxy, fakeGitserver, liveness, porter, serveHostname, tcpReset } from "./small-servers.ts";
import { webhook } from "./webhook.ts";
import { testWebserver } from "./webserver.ts";

type Subcommand = (p: Process, argv: readonly string[]) => Promise<number>;

const SUBCOMMANDS: { [name: string]: Subcommand } = {
  "audit-proxy": auditProxy,
  connect,
  "crd-conversion-webhook": crdConversionWebhook,
  "dns-server-list": dnsServerList,
  "dns-suffix": dnsSuffix,
  "entrypoint-tester": entrypointTester,
  "etc-hosts": etcHosts,
  "fake-gitserver": fakeGitserver,
  "grpc-health-checking": grpcHealthChecking,
  guestbook,
  inclusterclient,
  liveness,
  "logs-generator": logsGenerator,
  mounttest,
  net,
  netexec,
  nettest,
  "no-snat-test": noSnatTest,
  pause,
  "port-forward-tester": portForwardTester,
  porter,
  "resource-consumer": resourceConsumer,
  "resource-consumer-controller": resourceConsumerController,
  "serve-hostname": serveHostname,
  stress,
  "tcp-reset": tcpReset,
  "test-service-account-issuer-discovery": issuerDiscovery,
  "test-webserver": testWebserver,
  webhook,
};

export async function agnhostMain(p: Process): Promise<number> {
  const words = p.argv.slice(1);
  try {
    // Flags of the root may stand before the subcommand.
    const at = words.findIndex((w, i) => !w.startsWith("-") && words[i - 1] !== "-v");
    if (words.includes("--version") && at < 0) {
      await p.print("app version development\n");
      return 0;
    }
    const name = at < 0 ? undefined : words[at];
    const before = at < 0 ? words : words.slice(0, at);
    parseFlags(before, {});
    if (name === undefined || name === "help") return await listing(p, name === "help" ? words[at + 1] : undefined);
    const run = SUBCOMMANDS[name];
    if (run) return await run(p, words.slice(at + 1));
    throw new UsageError(`unknown command "${name}" for "app"`);
  } catch (e) {
    if (e instanceof HelpRequest) return listing(p, undefined);
    if (e instanceof GoPanic) {
      await p.printError(`panic: ${e.message}\n\n${GOROUTINE}\n`);
      return 2;
    }
    if (!(e instanceof UsageError)) throw e;
    await p.printError(`Error: ${e.message}\n`);
    return 1;
  }
}

/** The names; the real program's prose about each is not carried over. */
async function listing(p: Process, topic: string | undefined): Promise<number> {
  if (topic !== undefined && !SUBCOMMANDS[topic]) {
    await p.printError(`Unknown help topic [\`${topic}\`]\n`);
    return 1;
  }
  await p.print(
    `Usage:\n  app [command]\n\nAvailable Commands:\n${Object.keys(SUBCOMMANDS)
      .map((n) => `  ${n}\n`)
      .join("")}`,
  );
  return 0;
}

export const agnhost: ImageSpec = {
  repositories: ["e2e-test-images/agnhost", "agnhost"],
  tags: ["*"],
  entrypoint: ["/agnhost"],
  cmd: ["pause"],
  exposedPorts: [
    { port: 80, protocol: "TCP" },
    { port: 8080, protocol: "TCP" },
    { port: 8081, protocol: "UDP" },
    { port: 9376, protocol: "TCP" },
    { port: 5000, protocol: "TCP" },
  ],
  sizeBytes: 52_000_000,
  files: [
    ...busyboxFiles(true),
    ...NETWORK_TOOLS,
    { path: "/bin/bash", symlink: "/bin/sh" },
    { path: "/etc/passwd", content: PASSWD },
    { path: "/etc/group", content: GROUP },
    { path: "/agnhost", program: agnhostMain },
    { path: "/agnhost-2", symlink: "/agnhost" },
    { path: "/localhost.crt", content: LOCALHOST_CERT },
    { path: "/localhost.key", content: LOCALHOST_KEY },
    { path: "/uploads", dir: true },
  ],
};
