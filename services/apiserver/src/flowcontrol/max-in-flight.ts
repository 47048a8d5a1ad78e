// Without priority and fairness: so many reading and so many changing requests at once, the rest gets 429
// (apiserver/pkg/server/filters/maxinflight.go). system:masters pass.
import type { User } from "../call.ts";
import type { RequestInfo } from "../request/request-info.ts";

const READING = new Set(["get", "list", "watch"]);

export class MaxInFlight {
  readonly #limits: { reading: number; changing: number };
  readonly #now = { reading: 0, changing: 0 };

  /** 0: no limit. */
  constructor(limits: { reading: number; changing: number }) {
    this.#limits = limits;
  }

  /** What to call when the request is over; undefined: there are too many. */
  enter(info: RequestInfo, user: User): (() => void) | undefined {
    const kind = READING.has(info.verb) ? "reading" : "changing";
    if (this.#limits[kind] > 0 && this.#now[kind] >= this.#limits[kind] && !user.groups.includes("system:masters")) return undefined;
    this.#now[kind]++;
    return () => {
      this.#now[kind]--;
    };
  }
}
