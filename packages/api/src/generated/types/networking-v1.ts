// Generated from the Kubernetes 1.34 field and resource tables by `npm run generate`; do not edit.
import type * as corev1 from "./core-v1.ts";
import type * as metav1 from "./meta-v1.ts";

export interface NetworkPolicy {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ObjectMeta;
  spec: NetworkPolicySpec;
}

export interface NetworkPolicySpec {
  podSelector?: metav1.LabelSelector;
  ingress?: NetworkPolicyIngressRule[];
  egress?: NetworkPolicyEgressRule[];
  policyTypes?: string[];
}

export interface NetworkPolicyIngressRule {
  ports?: NetworkPolicyPort[];
  from?: NetworkPolicyPeer[];
}

export interface NetworkPolicyEgressRule {
  ports?: NetworkPolicyPort[];
  to?: NetworkPolicyPeer[];
}

export interface NetworkPolicyPort {
  protocol?: string;
  port?: number | string;
  endPort?: number;
}

export interface IPBlock {
  cidr: string;
  except?: string[];
}

export interface NetworkPolicyPeer {
  podSelector?: metav1.LabelSelector;
  namespaceSelector?: metav1.LabelSelector;
  ipBlock?: IPBlock;
}

export interface NetworkPolicyList {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ListMeta;
  items: NetworkPolicy[];
}

export interface Ingress {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ObjectMeta;
  spec: IngressSpec;
  status?: IngressStatus;
}

export interface IngressList {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ListMeta;
  items: Ingress[];
}

export interface IngressSpec {
  ingressClassName?: string;
  defaultBackend?: IngressBackend;
  tls?: IngressTLS[];
  rules?: IngressRule[];
}

export interface IngressTLS {
  hosts?: string[];
  secretName?: string;
}

export interface IngressStatus {
  loadBalancer?: IngressLoadBalancerStatus;
}

export interface IngressLoadBalancerStatus {
  ingress?: IngressLoadBalancerIngress[];
}

export interface IngressLoadBalancerIngress {
  ip?: string;
  hostname?: string;
  ports?: IngressPortStatus[];
}

export interface IngressPortStatus {
  port: number;
  protocol: string;
  error?: string;
}

export interface IngressRule extends IngressRuleValue {
  host?: string;
}

export interface IngressRuleValue {
  http?: HTTPIngressRuleValue;
}

export interface HTTPIngressRuleValue {
  paths: HTTPIngressPath[];
}

export interface HTTPIngressPath {
  path?: string;
  pathType?: string;
  backend: IngressBackend;
}

export interface IngressBackend {
  service?: IngressServiceBackend;
  resource?: corev1.TypedLocalObjectReference;
}

export interface IngressServiceBackend {
  name: string;
  port?: ServiceBackendPort;
}

export interface ServiceBackendPort {
  name?: string;
  number?: number;
}

export interface IngressClass {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ObjectMeta;
  spec: IngressClassSpec;
}

export interface IngressClassSpec {
  controller?: string;
  parameters?: IngressClassParametersReference;
}

export interface IngressClassParametersReference {
  apiGroup?: string;
  kind: string;
  name: string;
  scope?: string;
  namespace?: string;
}

export interface IngressClassList {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ListMeta;
  items: IngressClass[];
}

export interface IPAddress {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ObjectMeta;
  spec: IPAddressSpec;
}

export interface IPAddressSpec {
  parentRef?: ParentReference;
}

export interface ParentReference {
  group?: string;
  resource?: string;
  namespace?: string;
  name?: string;
}

export interface IPAddressList {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ListMeta;
  items: IPAddress[];
}

export interface ServiceCIDR {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ObjectMeta;
  spec: ServiceCIDRSpec;
  status?: ServiceCIDRStatus;
}

export interface ServiceCIDRSpec {
  cidrs?: string[];
}

export interface ServiceCIDRStatus {
  conditions?: metav1.Condition[];
}

export interface ServiceCIDRList {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ListMeta;
  items: ServiceCIDR[];
}
