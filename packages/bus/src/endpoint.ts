// A Bus on any Transport: what the transport offers, plus requests and streams (request.ts, stream.ts).
import { type Clock, type Logger, oncePerMinute } from "@podwire/base";
import type { Bus, BusStream, RequestOptions } from "./bus.ts";
import { Mailbox } from "./mailbox.ts";
import { Requests } from "./request.ts";
import { Streams } from "./stream.ts";
import type { Subscription, Transport } from "./transport.ts";

export function busOn(transport: Transport, opts: { clock: Clock; log: Logger }): Bus {
  const complaints = oncePerMinute(opts.log, opts.clock);
  const mailbox = new Mailbox(transport);
  const deps = { transport, mailbox, clock: opts.clock, complaints };
  const requests = new Requests(deps);
  const streams = new Streams(deps);
  transport.onStatus((s) => {
    if (s !== "disconnected") return;
    requests.disconnected();
    streams.disconnected();
  });
  transport.onRefused((r) => {
    if (r.operation !== "publish") return;
    requests.refused(r.subject);
    streams.refused(r.subject);
  });
  return {
    identity: transport.identity,
    cluster: transport.cluster,
    get maxPayload() {
      return transport.maxPayload;
    },
    publish: (subject, data, o) => transport.publish(subject, data, o),
    subscribe: (subject, onMessage, o) => transport.subscribe(subject, onMessage, o),
    flush: () => transport.flush(),
    onStatus: (cb) => transport.onStatus(cb),
    onRefused: (cb) => transport.onRefused(cb),
    newInbox: () => transport.newInbox(),
    stats: () => ({
      ...transport.stats(),
      requestsSent: requests.sent,
      requestsServed: requests.served,
      lateAnswers: mailbox.unclaimed,
      openStreams: streams.count,
      complaints: Object.values(complaints.counts()).reduce((a, b) => a + b, 0),
    }),
    request: (subject: string, body: unknown, o?: RequestOptions) => requests.request(subject, body, o),
    serve: (subject, handler, o): Subscription => requests.serve(subject, handler, o),
    openStream: (subject, open, o): Promise<BusStream> => streams.openStream(subject, open, o),
    serveStreams: (subject, handler, o): Subscription => streams.serveStreams(subject, handler, o),
    async close() {
      streams.close();
      requests.close();
      mailbox.close();
      await transport.close();
    },
  };
}
