// What load balancers ask: the health-check node port of Services with externalTrafficPolicy Local (how many endpoints are here), and the
// proxy's own /healthz and /livez on port 10256.
// Invariant: one listener per distinct port, on every address of the node; a port that is taken is logged, not fatal. Answers as
// kube-proxy's: 200 with endpoints, 503 without.
import { createServer, type Server, type ServerResponse } from "node:http";
import { type Logger, reasonOf } from "@podwire/base";
import type { NetNamespace, TcpServer } from "@podwire/net";
import type { ProxySettings } from "./proxy-settings.ts";
import { endpointsOf, type ServiceInput, servicePorts } from "./service-ports.ts";

/** --healthz-bind-address. */
export const HEALTHZ_PORT = 10_256;

interface Check {
  namespace: string;
  name: string;
  localEndpoints: number;
}

export class HealthChecks {
  private readonly netns: NetNamespace;
  private readonly log: Logger;
  private readonly healthy: () => { ok: boolean; nodeEligible: boolean; lastUpdated: string };
  private readonly checks = new Map<number, Check>();
  private readonly listeners = new Map<number, TcpServer>();
  private readonly http: Server;

  constructor(netns: NetNamespace, log: Logger, healthy: HealthChecks["healthy"]) {
    this.netns = netns;
    this.log = log;
    this.healthy = healthy;
    this.http = createServer((req, res) => {
      const port = req.socket.localPort ?? 0;
      if (port === HEALTHZ_PORT) this.answerOwn(req.url ?? "", res);
      else this.answerService(port, res);
    });
    this.listen(HEALTHZ_PORT);
  }

  /** Follows the Services that changed. */
  sync(services: ReadonlyMap<string, ServiceInput>, settings: readonly ProxySettings[]): void {
    const wanted = new Map<number, Check>();
    for (const input of services.values()) {
      if (!input.service.spec?.healthCheckNodePort) continue;
      const local = new Set<string>();
      let port = 0;
      for (const s of settings)
        for (const p of servicePorts(input.service, s.family)) {
          port = p.healthCheckNodePort;
          for (const e of endpointsOf(p, input.slices, s.family, s.nodeName)) if (e.isLocal && e.ready) local.add(e.ip);
        }
      if (port !== 0)
        wanted.set(port, {
          namespace: input.service.metadata?.namespace ?? "",
          name: input.service.metadata?.name ?? "",
          localEndpoints: local.size,
        });
    }
    for (const port of this.checks.keys()) if (!wanted.has(port)) this.close(port);
    for (const [port, check] of wanted) {
      this.checks.set(port, check);
      if (!this.listeners.has(port)) this.listen(port);
    }
  }

  stop(): void {
    for (const port of [...this.listeners.keys()]) this.close(port);
    this.http.closeAllConnections();
  }

  private listen(port: number): void {
    try {
      const listener = this.netns.tcpListen({ port, allowHalfOpen: true }, (socket) => void this.http.emit("connection", socket));
      this.listeners.set(port, listener);
    } catch (e) {
      this.log.warn({ port, err: reasonOf(e) }, "a health-check port cannot be listened on");
    }
  }

  private close(port: number): void {
    this.checks.delete(port);
    this.listeners.get(port)?.close();
    this.listeners.delete(port);
  }

  private answerService(port: number, res: ServerResponse): void {
    const c = this.checks.get(port);
    if (c === undefined) {
      res.writeHead(404).end();
      return;
    }
    const { ok } = this.healthy();
    res.setHeader("Content-Type", "application/json");
    res.setHeader("X-Content-Type-Options", "nosniff");
    res.setHeader("X-Load-Balancing-Endpoint-Weight", String(c.localEndpoints));
    res.statusCode = c.localEndpoints > 0 && ok ? 200 : 503;
    res.end(
      JSON.stringify({ service: { namespace: c.namespace, name: c.name }, localEndpoints: c.localEndpoints, serviceProxyHealthy: ok }),
    );
  }

  private answerOwn(url: string, res: ServerResponse): void {
    const path = url.split("?")[0];
    if (path !== "/healthz" && path !== "/livez") {
      res.writeHead(404).end();
      return;
    }
    const { ok, nodeEligible, lastUpdated } = this.healthy();
    res.setHeader("Content-Type", "application/json");
    // A node that is being deleted fails /healthz, so that load balancers leave it, but is alive.
    res.statusCode = ok && (nodeEligible || path === "/livez") ? 200 : 503;
    res.end(JSON.stringify({ lastUpdated, currentTime: lastUpdated, nodeEligible }));
  }
}
