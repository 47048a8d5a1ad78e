// The podwire command: reads the command line, sets up signals, runs one command, ends with its exit code (0 ok, 1 failure, 2 usage,
// 3 unhealthy). Standard output is data; progress, hints and errors go to standard error.
import { join } from "node:path";
import { PodwireError, parseDurationMs, reasonOf, systemClock, systemRandom } from "@podwire/base";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { runDemo, showDemo } from "./commands/demo.ts";
import { down } from "./commands/down.ts";
import { explainScheduling } from "./commands/explain-scheduling.ts";
import { logs } from "./commands/logs.ts";
import { addNodes, changeNodes, listNodes } from "./commands/nodes.ts";
import { listProxies, PROXY_MODES, setProxyMode, showProxyRules } from "./commands/proxy.ts";
import { showClusters, showKubeconfig, showVersion } from "./commands/show.ts";
import { status } from "./commands/status.ts";
import { trace } from "./commands/trace.ts";
import { supervise, up } from "./commands/up.ts";
import { runContainer } from "./container/container.ts";
import { type Context, folderOf } from "./context.ts";
import { ExitCode, exitCodeOf } from "./errors.ts";
import { findInstallation } from "./installation.ts";
import { DEFAULT_CLUSTER } from "./state/cluster-folder.ts";
import { paint, systemTerminal } from "./terminal/terminal.ts";

/** A second Ctrl-C this long after the first means: now. Sooner it is the same one, passed on by a launcher. */
const IMPATIENT_AFTER_MS = 700;

function context(): Context {
  const installation = findInstallation(import.meta.url);
  const ending = new AbortController();
  let firstMs: number | undefined;
  const end = () => {
    const now = systemClock.monotonicMs();
    if (firstMs !== undefined && now - firstMs > IMPATIENT_AFTER_MS) process.exit(130); // The guardian ends what is left.
    firstMs ??= now;
    ending.abort();
  };
  for (const s of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(s, end);
  process.stdout.on("error", () => process.exit(0)); // A reader such as `head` has seen enough.
  return {
    terminal: systemTerminal(process.env),
    clock: systemClock,
    random: systemRandom(),
    installation,
    home: process.env["PODWIRE_HOME"] || join(installation.root, ".podwire"),
    env: process.env,
    signal: ending.signal,
  };
}

const integer = (min: number, max: number) => (text: string) => {
  const n = Number(text);
  if (!/^\d+$/.test(text) || n < min || n > max) throw new InvalidArgumentError(`write a whole number from ${min} to ${max}.`);
  return n;
};
const duration = (text: string) => {
  const ms = parseDurationMs(text);
  if (ms === undefined) throw new InvalidArgumentError("write 30s, 5m or 1h.");
  return ms;
};
const collect = (value: string, all: string[]) => [...all, value];
const output = () => new Option("-o, --output <format>", "json").choices(["json"]);

function program(c: Context): Command {
  const p = new Command("podwire").description("A Kubernetes cluster in user space").showHelpAfterError("(podwire --help)").exitOverride();
  const add = (usage: string, description: string) =>
    p
      .command(usage)
      .description(description)
      .exitOverride()
      .option("--name <cluster>", "the cluster's name", c.env["PODWIRE_CLUSTER"] || DEFAULT_CLUSTER);
  const withUp = (command: Command) =>
    command
      .option("--nodes <n>", "how many nodes (3, or as many as there were)", integer(0, 1000))
      .option("--api-port <port>", "HTTPS port of the API (6443 when free; 0 is any)", integer(0, 65535))
      .option("--dual-stack", "IPv4 and IPv6 for pods and Services", false)
      .option("--arg <component=--flag=value>", "pass a flag to a component; may be repeated", collect, [])
      .option("--without <components>", "do not start controller-manager, scheduler or both: others bring theirs (none: start all)")
      .option("--v <level>", "log level of the components", "info");

  withUp(add("up", "start a cluster, in the foreground until Ctrl-C"))
    .option("-d, --detach", "leave it running in the background", false)
    .option("--reset", "forget the cluster's state first", false)
    .action((o) => up(c, o));
  withUp(add("start", "start a cluster with the demo (npm start)"))
    .option("--reset", "forget the cluster's state first", false)
    .action((o) => up(c, { ...o, detach: false }, (api, progress) => showDemo(c, folderOf(c, o), api, progress)));
  withUp(p.command("supervise", { hidden: true }).exitOverride().option("--name <cluster>", "", DEFAULT_CLUSTER)).action((o) =>
    supervise(c, o),
  );
  p.command("container <role>", { hidden: true })
    .exitOverride()
    .allowUnknownOption()
    .allowExcessArguments()
    .action((role) =>
      runContainer(
        c,
        {
          name: c.env["PODWIRE_CLUSTER"] || DEFAULT_CLUSTER,
          slots: Number(c.env["PODWIRE_NODE_SLOTS"] || 32),
          natsUrl: c.env["PODWIRE_NATS_URL"] || "nats://nats:4222",
          server: c.env["PODWIRE_SERVER"] || "https://127.0.0.1:6443",
          kubeconfig: c.env["PODWIRE_KUBECONFIG"] || "/kube/kubeconfig",
        },
        role,
        process.argv.slice(process.argv.indexOf("container") + 2),
      ),
    );
  add("down", "stop a cluster; its state stays").action((o) => down(c, o));
  add("status", "components, nodes, addresses; exit code 3 when unhealthy")
    .option("--wait", "until it is healthy", false)
    .option("--timeout <duration>", "with --wait", duration, 120_000)
    .addOption(output())
    .action((o) => status(c, { ...o, timeoutMs: o.timeout }));

  const nodes = add("nodes", "list, add, remove, kill or restart nodes").addOption(output());
  // Options written before the subcommand land on `nodes`, those after it on the subcommand.
  const merged = (o: object, command: Command) => ({ ...nodes.opts(), ...o, name: nameOf(command) }) as any;
  const nameOf = (command: Command): string =>
    command.getOptionValueSource("name") === "cli" ? command.opts()["name"] : nodes.opts()["name"];
  const sub = (usage: string, description: string) =>
    nodes.command(usage).description(description).exitOverride().option("--name <cluster>", "the cluster's name", DEFAULT_CLUSTER);
  nodes.action((o) => listNodes(c, o));
  sub("list", "the nodes and their processes").action((o, cmd) => listNodes(c, merged(o, cmd)));
  sub("add [node]", "one more node, or several with --count")
    .option("--count <n>", "how many", integer(1, 100), 1)
    .action((node, o, cmd) => addNodes(c, merged(o, cmd), node));
  sub("rm <node...>", "stop nodes and delete their objects").action((names, o, cmd) => changeNodes(c, merged(o, cmd), "node-rm", names));
  sub("kill <node...>", "cut a node's power").action((names, o, cmd) => changeNodes(c, merged(o, cmd), "node-kill", names));
  sub("restart <node...>", "switch a node on again, or reboot it").action((names, o, cmd) =>
    changeNodes(c, merged(o, cmd), "node-restart", names),
  );

  const proxy = add("proxy", "how nodes translate Services: list, change the mode, show the rules").addOption(output());
  const ofProxy = (usage: string, description: string) =>
    proxy.command(usage).description(description).exitOverride().option("--name <cluster>", "the cluster's name");
  const proxyOptions = (o: object): any => ({ ...proxy.opts(), ...o });
  proxy.action((o) => listProxies(c, o));
  ofProxy("list", "each node's mode and how many Services it knows").action((o) => listProxies(c, proxyOptions(o)));
  ofProxy("mode <mode> [node...]", `switch live nodes, or all, to ${PROXY_MODES.join(", ")}`).action((mode, nodes, o) =>
    setProxyMode(c, proxyOptions(o), mode, nodes),
  );
  ofProxy("rules <node>", "as iptables-save, ipvsadm-save or nft list print them")
    .option("--ipv6", "those of IPv6", false)
    .action((node, o) => showProxyRules(c, proxyOptions(o), node));

  add("logs [component-regex]", "logs of the components, merged by time")
    .option("-f, --follow", "go on as lines are written", false)
    .option("--since <duration>", "only lines newer than this")
    .option("--tail <n>", "only the last n lines", integer(0, 1_000_000))
    .addOption(output())
    .action((pattern, o) => logs(c, o, pattern));
  add("kubeconfig", "print the cluster's kubeconfig")
    .option("--path", "print its path instead", false)
    .action((o) => showKubeconfig(c, o));
  add("trace [service]", "the path of one request, hop by hop")
    .option("-n, --namespace <namespace>", "of the Service and the pod", "default")
    .option("--from <pod>", "wait for a packet that this pod sends")
    .option("--src <address>", "source address")
    .option("--dst <address>", "destination address")
    .option("--port <port>", "destination port", integer(1, 65535))
    .option("--protocol <name>", "tcp, udp or icmp")
    .option("--count <n>", "how many packets to follow", integer(1, 1000), 1)
    .option("--all", "every packet of the connection, not only the first and its answer", false)
    .option("--timeout <duration>", "how long to wait", duration, 30_000)
    .addOption(output())
    .action((target, o) => trace(c, { ...o, timeoutMs: o.timeout }, target));
  add("explain-scheduling <pod>", "why a pod is on its node or on none: for each node what refused it, or the scores")
    .option("-n, --namespace <namespace>", "of the pod", "default")
    .addOption(output())
    .action((pod, o) => explainScheduling(c, o, pod));
  add("demo", "apply the demo to a running cluster and show it").action((o) => runDemo(c, o));
  add("clusters", "the clusters that have state here")
    .addOption(output())
    .action((o) => showClusters(c, o));
  p.command("version")
    .description("versions of podwire, the API and Node.js")
    .exitOverride()
    .addOption(output())
    .action((o) => showVersion(c, o));
  return p;
}

async function main(): Promise<number> {
  const c = context();
  // The launcher (bin/podwire.mjs) is gone, however it went. The supervisor in the background minds that only while it starts.
  if (process.argv[2] !== "supervise") process.on("disconnect", () => process.kill(process.pid, "SIGTERM"));
  process.channel?.unref();
  try {
    await program(c).parseAsync(process.argv);
    return ExitCode.ok;
  } catch (e) {
    if (e instanceof CommanderError) return e.exitCode === 0 ? ExitCode.ok : ExitCode.usage; // Commander has said it already.
    if (c.signal.aborted && (e as Error)?.name === "AbortError") return 130;
    c.terminal.err(`${paint(c.terminal.errColour, "red", "error:")} ${reasonOf(e)}`);
    if (e instanceof PodwireError && e.next) c.terminal.err(`try: ${e.next}`);
    if (!(e instanceof PodwireError) && e instanceof Error) c.terminal.err(e.stack ?? "");
    return exitCodeOf(e);
  }
}

// What a command left behind when it was cut short (a wait, a connection) must not keep the process; what it wrote must get out.
const code = await main();
process.stdout.write("", () => process.exit(code));
