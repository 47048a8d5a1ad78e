// The page: draws what the server's streams say. Text from the cluster is only ever set as text.
const $ = (id) => document.getElementById(id);

/** An element with children; strings become text. */
function el(tag, props, ...children) {
  const e = Object.assign(document.createElement(tag), props);
  e.append(...children.filter((c) => c !== ""));
  return e;
}

let counters = {};
let view;

const live = new EventSource("api/live");
live.addEventListener("open", () => connection("live", "live"));
live.addEventListener("error", () => connection("lost", "connection lost, trying again"));
live.addEventListener("cluster", (e) => {
  view = JSON.parse(e.data);
  draw();
});
live.addEventListener("counters", (e) => {
  counters = JSON.parse(e.data);
  draw();
});

function connection(state, text) {
  $("connection").className = state;
  $("connection").textContent = text;
}

function draw() {
  if (!view) return;
  $("cluster").textContent = view.cluster;
  $("hosts").replaceChildren(...["apiserver", "edge"].map((name) => host(name)));
  $("nodes").replaceChildren(...view.nodes.map(node));
  $("unscheduled").replaceChildren(
    ...(view.unscheduled.length > 0 ? [el("h2", {}, "Waiting for a node"), el("ul", { className: "pods" }, ...view.unscheduled.map(pod))] : []),
  );
  $("services").replaceChildren(...view.services.map(service));
}

function host(name) {
  const seen = counters[name];
  const box = el("div", { className: seen ? "host" : "host down" });
  box.append(el("h3", {}, name, el("span", { className: "state" }, seen ? "answers" : "no answer")), wire(seen));
  return box;
}

function node(n) {
  const box = el("div", { className: n.ready ? "node" : "node down" });
  const state = `${n.ready ? "Ready" : "NotReady"}${n.unschedulable ? ", cordoned" : ""}`;
  box.append(
    el("h3", {}, n.name, el("span", { className: "state" }, state)),
    el("p", { className: "facts" }, `${n.address} · pods ${n.podCIDR || "no range yet"}`),
    wire(counters[n.name]),
    el("ul", { className: "pods" }, ...n.pods.map(pod)),
  );
  return box;
}

function wire(c) {
  const w = c?.wire;
  const text = w ? `wire: ${count(w.txFrames)} frames out, ${count(w.rxFrames)} in · ${bytes(w.txBytes)} / ${bytes(w.rxBytes)}` : "wire: no counters";
  return el("p", { className: "counters" }, text);
}

function pod(p) {
  const failed = /Error|BackOff|Failed|Evicted|OOM/.test(p.status);
  const li = el("li", { className: p.ready ? "ready" : failed ? "failed" : "", title: `${p.namespace}/${p.name}` });
  const restarts = p.restarts > 0 ? ` · ${p.restarts} restarts` : "";
  li.append(el("b", {}, p.name), el("small", {}, `${p.ip || "no address"} · ${p.status}${restarts}`));
  return li;
}

function service(s) {
  const ports = s.ports.map((p) => `${p.port}${p.nodePort ? `:${p.nodePort}` : ""}/${p.protocol}`).join(", ");
  const follow = el("button", { type: "button" }, "Follow");
  follow.addEventListener("click", () => {
    const form = $("trace-form");
    form.elements.dst.value = s.externalIPs[0] ?? s.clusterIP;
    form.elements.dport.value = s.ports[0]?.port ?? "";
    form.requestSubmit();
  });
  const traceable = s.clusterIP !== "" && s.clusterIP !== "None";
  const address = [s.clusterIP, ...s.externalIPs].filter((a) => a !== "").join(" ");
  return el(
    "tr",
    {},
    el("td", {}, `${s.namespace}/${s.name}`),
    el("td", {}, s.type),
    el("td", {}, el("code", {}, address)),
    el("td", {}, ports),
    el("td", {}, el("code", {}, s.endpoints.join(" ") || "none ready")),
    el("td", {}, traceable ? follow : ""),
  );
}

let tracing;
$("trace-form").addEventListener("submit", (e) => {
  e.preventDefault();
  tracing?.close();
  const query = new URLSearchParams();
  for (const [k, v] of new FormData(e.target)) if (String(v).trim() !== "") query.set(k, String(v).trim());
  const points = [];
  $("trace").replaceChildren();
  $("trace-status").textContent = "arming";
  tracing = new EventSource(`api/trace?${query}`);
  const source = tracing;
  source.addEventListener("armed", () => {
    $("trace-status").textContent = "armed for a minute: now send a request";
  });
  source.addEventListener("failed", (m) => {
    $("trace-status").textContent = JSON.parse(m.data).message;
    source.close();
  });
  source.addEventListener("point", (m) => {
    points.push(JSON.parse(m.data));
    points.sort((a, b) => a.timeMs - b.timeMs || a.hop - b.hop);
    const processes = points.filter((p, i) => i === 0 || points[i - 1].process !== p.process).map((p) => p.process);
    $("trace-status").textContent = `${points.length} points: ${processes.join(" → ")}`;
    $("trace").replaceChildren(...points.map((p, i) => point(p, points[i - 1], points[0])));
  });
  source.addEventListener("error", () => {
    if (points.length === 0) $("trace-status").textContent = "nothing to follow: name an address, a port or both";
    source.close();
  });
});

function point(p, before, first) {
  const crossing = !before || before.process !== p.process || before.netns !== p.netns;
  const bad = p.verdict === "drop" || p.verdict === "reject";
  const from = flow(p.before);
  const to = flow(p.after);
  return el(
    "li",
    { className: `${crossing ? "crossing" : ""} ${bad ? "bad" : ""}` },
    el("span", { className: "time" }, `+${(p.timeMs - first.timeMs).toFixed(2)} ms`),
    el("span", {}, crossing ? el("b", {}, `${p.process}${p.netns === "root" ? "" : ` ${p.netns}`}`) : ""),
    el("span", {}, `${p.place} ${p.name} ${p.verdict}`),
    el("span", {}, el("code", {}, from), from === to ? "" : el("code", { className: "changed" }, ` ⇒ ${to}`), " ", el("span", { className: "rule" }, p.rule)),
  );
}

function flow(f) {
  return `${f.protocol} ${f.src}${f.sport ? `:${f.sport}` : ""} > ${f.dst}${f.dport ? `:${f.dport}` : ""}`;
}

const count = (n) => Number(n ?? 0).toLocaleString("en");
function bytes(n) {
  const units = ["B", "kB", "MB", "GB"];
  let v = Number(n ?? 0);
  let u = 0;
  while (v >= 1000 && u < units.length - 1) {
    v /= 1000;
    u++;
  }
  return `${v.toFixed(u === 0 ? 0 : 1)} ${units[u]}`;
}
