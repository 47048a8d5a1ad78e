// Who may use which subject, generated from subjects.ts: each identity its own subjects and nothing else.
// Invariants: only the apiserver touches JetStream (every $JS.API subject is given by name: `$JS.API.CONSUMER.*.S.>` style
// patterns would also match CREATE and expose a whole stream); only the owner of an underlay address publishes packets
// from it and subscribes to packets for it; an identity's inbox is read by itself alone.
import { Identity, subjectsOf } from "./subjects.ts";

export interface SubjectRule {
  allow: string[];
  deny?: string[];
}

export interface Permissions {
  publish: SubjectRule;
  subscribe: SubjectRule;
  /** May answer on the reply subject of what it received: so many messages, for so long. */
  responses?: { max: number; expiresMs: number };
}

/**
 * Answers of up to 512 parts, within the time that a request may take. Not for the apiserver, which may publish to every
 * inbox: the server keeps a record of each message with a reply subject that it delivers to such a client, JetStream's
 * included, and past 4,096 of them goes through all for every message (10,000 objects: 10 s of the server's CPU, not 0.1).
 */
const RESPONSES = { max: 512, expiresMs: 60_000 };

/**
 * What `identity` may do. `underlay`: its addresses on the wire, when it has a network card. An identity of no known kind
 * (neither a component, `node:` nor `user:`) may do nothing.
 */
export function permissionsFor(identity: string, cluster: string, underlay?: string | readonly string[]): Permissions {
  const s = subjectsOf(cluster);
  const node = Identity.nodeOf(identity);
  const addresses = underlay === undefined ? [] : typeof underlay === "string" ? [underlay] : underlay;

  const inbox = `${s.inbox(identity)}.>`;
  const apiserverInbox = `${s.inbox(Identity.apiserver)}.>`;
  const publish: string[] = [];
  const subscribe: string[] = [inbox];

  // Every component calls the API as itself, watches, answers control requests, reports and obeys traces.
  const component = () => {
    publish.push(s.api(identity), s.apiStream(identity), apiserverInbox, s.tracePoint(identity));
    subscribe.push(s.control(identity), s.controlAll, s.traceArm);
  };
  const wire = () => {
    for (const a of addresses) {
      publish.push(s.wireFrom(a));
      subscribe.push(s.wireTo(a));
    }
  };

  switch (true) {
    case identity === Identity.apiserver:
      component();
      wire();
      publish.push(
        `${s.prefix}.inbox.>`,
        s.storeAll,
        s.storeWriters,
        `${s.prefix}.kubelet.*`,
        s.traceArm,
        `${s.prefix}.control.*`,
        s.controlAll,
      );
      publish.push(...jetStreamSubjects(s.storeStream));
      subscribe.push(s.apiAny, s.apiStreamAny, s.eventAll, s.storeWriters, s.tracePointAny);
      break;
    case identity === Identity.controllerManager:
    case identity === Identity.scheduler:
      component();
      subscribe.push(s.eventAll);
      break;
    case identity === Identity.edge:
    case identity === Identity.dashboard:
      component();
      wire();
      subscribe.push(s.eventAll);
      if (identity === Identity.edge) {
        publish.push(s.volumeAny);
        subscribe.push(s.storageAny);
      }
      if (identity === Identity.dashboard) {
        publish.push(s.traceArm, `${s.prefix}.control.*`, s.controlAll);
        subscribe.push(s.tracePointAny);
      }
      break;
    case identity === Identity.supervisor:
    case identity.startsWith("user:"):
      publish.push(s.api(identity), s.apiStream(identity), apiserverInbox, s.traceArm, `${s.prefix}.control.*`, s.controlAll);
      subscribe.push(s.eventAll, s.tracePointAny);
      break;
    case node !== undefined:
      component();
      wire();
      publish.push(s.storage(identity));
      subscribe.push(s.kubelet(node as string), s.volume(node as string), ...nodeEvents(s));
      break;
    default:
      return { publish: { allow: [], deny: [">"] }, subscribe: { allow: [], deny: [">"] } };
  }
  const rules = { publish: { allow: publish }, subscribe: { allow: subscribe } };
  return identity === Identity.apiserver ? rules : { ...rules, responses: RESPONSES };
}

/** What kube-proxy and the kubelet of a node follow by broadcast; a node's pods, secrets and config maps come by its watch. */
function nodeEvents(s: ReturnType<typeof subjectsOf>): string[] {
  return [
    s.eventPrefix("", "services"),
    s.eventPrefix("discovery.k8s.io", "endpointslices"),
    s.eventPrefix("", "nodes"),
    s.eventPrefix("", "namespaces"),
    s.eventPrefix("networking.k8s.io", "networkpolicies"),
  ];
}

/** The JetStream calls of the store's driver, by name. */
function jetStreamSubjects(stream: string): string[] {
  const api = "$JS.API";
  return [
    `${api}.INFO`,
    `${api}.STREAM.INFO.${stream}`,
    `${api}.STREAM.CREATE.${stream}`,
    `${api}.STREAM.UPDATE.${stream}`,
    `${api}.STREAM.PURGE.${stream}`,
    `${api}.STREAM.MSG.GET.${stream}`,
    `${api}.DIRECT.GET.${stream}`,
    `${api}.CONSUMER.CREATE.${stream}`,
    `${api}.CONSUMER.CREATE.${stream}.>`,
    `${api}.CONSUMER.INFO.${stream}.*`,
    `${api}.CONSUMER.DELETE.${stream}.*`,
    `${api}.CONSUMER.MSG.NEXT.${stream}.*`,
    `$JS.ACK.${stream}.>`,
    `$JS.FC.${stream}.>`,
  ];
}
