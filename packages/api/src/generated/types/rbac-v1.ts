// Generated from the Kubernetes 1.34 field and resource tables by `npm run generate`; do not edit.
import type * as metav1 from "./meta-v1.ts";

export interface PolicyRule {
  verbs: string[];
  apiGroups?: string[];
  resources?: string[];
  resourceNames?: string[];
  nonResourceURLs?: string[];
}

export interface Subject {
  kind: string;
  apiGroup?: string;
  name: string;
  namespace?: string;
}

export interface RoleRef {
  apiGroup: string;
  kind: string;
  name: string;
}

export interface Role {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ObjectMeta;
  rules?: PolicyRule[];
}

export interface RoleBinding {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ObjectMeta;
  subjects?: Subject[];
  roleRef: RoleRef;
}

export interface RoleBindingList {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ListMeta;
  items: RoleBinding[];
}

export interface RoleList {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ListMeta;
  items: Role[];
}

export interface ClusterRole {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ObjectMeta;
  rules?: PolicyRule[];
  aggregationRule?: AggregationRule;
}

export interface AggregationRule {
  clusterRoleSelectors?: metav1.LabelSelector[];
}

export interface ClusterRoleBinding {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ObjectMeta;
  subjects?: Subject[];
  roleRef: RoleRef;
}

export interface ClusterRoleBindingList {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ListMeta;
  items: ClusterRoleBinding[];
}

export interface ClusterRoleList {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ListMeta;
  items: ClusterRole[];
}
