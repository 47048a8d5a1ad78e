// The apiserver put together: store, cache, admission, authorization, handler and transports. Everything is handed in, so that one process
// can hold several, and tests need no network. Invariant: no request is served before the first snapshot of the store is in.
import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { statusErrors } from "@podwire/api";
import type { Clock, Logger, Random } from "@podwire/base";
import type { Bus, Subscription } from "@podwire/bus";
import type { Store } from "@podwire/store";
import { certificateAdmission } from "./admission/certificates.ts";
import { AdmissionChain, type AdmissionPlugin } from "./admission/chain.ts";
import { defaultIngressClass } from "./admission/default-ingress-class.ts";
import { limitRanger } from "./admission/limit-ranger.ts";
import { mutatingPolicies } from "./admission/mutating-policies.ts";
import { namespaceLifecycle } from "./admission/namespace-lifecycle.ts";
import { nodeRestriction } from "./admission/node-restriction.ts";
import { OPTIONAL } from "./admission/optional-plugins.ts";
import { defaultTolerationSeconds, priority, taintNodesByCondition } from "./admission/pod-defaults.ts";
import { podSecurity } from "./admission/pod-security.ts";
import { resourceQuota } from "./admission/resource-quota.ts";
import { runtimeClass } from "./admission/runtime-class.ts";
import { serviceAccount } from "./admission/service-account.ts";
import { claimResize, defaultStorageClass, storageObjectInUseProtection } from "./admission/storage-objects.ts";
import { validatingPolicies } from "./admission/validating-policies.ts";
import { mutatingWebhooks, validatingWebhooks } from "./admission/webhooks/webhooks.ts";
import { Aggregator } from "./aggregation/aggregator.ts";
import { Auditor } from "./audit/audit.ts";
import { AuditLogFile } from "./audit/log-file.ts";
import { AuditPolicy } from "./audit/policy.ts";
import { ANONYMOUS, type TokenAuthenticator, tokenFile, unionOf } from "./authentication/authenticator.ts";
import { noteUse } from "./authentication/legacy-tokens.ts";
import { ServiceAccountTokens, TokenRefusedError } from "./authentication/service-account-tokens.ts";
import { alwaysAllow, alwaysDeny, chainOf, mastersAuthorizer } from "./authorization/authorizer.ts";
import { escalationCheck } from "./authorization/escalation.ts";
import { NodeAuthorizer } from "./authorization/node.ts";
import { RbacAuthorizer } from "./authorization/rbac.ts";
import { bootstrap } from "./bootstrap/bootstrap.ts";
import { ListBytes } from "./cache/list-bytes.ts";
import { WatchCache } from "./cache/watch-cache.ts";
import type { Api, ApiRequest, ApiResponse, User } from "./call.ts";
import type { ApiServerConfig } from "./config.ts";
import { Definitions } from "./customresources/definitions.ts";
import { Discovery } from "./discovery/discovery.ts";
import { Health } from "./discovery/health.ts";
import { metricsPath } from "./discovery/metrics.ts";
import { oidcPaths } from "./discovery/oidc.ts";
import type { FlagFiles } from "./flag-files.ts";
import { flowControlDumps } from "./flowcontrol/dumps.ts";
import { FlowControl } from "./flowcontrol/flow-control.ts";
import { MaxInFlight } from "./flowcontrol/max-in-flight.ts";
import { Handler } from "./handler.ts";
import { MetricsServer } from "./metrics-server/metrics-server.ts";
import { ClusterNetwork } from "./network/cluster-network.ts";
import { KubernetesEndpoints } from "./network/kubernetes-endpoints.ts";
import { ServiceAddresses } from "./network/service-addresses.ts";
import { OpenApi } from "./openapi/documents.ts";
import { Deadlines } from "./request/deadlines.ts";
import { Allocators } from "./resources/allocators.ts";
import { Catalogue } from "./resources/catalogue.ts";
import { addressAt } from "./resources/ip-range.ts";
import { EncryptedStore } from "./storage/encryption/encrypted-store.ts";
import { EncryptionConfiguration } from "./storage/encryption/providers.ts";
import { EventExpiry } from "./storage/event-expiry.ts";
import { ObjectStorage } from "./storage/object-storage.ts";
import { busConnections, noConnections } from "./subresources/connections.ts";
import { serveReviews } from "./subresources/reviews.ts";
import { tokenRequest } from "./subresources/token-request.ts";
import { serveBus } from "./transport/bus.ts";
import { HttpsTransport } from "./transport/https.ts";
import { type Pki, subjectCommonName, subjectOrganizations } from "./transport/pki.ts";
import { upgrader } from "./transport/websocket.ts";
import { WatchFlusher } from "./verbs/watch-flusher.ts";

/** Where pods find the API, whatever port the host's listener has. */
const PORT_ON_THE_WIRE = 6443;
const DEFAULT_AUDIT_FILE_MB = 100;
const MEGABYTE = 1024 * 1024;
const DAY_MS = 86_400_000;

export interface ApiServerOptions {
  clock: Clock;
  random: Random;
  log: Logger;
  store: Store;
  /** Without a bus there are no components, no kubelets and no API over NATS. */
  bus?: Bus;
  /** Address of this process on the wire; with it and a bus there is a network card. */
  underlay?: string;
  /** Without certificates there is no HTTPS. */
  pki?: Pki;
  config: ApiServerConfig;
  /** Key of service account tokens when there is no `pki`. */
  serviceAccountKeyPem?: string;
  /** Contents of the files that flags name. */
  files?: FlagFiles;
}

export class ApiServer {
  readonly api: Api;
  readonly handler: Handler;
  readonly #o: ApiServerOptions;
  readonly #rbac: RbacAuthorizer;
  readonly #definitions: Definitions;
  readonly #aggregator: Aggregator;
  readonly #flowControl: FlowControl | undefined;
  readonly #deadlines: Deadlines;
  #endpoints: KubernetesEndpoints | undefined;
  #metrics: MetricsServer | undefined;
  readonly #tokens: TokenAuthenticator;
  readonly #expiry: EventExpiry;
  readonly #auditor: Auditor | undefined;
  #https: HttpsTransport | undefined;
  #bus: Subscription | undefined;
  #network: ClusterNetwork | undefined;
  #addresses: ServiceAddresses | undefined;
  #ready = false;
  port = 0;

  constructor(o: ApiServerOptions) {
    this.#o = o;
    const { clock, random, log } = o;
    const files = o.files ?? {};
    const encrypted =
      files.encryption === undefined ? undefined : new EncryptedStore(o.store, new EncryptionConfiguration(files.encryption));
    const store = encrypted ?? o.store;
    const cache = new WatchCache(store, { clock, log });
    const storage = new ObjectStorage(store, cache, encrypted && ((key) => encrypted.isStale(key)));
    this.#expiry = new EventExpiry({ cache, storage, clock, log, ttlMs: o.config["event-ttl"] });
    this.#auditor = this.#auditTrail();
    this.#rbac = new RbacAuthorizer(cache);
    const api: Api = {
      clock,
      random,
      log,
      cache,
      storage,
      lists: new ListBytes(),
      flusher: new WatchFlusher(clock),
      catalogue: new Catalogue((r, isBeta) => isServed(o.config, r, isBeta)),
      admission: new AdmissionChain([]),
      authorizer: chainOf([
        mastersAuthorizer,
        ...o.config["authorization-mode"].map((m) =>
          m === "Node" ? new NodeAuthorizer(cache) : m === "RBAC" ? this.#rbac : m === "AlwaysAllow" ? alwaysAllow : alwaysDeny,
        ),
      ]),
      dialer: { connect: (host, port) => this.#dial(host, port) },
      connections: o.bus ? busConnections(o.bus) : noConnections,
      subresources: new Map(),
      virtual: new Map(),
      kubeletClient: o.pki ? { certPem: o.pki.kubeletClientCertPem, keyPem: o.pki.kubeletClientKeyPem } : undefined,
      allocators: new Allocators({
        storage,
        cache,
        clock,
        random,
        log,
        ranges: o.config["service-cluster-ip-range"],
        ports: o.config["service-node-port-range"],
      }),
      minRequestTimeoutS: o.config["min-request-timeout"],
      readFresh: (request) => cache.fresh(request),
      ...(encrypted ? { unreadable: encrypted.unreadable.bind(encrypted) } : {}),
    };
    api.admission = new AdmissionChain(this.#plugins(api));
    const authenticators: TokenAuthenticator[] = [];
    if (files.tokens !== undefined) authenticators.push(tokenFile(files.tokens));
    const keyPem = files.signingKey ?? o.pki?.serviceAccountKeyPem ?? o.serviceAccountKeyPem;
    const serviceAccounts = keyPem === undefined ? undefined : this.#serviceAccounts(keyPem, cache, storage);
    if (serviceAccounts) {
      authenticators.push(serviceAccounts);
      api.subresources.set("serviceaccounts/token", (call) => tokenRequest(api, call, serviceAccounts));
    }
    this.#tokens = unionOf(authenticators);
    serveReviews(api, { tokens: this.#tokens, serviceAccounts, rbac: this.#rbac });
    this.api = api;
    this.#definitions = new Definitions(api);
    const health = new Health(
      [
        { name: "etcd", check: async () => (await store.currentRevision()) >= 0 },
        { name: "poststarthook/start-apiserver-admission-initializer", check: () => true },
      ],
      [
        { name: "informer-sync", check: () => cache.ready },
        { name: "poststarthook/rbac/bootstrap-roles", check: () => this.#ready },
        { name: "shutdown", check: () => true },
      ],
    );
    this.#aggregator = new Aggregator(api, o.pki ? { certPem: o.pki.frontProxyCertPem, keyPem: o.pki.frontProxyKeyPem } : undefined);
    const remotes = () => this.#aggregator.remotes();
    const limits = { reading: o.config["max-requests-inflight"], changing: o.config["max-mutating-requests-inflight"] };
    const requestTimeoutMs = o.config["request-timeout"];
    if (o.config["enable-priority-and-fairness"])
      this.#flowControl = new FlowControl(api, { totalSeats: limits.reading + limits.changing, requestTimeoutMs });
    this.#deadlines = new Deadlines(clock, requestTimeoutMs);
    // Without a bus there are no kubelets to ask.
    if (o.bus && o.config["metrics-server"]) this.#metrics = new MetricsServer(api);
    const openApi = new OpenApi(api.catalogue, remotes);
    const discovery = new Discovery(
      api.catalogue,
      `${o.config["external-hostname"] || o.config["bind-address"]}:${o.config["secure-port"]}`,
      (info, accept) => openApi.answer(info, accept),
      remotes,
    );
    this.handler = new Handler(api, {
      discovery,
      health,
      aggregator: this.#aggregator,
      deadlines: this.#deadlines,
      ...(this.#flowControl ? { flowControl: this.#flowControl } : { maxInFlight: new MaxInFlight(limits) }),
      auditor: this.#auditor,
      paths: [
        oidcPaths(serviceAccounts, o.config),
        ...(this.#flowControl ? [flowControlDumps(this.#flowControl)] : []),
        metricsPath(
          () => this.counters(),
          () => this.handler.counters,
        ),
      ],
    });
  }

  /** Loads the cache, writes what a fresh cluster holds, then serves. */
  async start(): Promise<void> {
    const { config, log } = this.#o;
    await this.api.cache.start();
    const handle = (request: ApiRequest, user: User): Promise<ApiResponse> => this.handler.handle(request, user);
    if (this.#o.pki) await this.#listen(this.#o.pki, handle);
    const ranges = config["service-cluster-ip-range"];
    const addresses = new ServiceAddresses({ api: this.api, handle });
    this.#addresses = addresses;
    await bootstrap({
      handle,
      cache: this.api.cache,
      log,
      securePort: PORT_ON_THE_WIRE,
      kubernetesServiceIp: addressAt(ranges[0], 1),
      addresses: () => addresses.start(),
      today: new Date(this.#o.clock.nowMs()).toISOString().slice(0, 10),
      metricsServer: this.#metrics !== undefined,
      ...(this.#o.pki ? { clientCa: this.#o.pki.caPem, requestHeaderCa: this.#o.pki.frontProxyCaPem } : {}),
    });
    this.#endpoints = new KubernetesEndpoints({ api: this.api, handle, address: config["advertise-address"], port: PORT_ON_THE_WIRE });
    await this.#endpoints.start();
    await this.api.cache.fresh();
    this.api.cache.forgetHistory();
    this.#definitions.start();
    addresses.follow();
    this.#joinWire();
    this.#aggregator.start();
    this.#flowControl?.start();
    if (this.#o.bus) this.#bus = serveBus({ bus: this.#o.bus, handle, log });
    this.#expiry.start();
    this.#ready = true;
  }

  /** Serves a connection that another network has accepted (the NIC on the wire). */
  accept(socket: Duplex): void {
    this.#https?.accept(socket);
  }

  /** Who sends an Authorization header; for callers that bring no connection. Throws 401. */
  async authenticate(authorization: string | undefined): Promise<User> {
    if (authorization === undefined) return ANONYMOUS;
    try {
      const user = await this.#tokens.authenticate(authorization.replace(/^bearer +/i, ""));
      if (user) return user;
    } catch (e) {
      if (!(e instanceof TokenRefusedError)) throw e;
    }
    throw statusErrors.unauthorized();
  }

  /** Serves the API to pods on the wire. */
  #joinWire(): void {
    const { bus, underlay, clock, random, log } = this.#o;
    if (!bus || underlay === undefined) return;
    this.#network = new ClusterNetwork({ bus, address: underlay, cache: this.api.cache, clock, random, log });
    this.#network.listen(PORT_ON_THE_WIRE, (socket) => this.accept(socket));
  }

  #dial(host: string, port: number): Duplex {
    // Alone, without a cluster's wire, Services lead to the host's own network.
    if (!this.#o.bus) return connect({ host, port });
    if (!this.#network) throw statusErrors.serviceUnavailable("the apiserver has no network card: pods and Services cannot be reached");
    return this.#network.connect(host, port);
  }

  counters(): Record<string, unknown> {
    return { ...this.api.cache.counters(), writes: this.api.storage.writes, inFlight: this.handler.counters.inFlight };
  }

  health(): string {
    return this.#ready && this.api.cache.ready ? "ok" : "starting";
  }

  async stop(): Promise<void> {
    this.#ready = false;
    this.#definitions.stop();
    this.#addresses?.stop();
    this.#aggregator.stop();
    await this.#endpoints?.stop();
    this.#metrics?.stop();
    this.#flowControl?.stop();
    this.#deadlines.stop();
    this.#expiry.stop();
    this.#bus?.unsubscribe();
    this.#network?.close();
    await this.#https?.close();
    await this.#auditor?.close();
    this.api.cache.close();
  }

  async #listen(pki: Pki, handle: (request: ApiRequest, user: User) => Promise<ApiResponse>): Promise<void> {
    const { config, log, files } = this.#o;
    const upgrade: (r: IncomingMessage, s: Duplex, h: Buffer, a: () => Promise<User>) => void = upgrader({ handle });
    this.#https = new HttpsTransport({
      cert: files?.serving?.cert ?? pki.servingCertPem,
      key: files?.serving?.key ?? pki.servingKeyPem,
      clientCa: files?.clientCa === undefined ? pki.caPem : `${pki.caPem}\n${files.clientCa}`,
      requestHeaderCa: pki.frontProxyCaPem,
      handle,
      handleNow: (request, user) => this.handler.handleNow(request, user),
      tokens: this.#tokens,
      anonymous: config["anonymous-auth"],
      upgrade,
      refused: (request, response) => this.handler.refused(request, response),
      clock: this.#o.clock,
      log,
    });
    this.port = await this.#https.listen(config["secure-port"], config["bind-address"]);
    log.info({ port: this.port, address: config["bind-address"] }, "serving HTTPS");
  }

  #auditTrail(): Auditor | undefined {
    const { clock, random, log, config, files } = this.#o;
    if (files?.auditPolicy === undefined) return undefined;
    const path = config["audit-log-path"];
    const sink = new AuditLogFile({
      path,
      maxSizeBytes: (config["audit-log-maxsize"] || DEFAULT_AUDIT_FILE_MB) * MEGABYTE,
      maxBackups: config["audit-log-maxbackup"],
      maxAgeMs: config["audit-log-maxage"] * DAY_MS,
      clock,
      log,
    });
    return new Auditor({ policy: new AuditPolicy(files.auditPolicy), sinks: path === "" ? [] : [sink], clock, random });
  }

  #serviceAccounts(keyPem: string, cache: WatchCache, storage: ObjectStorage): ServiceAccountTokens {
    const { clock, random, log, config, files } = this.#o;
    const audiences = config["api-audiences"].split(",").filter((a) => a !== "");
    return new ServiceAccountTokens({
      keyPem,
      otherKeys: files?.verificationKeys ?? [],
      issuers: config["service-account-issuer"],
      audiences,
      cache,
      nowMs: () => clock.nowMs(),
      uuid: () => random.uuid(),
      onLegacyUse: noteUse({ storage, clock, log }),
    });
  }

  #plugins(api: Api): AdmissionPlugin[] {
    const disabled = new Set<string>(this.#o.config["disable-admission-plugins"]);
    const optional = this.#o.config["enable-admission-plugins"].flatMap((name) => (OPTIONAL[name] ? [OPTIONAL[name](api)] : []));
    // In the order of kube-apiserver; what only validates runs after everything that changes objects.
    const plugins = [
      ...optional,
      namespaceLifecycle(api),
      limitRanger(api),
      serviceAccount(api),
      nodeRestriction(api, subjectCommonName),
      taintNodesByCondition(),
      podSecurity(api),
      priority(api),
      defaultTolerationSeconds(),
      storageObjectInUseProtection(),
      claimResize(api),
      runtimeClass(api),
      defaultIngressClass(api),
      certificateAdmission(api, subjectOrganizations),
      defaultStorageClass(api),
      mutatingPolicies(api),
      mutatingWebhooks(api),
      escalationCheck(api, this.#rbac),
      validatingPolicies(api),
      validatingWebhooks(api),
      resourceQuota(api),
    ];
    return plugins.filter((p) => !disabled.has(p.name));
  }
}

/** --runtime-config and --feature-gates: what says the most decides. Beta kinds need both their gate and their version. */
function isServed(config: ApiServerConfig, r: { group: string; version: string; kind: string }, isBeta: boolean): boolean {
  const gate = r.kind.replace(/Binding$/, "");
  if (isBeta && !config["feature-gates"].has(gate)) return false;
  const stage = r.version.includes("alpha") ? "alpha" : r.version.includes("beta") ? "beta" : "ga";
  const flags = config["runtime-config"];
  return flags.get(r.group === "" ? r.version : `${r.group}/${r.version}`) ?? flags.get(`api/${stage}`) ?? flags.get("api/all") ?? !isBeta;
}
