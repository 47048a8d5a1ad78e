// The node-agent process: configuration, wiring and signals. Killing it is a power cut; starting it again is a reboot.
import { ConfigError } from "@podwire/base";
import { Identity, runComponent } from "@podwire/bus";
import { FLAGS, type NodeAgentConfig } from "./config.ts";
import { NodeAgent } from "./node-agent.ts";

await runComponent({
  component: "node-agent",
  flags: FLAGS,
  argv: process.argv.slice(2),
  env: process.env,
  async start({ clock, random, log, bus, identity, stateDir }, flags) {
    const config = flags as NodeAgentConfig;
    const nodeName = config["node-name"] || Identity.nodeOf(identity.identity) || "";
    const address = config["node-ip"] || identity.underlay || "";
    const problems = [];
    if (nodeName === "") problems.push("--node-name is required: the identity is no node's");
    if (address === "") problems.push("--node-ip is required: the identity file has no underlay address");
    if (problems.length > 0) throw new ConfigError("node-agent", problems);
    const agent = new NodeAgent({ config, nodeName, address, stateDir, bus, clock, random, log });
    // An apiserver that is away must not keep the node from answering control requests.
    agent.start().catch((e) => log.error({ err: e }, "the node could not start"));
    return {
      health: () => agent.health(),
      counters: () => agent.counters(),
      control: (op, body) => agent.control(op, body),
      stop: () => agent.stop(),
    };
  },
});
