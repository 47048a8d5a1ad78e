// The demo: a Deployment of three web servers, a Service that the edge serves on this host, and a pod that asks it by name.
import type { KubeObject } from "@podwire/client";

export const DEMO_NAMESPACE = "default";
export const DEMO_SERVICE = "web";
export const DEMO_CLIENT = "client";
const PORT = 8080;

export const demo: readonly KubeObject[] = [
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace: DEMO_NAMESPACE, labels: { app: "web" } },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: "web" } },
      template: {
        metadata: { labels: { app: "web" } },
        spec: {
          topologySpreadConstraints: [
            {
              maxSkew: 1,
              topologyKey: "kubernetes.io/hostname",
              whenUnsatisfiable: "ScheduleAnyway",
              labelSelector: { matchLabels: { app: "web" } },
            },
          ],
          containers: [
            {
              name: "web",
              image: "podwire/echo",
              ports: [{ name: "http", containerPort: PORT }],
              readinessProbe: { httpGet: { path: "/", port: "http" }, periodSeconds: 5 },
            },
          ],
        },
      },
    },
  },
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: DEMO_SERVICE, namespace: DEMO_NAMESPACE, labels: { app: "web" } },
    spec: { type: "LoadBalancer", selector: { app: "web" }, ports: [{ name: "http", port: 80, targetPort: "http" }] },
  },
  {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: DEMO_CLIENT, namespace: DEMO_NAMESPACE, labels: { app: "client" } },
    spec: {
      containers: [
        {
          name: "client",
          image: "podwire/client",
          args: ["--interval=1", `http://${DEMO_SERVICE}.${DEMO_NAMESPACE}.svc.cluster.local/`],
        },
      ],
    },
  },
];
