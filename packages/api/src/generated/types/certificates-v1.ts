// Generated from the Kubernetes 1.34 field and resource tables by `npm run generate`; do not edit.
import type * as metav1 from "./meta-v1.ts";

export interface CertificateSigningRequest {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ObjectMeta;
  spec: CertificateSigningRequestSpec;
  status?: CertificateSigningRequestStatus;
}

export interface CertificateSigningRequestSpec {
  request: string;
  signerName: string;
  expirationSeconds?: number;
  usages?: string[];
  username?: string;
  uid?: string;
  groups?: string[];
  extra?: Record<string, string[]>;
}

export interface CertificateSigningRequestStatus {
  conditions?: CertificateSigningRequestCondition[];
  certificate?: string;
}

export interface CertificateSigningRequestCondition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastUpdateTime?: string;
  lastTransitionTime?: string;
}

export interface CertificateSigningRequestList {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ListMeta;
  items: CertificateSigningRequest[];
}
