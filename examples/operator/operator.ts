// An operator on the public kit (@podwire/client): keeps a Deployment and a Service for every Greeting, reports in its status, records
// events, and says goodbye by a finalizer. Runs anywhere with a kubeconfig, and as a pod with its ServiceAccount:
//   node scripts/node.mjs examples/operator/operator.ts --kubeconfig=$KUBECONFIG
import { type Logger, systemClock, systemRandom } from "@podwire/base";
import {
  credentialsOfKubeconfig,
  enqueueOn,
  eventRecorder,
  httpsClient,
  InformerSet,
  inClusterCredentials,
  isAlreadyExists,
  isNotFound,
  type KubeObject,
  objectKey,
  Resources,
  runController,
  splitKey,
  workQueue,
} from "@podwire/client";
import { deploymentOf, FINALIZER, GREETINGS, patchFor, serviceOf } from "./plan.ts";

const clock = systemClock;
const random = systemRandom();
const say =
  (level: string) =>
  (fields: object, msg?: string): void =>
    console.log(JSON.stringify({ level, ...fields, msg }));
const quiet = () => {};
const log: Logger = {
  trace: quiet,
  debug: quiet,
  info: say("info"),
  warn: say("warn"),
  error: say("error"),
  fatal: say("fatal"),
  child: () => log,
};

const path = process.argv.find((a) => a.startsWith("--kubeconfig="))?.slice("--kubeconfig=".length);
const credentials = path === undefined ? inClusterCredentials(process.env) : credentialsOfKubeconfig(path);
const client = httpsClient({ ...credentials, clock, fieldManager: "greeting-operator", userAgent: "greeting-operator" });
const informers = new InformerSet({ client, bus: undefined, clock, random, log });
const greetings = informers.of(GREETINGS);
const deployments = informers.of(Resources.deployments);
const recorder = eventRecorder({ client, clock, random, log, component: "greeting-operator" });

const queue = workQueue({ clock });
enqueueOn(greetings, queue, objectKey);
// A Deployment has its Greeting's name: whatever happens to it, the Greeting is looked at.
enqueueOn(deployments, queue, (d) => (d.metadata.ownerReferences?.[0]?.kind === GREETINGS.kind ? objectKey(d) : undefined));

const controller = runController({ name: "greeting", clock, log, queue, informers: [greetings, deployments], reconcile: settle });

/** A Greeting that went while it was looked at needs nothing more. */
async function settle(key: string): Promise<undefined> {
  try {
    await reconcile(key);
  } catch (e) {
    if (!isNotFound(e)) throw e;
  }
}

async function reconcile(key: string): Promise<undefined> {
  const { namespace, name } = splitKey(key);
  const greeting = greetings.lister.get(namespace, name);
  if (!greeting) return;
  const finalizers = greeting.metadata.finalizers ?? [];
  const { uid, resourceVersion } = greeting.metadata;
  if (greeting.metadata.deletionTimestamp) {
    if (!finalizers.includes(FINALIZER)) return;
    recorder.event(greeting, "Normal", "Farewell", `Goodbye from ${name}`);
    const left = finalizers.filter((f) => f !== FINALIZER);
    await client.patch(GREETINGS, namespace, name, "merge", { metadata: { uid, resourceVersion, finalizers: left } });
    return; // What it owns is the garbage collector's.
  }
  if (!finalizers.includes(FINALIZER)) {
    await client.patch(GREETINGS, namespace, name, "merge", { metadata: { uid, resourceVersion, finalizers: [...finalizers, FINALIZER] } });
    return; // The change brings it back here.
  }
  const wanted = deploymentOf(greeting);
  const existing = deployments.lister.get(namespace, name);
  if (!existing) {
    await ensure(wanted, Resources.deployments);
    await ensure(serviceOf(greeting), Resources.services);
    recorder.event(greeting, "Normal", "Created", `Created Deployment ${name}`);
    return;
  }
  const patch = patchFor(existing, wanted);
  if (patch) await client.patch(Resources.deployments, namespace, name, "merge", patch);
  const status = { readyReplicas: existing["status"]?.readyReplicas ?? 0, observedGeneration: greeting.metadata.generation };
  if (JSON.stringify(greeting["status"]) !== JSON.stringify(status))
    await client.patch(GREETINGS, namespace, name, "merge", { status }, { subresource: "status" });
}

async function ensure(object: KubeObject, ref: (typeof Resources)[keyof typeof Resources]): Promise<void> {
  try {
    await client.create(ref, object);
  } catch (e) {
    if (!isAlreadyExists(e)) throw e;
  }
}

async function main(): Promise<void> {
  informers.start().catch((e) => log.error({ reason: String(e) }, "the caches cannot be filled"));
  await controller.start();
  log.info({ greetings: greetings.lister.list().length }, "the operator runs");
}

void main();
