// Generated from the Kubernetes 1.34 field and resource tables by `npm run generate`; do not edit.
import type * as authenticationv1 from "./authentication-v1.ts";
import type * as metav1 from "./meta-v1.ts";

export interface AdmissionReview {
  apiVersion?: string;
  kind?: string;
  request?: AdmissionRequest;
  response?: AdmissionResponse;
}

export interface AdmissionRequest {
  uid: string;
  kind: metav1.GroupVersionKind;
  resource: metav1.GroupVersionResource;
  subResource?: string;
  requestKind?: metav1.GroupVersionKind;
  requestResource?: metav1.GroupVersionResource;
  requestSubResource?: string;
  name?: string;
  namespace?: string;
  operation: string;
  userInfo: authenticationv1.UserInfo;
  object?: any;
  oldObject?: any;
  dryRun?: boolean;
  options?: any;
}

export interface AdmissionResponse {
  uid: string;
  allowed: boolean;
  status?: metav1.Status;
  patch?: string;
  patchType?: string;
  auditAnnotations?: Record<string, string>;
  warnings?: string[];
}
