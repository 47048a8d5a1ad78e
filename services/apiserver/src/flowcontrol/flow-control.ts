// API priority and fairness: requests are classified by FlowSchemas into priority levels, each with seats and queues of its own; who finds
// no seat waits its turn or gets 429 (apiserver/pkg/util/flowcontrol, KEP-1040). With --enable-priority-and-fairness=false two plain
// limits stand in. Invariants: system:masters' own traffic is never held up; a request that needs no queue costs no promise.
import { type KubeObject, type ResourceInfo, registry, updateManaged } from "@podwire/api";
import { reasonOf, type Timer } from "@podwire/base";
import { FLOW_SCHEMAS, PRIORITY_LEVELS } from "../bootstrap/generated/tables.ts";
import type { Api, ApiResponse, User } from "../call.ts";
import type { RequestInfo } from "../request/request-info.ts";
import { textResponse } from "../response.ts";
import { timeText } from "../verbs/body.ts";
import { type Digest, distinguisherOf, type FlowSchema, flowSchemaOf, inOrder, looksAtNamespaces, matches } from "./classify.ts";
import { type Bounds, boundsOf, type LevelConfig, levelOf, shared } from "./concurrency.ts";
import { QueueSet, type Seat } from "./queue-set.ts";

export const GROUP = "flowcontrol.apiserver.k8s.io";
const SCHEMAS = "flowschemas";
const LEVELS = "prioritylevelconfigurations";
const SCHEMA_INFO = registry.byResource(GROUP, "v1", SCHEMAS) as ResourceInfo;
/** How often seats are lent anew among levels. */
const BORROWING_PERIOD_MS = 10_000;
/** A quarter of --request-timeout is the longest that a request waits for a seat. */
const WAIT_SHARE = 0.25;
/** One seat for so many objects of a list, up to so many seats. */
const OBJECTS_PER_SEAT = 100;
const MAX_LIST_SEATS = 10;
const MAX_REMEMBERED = 4_096;
const MANDATORY = ["exempt", "catch-all"];

export interface Level {
  config: LevelConfig;
  bounds: Bounds;
  queues: QueueSet;
}

/** A classified request: where it belongs, and the seat that it has. */
export interface Flow {
  schema: FlowSchema;
  level: Level;
  digest: Digest;
  seat: Seat | undefined;
}

export class FlowControl {
  readonly #api: Api;
  readonly #total: number;
  readonly #waitMs: number;
  #schemas: FlowSchema[] = [];
  readonly #levels = new Map<string, Level>();
  /** By user, then by verb and resource or path: the schema found. Transports that make a user for each request find it by name and groups. */
  #found = new WeakMap<User, Map<string, FlowSchema>>();
  #foundByName = new Map<string, Map<string, FlowSchema>>();
  #byNamespace = false;
  #timer: Timer | undefined;
  #reporting = false;
  #stopped = false;

  constructor(api: Api, o: { totalSeats: number; requestTimeoutMs: number }) {
    this.#api = api;
    this.#total = o.totalSeats;
    this.#waitMs = o.requestTimeoutMs * WAIT_SHARE;
    this.#configure();
  }

  /** Follows the objects from now on. */
  start(): void {
    this.#configure();
    this.#report();
    this.#api.cache.onChange((o) => {
      if (o.key.group !== GROUP) return;
      this.#configure();
      this.#report();
    });
    this.#timer = this.#api.clock.every(BORROWING_PERIOD_MS, () => this.#lend(), { unref: true });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  get levels(): IterableIterator<Level> {
    return this.#levels.values();
  }

  classify(info: RequestInfo, user: User): Flow {
    const resource = info.subresource === "" ? info.resource : `${info.resource}/${info.subresource}`;
    const digest: Digest = {
      user,
      verb: info.verb,
      isResource: info.isResource,
      group: info.group,
      resource,
      namespace: info.isResource ? info.namespace : "",
      path: info.path,
    };
    const mine = this.#found.get(user) ?? this.#remembered(user);
    if (mine.size > MAX_REMEMBERED) mine.clear();
    const key = info.isResource
      ? `${info.verb} ${info.group}/${resource}${this.#byNamespace ? ` ${info.namespace}` : info.namespace === "" ? " -" : ""}`
      : `${info.verb} ${info.path}`;
    let schema = mine.get(key);
    if (!schema) {
      schema = this.#schemas.find((s) => matches(s, digest)) ?? (this.#schemas.at(-1) as FlowSchema);
      mine.set(key, schema);
    }
    return { schema, level: this.#levels.get(schema.level) ?? (this.#levels.get("catch-all") as Level), digest, seat: undefined };
  }

  #remembered(user: User): Map<string, FlowSchema> {
    const id = `${user.name}\n${user.groups.join("\n")}`;
    let mine = this.#foundByName.get(id);
    if (!mine) {
      if (this.#foundByName.size > MAX_REMEMBERED) this.#foundByName.clear();
      mine = new Map();
      this.#foundByName.set(id, mine);
    }
    this.#found.set(user, mine);
    return mine;
  }

  /** True: go on (and `leave` later). A promise when the request has to wait; false: refuse it. */
  enter(flow: Flow, info: RequestInfo): boolean | Promise<boolean> {
    const { level } = flow;
    if (level.config.exempt) return true;
    const seats = this.#seatsOf(info);
    flow.seat = level.queues.trySeat(seats);
    if (flow.seat) return true;
    const o = {
      seats,
      schema: flow.schema.name,
      flow: distinguisherOf(flow.schema, flow.digest),
      about: { info, flow },
      waitMs: this.#waitMs,
    };
    return level.queues.wait(o).then((seat) => {
      flow.seat = seat;
      return seat !== undefined;
    });
  }

  /** A turn of what is answered at once; false: it has to wait (`enter`). */
  pass({ level }: Flow): boolean {
    if (level.config.exempt) return true;
    const seat = level.queues.trySeat(1);
    if (seat) level.queues.leave(seat);
    return seat !== undefined;
  }

  leave(flow: Flow): void {
    if (!flow.seat) return;
    flow.level.queues.leave(flow.seat);
    flow.seat = undefined;
  }

  #seatsOf(info: RequestInfo): number {
    if (info.verb !== "list" || info.name !== "") return 1;
    const count = this.#api.cache.of(info.group, info.resource).size;
    const limit = Number(info.query.get("limit") ?? 0);
    const objects = limit > 0 ? Math.min(limit, count) : count;
    return Math.min(MAX_LIST_SEATS, Math.max(1, Math.ceil(objects / OBJECTS_PER_SEAT)));
  }

  /** Reads the objects; the mandatory ones are there even when somebody has deleted them. */
  #configure(): void {
    const objects = (resource: string, rows: readonly { name: string }[]): KubeObject[] => {
      const there = [...this.#api.cache.of(GROUP, resource).values()].map((o) => o.object);
      const missing = rows.filter((r) => MANDATORY.includes(r.name) && !there.some((o) => o.metadata.name === r.name));
      return [...there, ...missing.map(({ name, ...rest }) => ({ metadata: { name }, ...rest }) as KubeObject)];
    };
    this.#schemas = inOrder(objects(SCHEMAS, FLOW_SCHEMAS).map(flowSchemaOf));
    this.#byNamespace = looksAtNamespaces(this.#schemas);
    this.#found = new WeakMap();
    this.#foundByName.clear();
    const configs = objects(LEVELS, PRIORITY_LEVELS).map(levelOf);
    const bounds = boundsOf(configs, this.#total);
    for (const name of [...this.#levels.keys()]) if (!bounds.has(name)) this.#levels.delete(name);
    for (const config of configs) {
      const own = bounds.get(config.name) as Bounds;
      const old = this.#levels.get(config.name);
      if (!old) {
        const queues = new QueueSet(this.#api.clock, own.nominal, config.queuing);
        this.#levels.set(config.name, { config, bounds: own, queues });
        continue;
      }
      if (old.bounds.nominal !== own.nominal || JSON.stringify(old.config) !== JSON.stringify(config))
        old.queues.configure(own.nominal, config.queuing);
      old.config = config;
      old.bounds = own;
    }
  }

  /** Levels that wanted more than they had get what others did not use, as far as both allow it. */
  #lend(): void {
    const levels = [...this.#levels.values()].filter((l) => !l.config.exempt);
    const wants = levels.map((l) => l.queues.takePeak());
    const isCalm = levels.every((l, i) => (wants[i] as number) <= l.bounds.nominal && l.queues.limit >= l.bounds.nominal);
    if (isCalm) return;
    const seats = shared(
      levels.map((l, i) => ({ bounds: l.bounds, want: wants[i] as number })),
      Math.max(
        this.#total,
        levels.reduce((n, l) => n + l.bounds.min, 0),
      ),
    );
    for (const [i, l] of levels.entries()) l.queues.setLimit(seats[i] as number);
  }

  /** Keeps the condition Dangling of FlowSchemas; one sweep at a time. */
  #report(): void {
    if (this.#reporting || this.#stopped) return;
    this.#reporting = true;
    this.#api.clock.soon(() => {
      this.#reporting = false;
      void this.#reportAll().catch((e) => this.#api.log.warn({ reason: reasonOf(e) }, "the status of FlowSchemas was not written"));
    });
  }

  async #reportAll(): Promise<void> {
    const levels = this.#api.cache.of(GROUP, LEVELS);
    for (const o of [...this.#api.cache.of(GROUP, SCHEMAS).values()]) {
      if (this.#stopped) return;
      const level: string = o.object["spec"]?.priorityLevelConfiguration?.name ?? "";
      const quoted = JSON.stringify(level);
      const found = levels.get("", level) !== undefined;
      const says = `This FlowSchema references the PriorityLevelConfiguration object named ${quoted} `;
      const next = found
        ? { type: "Dangling", status: "False", reason: "Found", message: `${says}and it exists` }
        : { type: "Dangling", status: "True", reason: "NotFound", message: `${says}but there is no such object` };
      const old = (o.object["status"]?.conditions ?? []).find((c: any) => c.type === "Dangling");
      if (old?.status === next.status && old.message === next.message) continue;
      const now = timeText(this.#api.clock.nowMs());
      await this.#api.storage
        .update(o.key, (live) => {
          if (!live) throw new Error("the FlowSchema is gone");
          const { status, reason, message } = next;
          const others = (live["status"]?.conditions ?? []).filter((c: any) => c.type !== "Dangling");
          const condition = { type: "Dangling", status, lastTransitionTime: now, reason, message };
          const changed = { ...live, status: { ...live["status"], conditions: [...others, condition] } };
          const manager = "api-priority-and-fairness-config-consumer-v1";
          return updateManaged(SCHEMA_INFO, live, changed, { manager, operation: "Apply", time: now, subresource: "status" });
        })
        .catch((e) => {
          if (!/gone|not found/i.test(reasonOf(e))) throw e;
        });
    }
  }
}

/** Tells the client by which rules it was judged. */
export function markFlow(r: ApiResponse, flow: Flow): void {
  r.headers["x-kubernetes-pf-flowschema-uid"] = flow.schema.uid;
  r.headers["x-kubernetes-pf-prioritylevel-uid"] = flow.level.config.uid;
}

export function tooManyRequests(): ApiResponse {
  const r = textResponse(429, "Too many requests, please try again later.\n");
  r.headers["retry-after"] = "1";
  return r;
}
