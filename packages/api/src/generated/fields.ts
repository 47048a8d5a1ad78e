// Generated from the Kubernetes 1.34 field and resource tables by `npm run generate`; do not edit.
export const TYPES: Record<string, string> = {
  "admission/v1.AdmissionReview":
    "k\n- meta/v1.TypeMeta 0 i\nrequest *admission/v1.AdmissionRequest 1 eo\nresponse *admission/v1.AdmissionResponse 2 eo",
  "admission/v1.AdmissionRequest":
    "\nuid types.UID 1 -\nkind meta/v1.GroupVersionKind 2 -\nresource meta/v1.GroupVersionResource 3 -\nsubResource string 4 eo\nrequestKind *meta/v1.GroupVersionKind 13 eo\nrequestResource *meta/v1.GroupVersionResource 14 eo\nrequestSubResource string 15 eo\nname string 5 eo\nnamespace string 6 eo\noperation admission/v1.Operation 7 -\nuserInfo authentication/v1.UserInfo 8 -\nobject RawExtension 9 eo\noldObject RawExtension 10 eo\ndryRun *bool 11 eo\noptions RawExtension 12 eo",
  "admission/v1.AdmissionResponse":
    "\nuid types.UID 1 -\nallowed bool 2 -\nstatus *meta/v1.Status 3 eo\npatch bytes 4 eo\npatchType *admission/v1.PatchType 5 eo\nauditAnnotations map[string]string 6 eo\nwarnings []string 7 eo",
  "admissionregistration/v1.Rule":
    "\napiGroups []string 1 e lt=atomic\napiVersions []string 2 e lt=atomic\nresources []string 3 e lt=atomic\nscope *admissionregistration/v1.ScopeType 4 eo",
  "admissionregistration/v1.ValidatingAdmissionPolicy":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec admissionregistration/v1.ValidatingAdmissionPolicySpec 2 e\nstatus admissionregistration/v1.ValidatingAdmissionPolicyStatus 3 eo",
  "admissionregistration/v1.ValidatingAdmissionPolicyStatus":
    "\nobservedGeneration int64 1 eo\ntypeChecking *admissionregistration/v1.TypeChecking 2 eo\nconditions []meta/v1.Condition 3 eo lt=map lk=type",
  "admissionregistration/v1.TypeChecking":
    "\nexpressionWarnings []admissionregistration/v1.ExpressionWarning 1 eo lt=atomic",
  "admissionregistration/v1.ExpressionWarning":
    "\nfieldRef string 2 -\nwarning string 3 -",
  "admissionregistration/v1.ValidatingAdmissionPolicyList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []admissionregistration/v1.ValidatingAdmissionPolicy 2 -",
  "admissionregistration/v1.ValidatingAdmissionPolicySpec":
    "\nparamKind *admissionregistration/v1.ParamKind 1 eo\nmatchConstraints *admissionregistration/v1.MatchResources 2 e\nvalidations []admissionregistration/v1.Validation 3 eo lt=atomic\nfailurePolicy *admissionregistration/v1.FailurePolicyType 4 eo\nauditAnnotations []admissionregistration/v1.AuditAnnotation 5 eo lt=atomic\nmatchConditions []admissionregistration/v1.MatchCondition 6 eo ps=merge pk=name lt=map lk=name\nvariables []admissionregistration/v1.Variable 7 eo ps=merge pk=name lt=map lk=name",
  "admissionregistration/v1.ParamKind":
    "a\napiVersion string 1 e\nkind string 2 e",
  "admissionregistration/v1.Validation":
    "\nexpression string 1 -\nmessage string 2 eo\nreason *meta/v1.StatusReason 3 eo\nmessageExpression string 4 eo",
  "admissionregistration/v1.Variable":
    "a\nname string 1 -\nexpression string 2 -",
  "admissionregistration/v1.AuditAnnotation":
    "\nkey string 1 -\nvalueExpression string 2 -",
  "admissionregistration/v1.ValidatingAdmissionPolicyBinding":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec admissionregistration/v1.ValidatingAdmissionPolicyBindingSpec 2 e",
  "admissionregistration/v1.ValidatingAdmissionPolicyBindingList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []admissionregistration/v1.ValidatingAdmissionPolicyBinding 2 -",
  "admissionregistration/v1.ValidatingAdmissionPolicyBindingSpec":
    "\npolicyName string 1 e\nparamRef *admissionregistration/v1.ParamRef 2 eo\nmatchResources *admissionregistration/v1.MatchResources 3 eo\nvalidationActions []admissionregistration/v1.ValidationAction 4 e lt=set",
  "admissionregistration/v1.ParamRef":
    "a\nname string 1 e\nnamespace string 2 eo\nselector *meta/v1.LabelSelector 3 eo\nparameterNotFoundAction *admissionregistration/v1.ParameterNotFoundActionType 4 e",
  "admissionregistration/v1.MatchResources":
    "a\nnamespaceSelector *meta/v1.LabelSelector 1 eo\nobjectSelector *meta/v1.LabelSelector 2 eo\nresourceRules []admissionregistration/v1.NamedRuleWithOperations 3 eo lt=atomic\nexcludeResourceRules []admissionregistration/v1.NamedRuleWithOperations 4 eo lt=atomic\nmatchPolicy *admissionregistration/v1.MatchPolicyType 7 eo",
  "admissionregistration/v1.NamedRuleWithOperations":
    "a\nresourceNames []string 1 eo lt=atomic\n- admissionregistration/v1.RuleWithOperations 2 i",
  "admissionregistration/v1.ValidatingWebhookConfiguration":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nwebhooks []admissionregistration/v1.ValidatingWebhook 2 eo ps=merge pk=name lt=map lk=name",
  "admissionregistration/v1.ValidatingWebhookConfigurationList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []admissionregistration/v1.ValidatingWebhookConfiguration 2 -",
  "admissionregistration/v1.MutatingWebhookConfiguration":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nwebhooks []admissionregistration/v1.MutatingWebhook 2 eo ps=merge pk=name lt=map lk=name",
  "admissionregistration/v1.MutatingWebhookConfigurationList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []admissionregistration/v1.MutatingWebhookConfiguration 2 -",
  "admissionregistration/v1.ValidatingWebhook":
    "\nname string 1 -\nclientConfig admissionregistration/v1.WebhookClientConfig 2 -\nrules []admissionregistration/v1.RuleWithOperations 3 e lt=atomic\nfailurePolicy *admissionregistration/v1.FailurePolicyType 4 eo\nmatchPolicy *admissionregistration/v1.MatchPolicyType 9 eo\nnamespaceSelector *meta/v1.LabelSelector 5 eo\nobjectSelector *meta/v1.LabelSelector 10 eo\nsideEffects *admissionregistration/v1.SideEffectClass 6 -\ntimeoutSeconds *int32 7 eo\nadmissionReviewVersions []string 8 - lt=atomic\nmatchConditions []admissionregistration/v1.MatchCondition 11 eo ps=merge pk=name lt=map lk=name",
  "admissionregistration/v1.MutatingWebhook":
    "\nname string 1 -\nclientConfig admissionregistration/v1.WebhookClientConfig 2 -\nrules []admissionregistration/v1.RuleWithOperations 3 e lt=atomic\nfailurePolicy *admissionregistration/v1.FailurePolicyType 4 eo\nmatchPolicy *admissionregistration/v1.MatchPolicyType 9 eo\nnamespaceSelector *meta/v1.LabelSelector 5 eo\nobjectSelector *meta/v1.LabelSelector 11 eo\nsideEffects *admissionregistration/v1.SideEffectClass 6 -\ntimeoutSeconds *int32 7 eo\nadmissionReviewVersions []string 8 - lt=atomic\nreinvocationPolicy *admissionregistration/v1.ReinvocationPolicyType 10 eo\nmatchConditions []admissionregistration/v1.MatchCondition 12 eo ps=merge pk=name lt=map lk=name",
  "admissionregistration/v1.RuleWithOperations":
    "\noperations []admissionregistration/v1.OperationType 1 e lt=atomic\n- admissionregistration/v1.Rule 2 i",
  "admissionregistration/v1.WebhookClientConfig":
    "\nurl *string 3 eo\nservice *admissionregistration/v1.ServiceReference 1 eo\ncaBundle bytes 2 eo",
  "admissionregistration/v1.ServiceReference":
    "\nnamespace string 1 -\nname string 2 -\npath *string 3 eo\nport *int32 4 eo",
  "admissionregistration/v1.MatchCondition":
    "\nname string 1 -\nexpression string 2 -",
  "apidiscovery/v2.APIGroupDiscoveryList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []apidiscovery/v2.APIGroupDiscovery 2 -",
  "apidiscovery/v2.APIGroupDiscovery":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nversions []apidiscovery/v2.APIVersionDiscovery 2 e lt=map lk=version",
  "apidiscovery/v2.APIVersionDiscovery":
    "\nversion string 1 -\nresources []apidiscovery/v2.APIResourceDiscovery 2 e lt=map lk=resource\nfreshness apidiscovery/v2.DiscoveryFreshness 3 e",
  "apidiscovery/v2.APIResourceDiscovery":
    "\nresource string 1 -\nresponseKind *meta/v1.GroupVersionKind 2 e\nscope apidiscovery/v2.ResourceScope 3 -\nsingularResource string 4 -\nverbs []string 5 - lt=set\nshortNames []string 6 e lt=set\ncategories []string 7 e lt=set\nsubresources []apidiscovery/v2.APISubresourceDiscovery 8 e lt=map lk=subresource",
  "apidiscovery/v2.APISubresourceDiscovery":
    "\nsubresource string 1 -\nresponseKind *meta/v1.GroupVersionKind 2 e\nacceptedTypes []meta/v1.GroupVersionKind 3 e lt=map lk=group,version,kind\nverbs []string 4 - lt=set",
  "apidiscovery/v2beta1.APIGroupDiscoveryList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []apidiscovery/v2beta1.APIGroupDiscovery 2 -",
  "apidiscovery/v2beta1.APIGroupDiscovery":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nversions []apidiscovery/v2beta1.APIVersionDiscovery 2 e lt=map lk=version",
  "apidiscovery/v2beta1.APIVersionDiscovery":
    "\nversion string 1 -\nresources []apidiscovery/v2beta1.APIResourceDiscovery 2 e lt=map lk=resource\nfreshness apidiscovery/v2beta1.DiscoveryFreshness 3 e",
  "apidiscovery/v2beta1.APIResourceDiscovery":
    "\nresource string 1 -\nresponseKind *meta/v1.GroupVersionKind 2 e\nscope apidiscovery/v2beta1.ResourceScope 3 -\nsingularResource string 4 -\nverbs []string 5 - lt=set\nshortNames []string 6 e lt=set\ncategories []string 7 e lt=set\nsubresources []apidiscovery/v2beta1.APISubresourceDiscovery 8 e lt=map lk=subresource",
  "apidiscovery/v2beta1.APISubresourceDiscovery":
    "\nsubresource string 1 -\nresponseKind *meta/v1.GroupVersionKind 2 e\nacceptedTypes []meta/v1.GroupVersionKind 3 e lt=map lk=group,version,kind\nverbs []string 4 - lt=set",
  "apps/v1.StatefulSet":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec apps/v1.StatefulSetSpec 2 eo\nstatus apps/v1.StatefulSetStatus 3 eo",
  "apps/v1.StatefulSetUpdateStrategy":
    "\ntype apps/v1.StatefulSetUpdateStrategyType 1 eo\nrollingUpdate *apps/v1.RollingUpdateStatefulSetStrategy 2 eo",
  "apps/v1.RollingUpdateStatefulSetStrategy":
    "\npartition *int32 1 eo\nmaxUnavailable *IntOrString 2 eo",
  "apps/v1.StatefulSetPersistentVolumeClaimRetentionPolicy":
    "\nwhenDeleted apps/v1.PersistentVolumeClaimRetentionPolicyType 1 e\nwhenScaled apps/v1.PersistentVolumeClaimRetentionPolicyType 2 e",
  "apps/v1.StatefulSetOrdinals":
    "\nstart int32 1 o",
  "apps/v1.StatefulSetSpec":
    "\nreplicas *int32 1 eo\nselector *meta/v1.LabelSelector 2 -\ntemplate core/v1.PodTemplateSpec 3 -\nvolumeClaimTemplates []core/v1.PersistentVolumeClaim 4 eo lt=atomic\nserviceName string 5 o\npodManagementPolicy apps/v1.PodManagementPolicyType 6 eo\nupdateStrategy apps/v1.StatefulSetUpdateStrategy 7 e\nrevisionHistoryLimit *int32 8 e\nminReadySeconds int32 9 eo\npersistentVolumeClaimRetentionPolicy *apps/v1.StatefulSetPersistentVolumeClaimRetentionPolicy 10 eo\nordinals *apps/v1.StatefulSetOrdinals 11 eo",
  "apps/v1.StatefulSetStatus":
    "\nobservedGeneration int64 1 eo\nreplicas int32 2 -\nreadyReplicas int32 3 e\ncurrentReplicas int32 4 e\nupdatedReplicas int32 5 e\ncurrentRevision string 6 e\nupdateRevision string 7 e\ncollisionCount *int32 9 eo\nconditions []apps/v1.StatefulSetCondition 10 eo ps=merge pk=type lt=map lk=type\navailableReplicas int32 11 o",
  "apps/v1.StatefulSetCondition":
    "\ntype apps/v1.StatefulSetConditionType 1 -\nstatus core/v1.ConditionStatus 2 -\nlastTransitionTime Time 3 eo\nreason string 4 eo\nmessage string 5 eo",
  "apps/v1.StatefulSetList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []apps/v1.StatefulSet 2 -",
  "apps/v1.Deployment":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec apps/v1.DeploymentSpec 2 eo\nstatus apps/v1.DeploymentStatus 3 eo",
  "apps/v1.DeploymentSpec":
    "\nreplicas *int32 1 eo\nselector *meta/v1.LabelSelector 2 -\ntemplate core/v1.PodTemplateSpec 3 -\nstrategy apps/v1.DeploymentStrategy 4 eo ps=retainKeys\nminReadySeconds int32 5 eo\nrevisionHistoryLimit *int32 6 eo\npaused bool 7 eo\nprogressDeadlineSeconds *int32 9 e",
  "apps/v1.DeploymentStrategy":
    "\ntype apps/v1.DeploymentStrategyType 1 eo\nrollingUpdate *apps/v1.RollingUpdateDeployment 2 eo",
  "apps/v1.RollingUpdateDeployment":
    "\nmaxUnavailable *IntOrString 1 eo\nmaxSurge *IntOrString 2 eo",
  "apps/v1.DeploymentStatus":
    "\nobservedGeneration int64 1 eo\nreplicas int32 2 eo\nupdatedReplicas int32 3 eo\nreadyReplicas int32 7 eo\navailableReplicas int32 4 eo\nunavailableReplicas int32 5 eo\nterminatingReplicas *int32 9 eo\nconditions []apps/v1.DeploymentCondition 6 e ps=merge pk=type lt=map lk=type\ncollisionCount *int32 8 eo",
  "apps/v1.DeploymentCondition":
    "\ntype apps/v1.DeploymentConditionType 1 -\nstatus core/v1.ConditionStatus 2 -\nlastUpdateTime Time 6 e\nlastTransitionTime Time 7 e\nreason string 4 e\nmessage string 5 e",
  "apps/v1.DeploymentList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []apps/v1.Deployment 2 -",
  "apps/v1.DaemonSetUpdateStrategy":
    "\ntype apps/v1.DaemonSetUpdateStrategyType 1 eo\nrollingUpdate *apps/v1.RollingUpdateDaemonSet 2 eo",
  "apps/v1.RollingUpdateDaemonSet":
    "\nmaxUnavailable *IntOrString 1 eo\nmaxSurge *IntOrString 2 eo",
  "apps/v1.DaemonSetSpec":
    "\nselector *meta/v1.LabelSelector 1 -\ntemplate core/v1.PodTemplateSpec 2 -\nupdateStrategy apps/v1.DaemonSetUpdateStrategy 3 eo\nminReadySeconds int32 4 eo\nrevisionHistoryLimit *int32 6 eo",
  "apps/v1.DaemonSetStatus":
    "\ncurrentNumberScheduled int32 1 -\nnumberMisscheduled int32 2 -\ndesiredNumberScheduled int32 3 -\nnumberReady int32 4 -\nobservedGeneration int64 5 eo\nupdatedNumberScheduled int32 6 eo\nnumberAvailable int32 7 eo\nnumberUnavailable int32 8 eo\ncollisionCount *int32 9 eo\nconditions []apps/v1.DaemonSetCondition 10 eo ps=merge pk=type lt=map lk=type",
  "apps/v1.DaemonSetCondition":
    "\ntype apps/v1.DaemonSetConditionType 1 -\nstatus core/v1.ConditionStatus 2 -\nlastTransitionTime Time 3 eo\nreason string 4 eo\nmessage string 5 eo",
  "apps/v1.DaemonSet":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec apps/v1.DaemonSetSpec 2 eo\nstatus apps/v1.DaemonSetStatus 3 eo",
  "apps/v1.DaemonSetList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []apps/v1.DaemonSet 2 -",
  "apps/v1.ReplicaSet":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec apps/v1.ReplicaSetSpec 2 eo\nstatus apps/v1.ReplicaSetStatus 3 eo",
  "apps/v1.ReplicaSetList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []apps/v1.ReplicaSet 2 -",
  "apps/v1.ReplicaSetSpec":
    "\nreplicas *int32 1 eo\nminReadySeconds int32 4 eo\nselector *meta/v1.LabelSelector 2 -\ntemplate core/v1.PodTemplateSpec 3 eo",
  "apps/v1.ReplicaSetStatus":
    "\nreplicas int32 1 -\nfullyLabeledReplicas int32 2 eo\nreadyReplicas int32 4 eo\navailableReplicas int32 5 eo\nterminatingReplicas *int32 7 eo\nobservedGeneration int64 3 eo\nconditions []apps/v1.ReplicaSetCondition 6 eo ps=merge pk=type lt=map lk=type",
  "apps/v1.ReplicaSetCondition":
    "\ntype apps/v1.ReplicaSetConditionType 1 -\nstatus core/v1.ConditionStatus 2 -\nlastTransitionTime Time 3 eo\nreason string 4 eo\nmessage string 5 eo",
  "apps/v1.ControllerRevision":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\ndata RawExtension 2 e\nrevision int64 3 -",
  "apps/v1.ControllerRevisionList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []apps/v1.ControllerRevision 2 -",
  "authentication/v1.TokenReview":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec authentication/v1.TokenReviewSpec 2 -\nstatus authentication/v1.TokenReviewStatus 3 eo",
  "authentication/v1.TokenReviewSpec":
    "\ntoken string 1 eo\naudiences []string 2 eo lt=atomic",
  "authentication/v1.TokenReviewStatus":
    "\nauthenticated bool 1 eo\nuser authentication/v1.UserInfo 2 eo\naudiences []string 4 eo lt=atomic\nerror string 3 eo",
  "authentication/v1.UserInfo":
    "\nusername string 1 eo\nuid string 2 eo\ngroups []string 3 eo lt=atomic\nextra map[string]authentication/v1.ExtraValue 4 eo",
  "authentication/v1.TokenRequest":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec authentication/v1.TokenRequestSpec 2 -\nstatus authentication/v1.TokenRequestStatus 3 eo",
  "authentication/v1.TokenRequestSpec":
    "\naudiences []string 1 - lt=atomic\nexpirationSeconds *int64 4 o\nboundObjectRef *authentication/v1.BoundObjectReference 3 o",
  "authentication/v1.TokenRequestStatus":
    "\ntoken string 1 -\nexpirationTimestamp Time 2 -",
  "authentication/v1.BoundObjectReference":
    "\nkind string 1 eo\napiVersion string 2 eo\nname string 3 eo\nuid types.UID 4 eo",
  "authentication/v1.SelfSubjectReview":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nstatus authentication/v1.SelfSubjectReviewStatus 2 e",
  "authentication/v1.SelfSubjectReviewStatus":
    "\nuserInfo authentication/v1.UserInfo 1 eo",
  "authorization/v1.SubjectAccessReview":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec authorization/v1.SubjectAccessReviewSpec 2 -\nstatus authorization/v1.SubjectAccessReviewStatus 3 eo",
  "authorization/v1.SelfSubjectAccessReview":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec authorization/v1.SelfSubjectAccessReviewSpec 2 -\nstatus authorization/v1.SubjectAccessReviewStatus 3 eo",
  "authorization/v1.LocalSubjectAccessReview":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec authorization/v1.SubjectAccessReviewSpec 2 -\nstatus authorization/v1.SubjectAccessReviewStatus 3 eo",
  "authorization/v1.ResourceAttributes":
    "\nnamespace string 1 eo\nverb string 2 eo\ngroup string 3 eo\nversion string 4 eo\nresource string 5 eo\nsubresource string 6 eo\nname string 7 eo\nfieldSelector *authorization/v1.FieldSelectorAttributes 8 eo\nlabelSelector *authorization/v1.LabelSelectorAttributes 9 eo",
  "authorization/v1.LabelSelectorAttributes":
    "\nrawSelector string 1 eo\nrequirements []meta/v1.LabelSelectorRequirement 2 eo lt=atomic",
  "authorization/v1.FieldSelectorAttributes":
    "\nrawSelector string 1 eo\nrequirements []meta/v1.FieldSelectorRequirement 2 eo lt=atomic",
  "authorization/v1.NonResourceAttributes":
    "\npath string 1 eo\nverb string 2 eo",
  "authorization/v1.SubjectAccessReviewSpec":
    "\nresourceAttributes *authorization/v1.ResourceAttributes 1 eo\nnonResourceAttributes *authorization/v1.NonResourceAttributes 2 eo\nuser string 3 eo\ngroups []string 4 eo lt=atomic\nextra map[string]authorization/v1.ExtraValue 5 eo\nuid string 6 eo",
  "authorization/v1.SelfSubjectAccessReviewSpec":
    "\nresourceAttributes *authorization/v1.ResourceAttributes 1 eo\nnonResourceAttributes *authorization/v1.NonResourceAttributes 2 eo",
  "authorization/v1.SubjectAccessReviewStatus":
    "\nallowed bool 1 -\ndenied bool 4 eo\nreason string 2 eo\nevaluationError string 3 eo",
  "authorization/v1.SelfSubjectRulesReview":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec authorization/v1.SelfSubjectRulesReviewSpec 2 -\nstatus authorization/v1.SubjectRulesReviewStatus 3 eo",
  "authorization/v1.SelfSubjectRulesReviewSpec":
    "\nnamespace string 1 e",
  "authorization/v1.SubjectRulesReviewStatus":
    "\nresourceRules []authorization/v1.ResourceRule 1 - lt=atomic\nnonResourceRules []authorization/v1.NonResourceRule 2 - lt=atomic\nincomplete bool 3 -\nevaluationError string 4 eo",
  "authorization/v1.ResourceRule":
    "\nverbs []string 1 - lt=atomic\napiGroups []string 2 eo lt=atomic\nresources []string 3 eo lt=atomic\nresourceNames []string 4 eo lt=atomic",
  "authorization/v1.NonResourceRule":
    "\nverbs []string 1 - lt=atomic\nnonResourceURLs []string 2 eo lt=atomic",
  "autoscaling/v1.CrossVersionObjectReference":
    "a\nkind string 1 -\nname string 2 -\napiVersion string 3 eo",
  "autoscaling/v1.HorizontalPodAutoscalerSpec":
    "\nscaleTargetRef autoscaling/v1.CrossVersionObjectReference 1 -\nminReplicas *int32 2 eo\nmaxReplicas int32 3 -\ntargetCPUUtilizationPercentage *int32 4 eo",
  "autoscaling/v1.HorizontalPodAutoscalerStatus":
    "\nobservedGeneration *int64 1 eo\nlastScaleTime *Time 2 eo\ncurrentReplicas int32 3 -\ndesiredReplicas int32 4 -\ncurrentCPUUtilizationPercentage *int32 5 eo",
  "autoscaling/v1.HorizontalPodAutoscaler":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec autoscaling/v1.HorizontalPodAutoscalerSpec 2 eo\nstatus autoscaling/v1.HorizontalPodAutoscalerStatus 3 eo",
  "autoscaling/v1.HorizontalPodAutoscalerList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []autoscaling/v1.HorizontalPodAutoscaler 2 -",
  "autoscaling/v1.Scale":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec autoscaling/v1.ScaleSpec 2 eo\nstatus autoscaling/v1.ScaleStatus 3 eo",
  "autoscaling/v1.ScaleSpec":
    "\nreplicas int32 1 eo d=0",
  "autoscaling/v1.ScaleStatus":
    "\nreplicas int32 1 -\nselector string 2 eo",
  "autoscaling/v1.MetricSpec":
    "\ntype autoscaling/v1.MetricSourceType 1 -\nobject *autoscaling/v1.ObjectMetricSource 2 eo\npods *autoscaling/v1.PodsMetricSource 3 eo\nresource *autoscaling/v1.ResourceMetricSource 4 eo\ncontainerResource *autoscaling/v1.ContainerResourceMetricSource 7 eo\nexternal *autoscaling/v1.ExternalMetricSource 5 eo",
  "autoscaling/v1.ObjectMetricSource":
    "\ntarget autoscaling/v1.CrossVersionObjectReference 1 -\nmetricName string 2 -\ntargetValue Quantity 3 -\nselector *meta/v1.LabelSelector 4 eo\naverageValue *Quantity 5 eo",
  "autoscaling/v1.PodsMetricSource":
    "\nmetricName string 1 -\ntargetAverageValue Quantity 2 -\nselector *meta/v1.LabelSelector 3 eo",
  "autoscaling/v1.ResourceMetricSource":
    "\nname core/v1.ResourceName 1 -\ntargetAverageUtilization *int32 2 eo\ntargetAverageValue *Quantity 3 eo",
  "autoscaling/v1.ContainerResourceMetricSource":
    "\nname core/v1.ResourceName 1 -\ntargetAverageUtilization *int32 2 eo\ntargetAverageValue *Quantity 3 eo\ncontainer string 5 -",
  "autoscaling/v1.ExternalMetricSource":
    "\nmetricName string 1 -\nmetricSelector *meta/v1.LabelSelector 2 eo\ntargetValue *Quantity 3 eo\ntargetAverageValue *Quantity 4 eo",
  "autoscaling/v1.MetricStatus":
    "\ntype autoscaling/v1.MetricSourceType 1 -\nobject *autoscaling/v1.ObjectMetricStatus 2 eo\npods *autoscaling/v1.PodsMetricStatus 3 eo\nresource *autoscaling/v1.ResourceMetricStatus 4 eo\ncontainerResource *autoscaling/v1.ContainerResourceMetricStatus 7 eo\nexternal *autoscaling/v1.ExternalMetricStatus 5 eo",
  "autoscaling/v1.HorizontalPodAutoscalerCondition":
    "\ntype autoscaling/v1.HorizontalPodAutoscalerConditionType 1 -\nstatus core/v1.ConditionStatus 2 -\nlastTransitionTime Time 3 eo\nreason string 4 eo\nmessage string 5 eo",
  "autoscaling/v1.ObjectMetricStatus":
    "\ntarget autoscaling/v1.CrossVersionObjectReference 1 -\nmetricName string 2 -\ncurrentValue Quantity 3 -\nselector *meta/v1.LabelSelector 4 eo\naverageValue *Quantity 5 eo",
  "autoscaling/v1.PodsMetricStatus":
    "\nmetricName string 1 -\ncurrentAverageValue Quantity 2 -\nselector *meta/v1.LabelSelector 3 eo",
  "autoscaling/v1.ResourceMetricStatus":
    "\nname core/v1.ResourceName 1 -\ncurrentAverageUtilization *int32 2 eo\ncurrentAverageValue Quantity 3 -",
  "autoscaling/v1.ContainerResourceMetricStatus":
    "\nname core/v1.ResourceName 1 -\ncurrentAverageUtilization *int32 2 eo\ncurrentAverageValue Quantity 3 -\ncontainer string 4 -",
  "autoscaling/v1.ExternalMetricStatus":
    "\nmetricName string 1 -\nmetricSelector *meta/v1.LabelSelector 2 eo\ncurrentValue Quantity 3 -\ncurrentAverageValue *Quantity 4 eo",
  "autoscaling/v2.HorizontalPodAutoscaler":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec autoscaling/v2.HorizontalPodAutoscalerSpec 2 eo\nstatus autoscaling/v2.HorizontalPodAutoscalerStatus 3 eo",
  "autoscaling/v2.HorizontalPodAutoscalerSpec":
    "\nscaleTargetRef autoscaling/v2.CrossVersionObjectReference 1 -\nminReplicas *int32 2 eo\nmaxReplicas int32 3 -\nmetrics []autoscaling/v2.MetricSpec 4 eo lt=atomic\nbehavior *autoscaling/v2.HorizontalPodAutoscalerBehavior 5 eo",
  "autoscaling/v2.CrossVersionObjectReference":
    "\nkind string 1 -\nname string 2 -\napiVersion string 3 eo",
  "autoscaling/v2.MetricSpec":
    "\ntype autoscaling/v2.MetricSourceType 1 -\nobject *autoscaling/v2.ObjectMetricSource 2 eo\npods *autoscaling/v2.PodsMetricSource 3 eo\nresource *autoscaling/v2.ResourceMetricSource 4 eo\ncontainerResource *autoscaling/v2.ContainerResourceMetricSource 7 eo\nexternal *autoscaling/v2.ExternalMetricSource 5 eo",
  "autoscaling/v2.HorizontalPodAutoscalerBehavior":
    "\nscaleUp *autoscaling/v2.HPAScalingRules 1 eo\nscaleDown *autoscaling/v2.HPAScalingRules 2 eo",
  "autoscaling/v2.HPAScalingRules":
    "\nstabilizationWindowSeconds *int32 3 eo\nselectPolicy *autoscaling/v2.ScalingPolicySelect 1 eo\npolicies []autoscaling/v2.HPAScalingPolicy 2 eo lt=atomic\ntolerance *Quantity 4 eo fg=HPAConfigurableTolerance",
  "autoscaling/v2.HPAScalingPolicy":
    "\ntype autoscaling/v2.HPAScalingPolicyType 1 -\nvalue int32 2 -\nperiodSeconds int32 3 -",
  "autoscaling/v2.ObjectMetricSource":
    "\ndescribedObject autoscaling/v2.CrossVersionObjectReference 1 -\ntarget autoscaling/v2.MetricTarget 2 -\nmetric autoscaling/v2.MetricIdentifier 3 -",
  "autoscaling/v2.PodsMetricSource":
    "\nmetric autoscaling/v2.MetricIdentifier 1 -\ntarget autoscaling/v2.MetricTarget 2 -",
  "autoscaling/v2.ResourceMetricSource":
    "\nname core/v1.ResourceName 1 -\ntarget autoscaling/v2.MetricTarget 2 -",
  "autoscaling/v2.ContainerResourceMetricSource":
    "\nname core/v1.ResourceName 1 -\ntarget autoscaling/v2.MetricTarget 2 -\ncontainer string 3 -",
  "autoscaling/v2.ExternalMetricSource":
    "\nmetric autoscaling/v2.MetricIdentifier 1 -\ntarget autoscaling/v2.MetricTarget 2 -",
  "autoscaling/v2.MetricIdentifier":
    "\nname string 1 -\nselector *meta/v1.LabelSelector 2 eo",
  "autoscaling/v2.MetricTarget":
    "\ntype autoscaling/v2.MetricTargetType 1 -\nvalue *Quantity 2 eo\naverageValue *Quantity 3 eo\naverageUtilization *int32 4 eo",
  "autoscaling/v2.HorizontalPodAutoscalerStatus":
    "\nobservedGeneration *int64 1 eo\nlastScaleTime *Time 2 eo\ncurrentReplicas int32 3 eo\ndesiredReplicas int32 4 -\ncurrentMetrics []autoscaling/v2.MetricStatus 5 o lt=atomic\nconditions []autoscaling/v2.HorizontalPodAutoscalerCondition 6 eo ps=merge pk=type lt=map lk=type",
  "autoscaling/v2.HorizontalPodAutoscalerCondition":
    "\ntype autoscaling/v2.HorizontalPodAutoscalerConditionType 1 -\nstatus core/v1.ConditionStatus 2 -\nlastTransitionTime Time 3 eo\nreason string 4 eo\nmessage string 5 eo",
  "autoscaling/v2.MetricStatus":
    "\ntype autoscaling/v2.MetricSourceType 1 -\nobject *autoscaling/v2.ObjectMetricStatus 2 eo\npods *autoscaling/v2.PodsMetricStatus 3 eo\nresource *autoscaling/v2.ResourceMetricStatus 4 eo\ncontainerResource *autoscaling/v2.ContainerResourceMetricStatus 7 eo\nexternal *autoscaling/v2.ExternalMetricStatus 5 eo",
  "autoscaling/v2.ObjectMetricStatus":
    "\nmetric autoscaling/v2.MetricIdentifier 1 -\ncurrent autoscaling/v2.MetricValueStatus 2 -\ndescribedObject autoscaling/v2.CrossVersionObjectReference 3 -",
  "autoscaling/v2.PodsMetricStatus":
    "\nmetric autoscaling/v2.MetricIdentifier 1 -\ncurrent autoscaling/v2.MetricValueStatus 2 -",
  "autoscaling/v2.ResourceMetricStatus":
    "\nname core/v1.ResourceName 1 -\ncurrent autoscaling/v2.MetricValueStatus 2 -",
  "autoscaling/v2.ContainerResourceMetricStatus":
    "\nname core/v1.ResourceName 1 -\ncurrent autoscaling/v2.MetricValueStatus 2 -\ncontainer string 3 -",
  "autoscaling/v2.ExternalMetricStatus":
    "\nmetric autoscaling/v2.MetricIdentifier 1 -\ncurrent autoscaling/v2.MetricValueStatus 2 -",
  "autoscaling/v2.MetricValueStatus":
    "\nvalue *Quantity 1 eo\naverageValue *Quantity 2 eo\naverageUtilization *int32 3 eo",
  "autoscaling/v2.HorizontalPodAutoscalerList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []autoscaling/v2.HorizontalPodAutoscaler 2 -",
  "batch/v1.Job":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec batch/v1.JobSpec 2 eo\nstatus batch/v1.JobStatus 3 eo",
  "batch/v1.JobList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []batch/v1.Job 2 -",
  "batch/v1.PodFailurePolicyOnExitCodesRequirement":
    "\ncontainerName *string 1 eo\noperator batch/v1.PodFailurePolicyOnExitCodesOperator 2 -\nvalues []int32 3 - lt=set",
  "batch/v1.PodFailurePolicyOnPodConditionsPattern":
    "\ntype core/v1.PodConditionType 1 -\nstatus core/v1.ConditionStatus 2 -",
  "batch/v1.PodFailurePolicyRule":
    "\naction batch/v1.PodFailurePolicyAction 1 -\nonExitCodes *batch/v1.PodFailurePolicyOnExitCodesRequirement 2 eo\nonPodConditions []batch/v1.PodFailurePolicyOnPodConditionsPattern 3 eo lt=atomic",
  "batch/v1.PodFailurePolicy":
    "\nrules []batch/v1.PodFailurePolicyRule 1 - lt=atomic",
  "batch/v1.SuccessPolicy":
    "\nrules []batch/v1.SuccessPolicyRule 1 - lt=atomic",
  "batch/v1.SuccessPolicyRule":
    "\nsucceededIndexes *string 1 eo\nsucceededCount *int32 2 eo",
  "batch/v1.JobSpec":
    "\nparallelism *int32 1 eo\ncompletions *int32 2 eo\nactiveDeadlineSeconds *int64 3 eo\npodFailurePolicy *batch/v1.PodFailurePolicy 11 eo\nsuccessPolicy *batch/v1.SuccessPolicy 16 eo\nbackoffLimit *int32 7 eo\nbackoffLimitPerIndex *int32 12 eo\nmaxFailedIndexes *int32 13 eo\nselector *meta/v1.LabelSelector 4 eo\nmanualSelector *bool 5 eo\ntemplate core/v1.PodTemplateSpec 6 -\nttlSecondsAfterFinished *int32 8 eo\ncompletionMode *batch/v1.CompletionMode 9 eo\nsuspend *bool 10 eo\npodReplacementPolicy *batch/v1.PodReplacementPolicy 14 eo\nmanagedBy *string 15 eo",
  "batch/v1.JobStatus":
    "\nconditions []batch/v1.JobCondition 1 eo ps=merge pk=type lt=atomic\nstartTime *Time 2 eo\ncompletionTime *Time 3 eo\nactive int32 4 eo\nsucceeded int32 5 eo\nfailed int32 6 eo\nterminating *int32 11 eo\ncompletedIndexes string 7 eo\nfailedIndexes *string 10 eo\nuncountedTerminatedPods *batch/v1.UncountedTerminatedPods 8 eo\nready *int32 9 e",
  "batch/v1.UncountedTerminatedPods":
    "\nsucceeded []types.UID 1 eo lt=set\nfailed []types.UID 2 eo lt=set",
  "batch/v1.JobCondition":
    "\ntype batch/v1.JobConditionType 1 -\nstatus core/v1.ConditionStatus 2 -\nlastProbeTime Time 3 eo\nlastTransitionTime Time 4 eo\nreason string 5 eo\nmessage string 6 eo",
  "batch/v1.JobTemplateSpec":
    "\nmetadata meta/v1.ObjectMeta 1 eo\nspec batch/v1.JobSpec 2 eo",
  "batch/v1.CronJob":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec batch/v1.CronJobSpec 2 eo\nstatus batch/v1.CronJobStatus 3 eo",
  "batch/v1.CronJobList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []batch/v1.CronJob 2 -",
  "batch/v1.CronJobSpec":
    "\nschedule string 1 -\ntimeZone *string 8 eo\nstartingDeadlineSeconds *int64 2 eo\nconcurrencyPolicy batch/v1.ConcurrencyPolicy 3 eo\nsuspend *bool 4 eo\njobTemplate batch/v1.JobTemplateSpec 5 -\nsuccessfulJobsHistoryLimit *int32 6 eo\nfailedJobsHistoryLimit *int32 7 eo",
  "batch/v1.CronJobStatus":
    "\nactive []core/v1.ObjectReference 1 eo lt=atomic\nlastScheduleTime *Time 4 eo\nlastSuccessfulTime *Time 5 eo",
  "certificates/v1.CertificateSigningRequest":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec certificates/v1.CertificateSigningRequestSpec 2 -\nstatus certificates/v1.CertificateSigningRequestStatus 3 eo",
  "certificates/v1.CertificateSigningRequestSpec":
    "\nrequest bytes 1 - lt=atomic\nsignerName string 7 -\nexpirationSeconds *int32 8 eo\nusages []certificates/v1.KeyUsage 5 e lt=atomic\nusername string 2 eo\nuid string 3 eo\ngroups []string 4 eo lt=atomic\nextra map[string]certificates/v1.ExtraValue 6 eo",
  "certificates/v1.CertificateSigningRequestStatus":
    "\nconditions []certificates/v1.CertificateSigningRequestCondition 1 eo lt=map lk=type\ncertificate bytes 2 eo lt=atomic",
  "certificates/v1.CertificateSigningRequestCondition":
    "\ntype certificates/v1.RequestConditionType 1 -\nstatus core/v1.ConditionStatus 6 -\nreason string 2 eo\nmessage string 3 eo\nlastUpdateTime Time 4 eo\nlastTransitionTime Time 5 eo",
  "certificates/v1.CertificateSigningRequestList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []certificates/v1.CertificateSigningRequest 2 -",
  "coordination/v1.Lease":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec coordination/v1.LeaseSpec 2 eo",
  "coordination/v1.LeaseSpec":
    "\nholderIdentity *string 1 eo\nleaseDurationSeconds *int32 2 eo\nacquireTime *MicroTime 3 eo\nrenewTime *MicroTime 4 eo\nleaseTransitions *int32 5 eo\nstrategy *coordination/v1.CoordinatedLeaseStrategy 6 eo fg=CoordinatedLeaderElection\npreferredHolder *string 7 eo fg=CoordinatedLeaderElection",
  "coordination/v1.LeaseList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []coordination/v1.Lease 2 -",
  "core/v1.Volume":
    "\nname string 1 -\n- core/v1.VolumeSource 2 i",
  "core/v1.VolumeSource":
    "\nhostPath *core/v1.HostPathVolumeSource 1 eo\nemptyDir *core/v1.EmptyDirVolumeSource 2 eo\ngcePersistentDisk *core/v1.GCEPersistentDiskVolumeSource 3 eo\nawsElasticBlockStore *core/v1.AWSElasticBlockStoreVolumeSource 4 eo\ngitRepo *core/v1.GitRepoVolumeSource 5 eo\nsecret *core/v1.SecretVolumeSource 6 eo\nnfs *core/v1.NFSVolumeSource 7 eo\niscsi *core/v1.ISCSIVolumeSource 8 eo\nglusterfs *core/v1.GlusterfsVolumeSource 9 eo\npersistentVolumeClaim *core/v1.PersistentVolumeClaimVolumeSource 10 eo\nrbd *core/v1.RBDVolumeSource 11 eo\nflexVolume *core/v1.FlexVolumeSource 12 eo\ncinder *core/v1.CinderVolumeSource 13 eo\ncephfs *core/v1.CephFSVolumeSource 14 eo\nflocker *core/v1.FlockerVolumeSource 15 eo\ndownwardAPI *core/v1.DownwardAPIVolumeSource 16 eo\nfc *core/v1.FCVolumeSource 17 eo\nazureFile *core/v1.AzureFileVolumeSource 18 eo\nconfigMap *core/v1.ConfigMapVolumeSource 19 eo\nvsphereVolume *core/v1.VsphereVirtualDiskVolumeSource 20 eo\nquobyte *core/v1.QuobyteVolumeSource 21 eo\nazureDisk *core/v1.AzureDiskVolumeSource 22 eo\nphotonPersistentDisk *core/v1.PhotonPersistentDiskVolumeSource 23 e\nprojected *core/v1.ProjectedVolumeSource 26 e\nportworxVolume *core/v1.PortworxVolumeSource 24 eo\nscaleIO *core/v1.ScaleIOVolumeSource 25 eo\nstorageos *core/v1.StorageOSVolumeSource 27 eo\ncsi *core/v1.CSIVolumeSource 28 eo\nephemeral *core/v1.EphemeralVolumeSource 29 eo\nimage *core/v1.ImageVolumeSource 30 eo fg=ImageVolume",
  "core/v1.PersistentVolumeClaimVolumeSource":
    "\nclaimName string 1 -\nreadOnly bool 2 eo",
  "core/v1.PersistentVolumeSource":
    "\ngcePersistentDisk *core/v1.GCEPersistentDiskVolumeSource 1 eo\nawsElasticBlockStore *core/v1.AWSElasticBlockStoreVolumeSource 2 eo\nhostPath *core/v1.HostPathVolumeSource 3 eo\nglusterfs *core/v1.GlusterfsPersistentVolumeSource 4 eo\nnfs *core/v1.NFSVolumeSource 5 eo\nrbd *core/v1.RBDPersistentVolumeSource 6 eo\niscsi *core/v1.ISCSIPersistentVolumeSource 7 eo\ncinder *core/v1.CinderPersistentVolumeSource 8 eo\ncephfs *core/v1.CephFSPersistentVolumeSource 9 eo\nfc *core/v1.FCVolumeSource 10 eo\nflocker *core/v1.FlockerVolumeSource 11 eo\nflexVolume *core/v1.FlexPersistentVolumeSource 12 eo\nazureFile *core/v1.AzureFilePersistentVolumeSource 13 eo\nvsphereVolume *core/v1.VsphereVirtualDiskVolumeSource 14 eo\nquobyte *core/v1.QuobyteVolumeSource 15 eo\nazureDisk *core/v1.AzureDiskVolumeSource 16 eo\nphotonPersistentDisk *core/v1.PhotonPersistentDiskVolumeSource 17 e\nportworxVolume *core/v1.PortworxVolumeSource 18 eo\nscaleIO *core/v1.ScaleIOPersistentVolumeSource 19 eo\nlocal *core/v1.LocalVolumeSource 20 eo\nstorageos *core/v1.StorageOSPersistentVolumeSource 21 eo\ncsi *core/v1.CSIPersistentVolumeSource 22 eo",
  "core/v1.PersistentVolume":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec core/v1.PersistentVolumeSpec 2 eo\nstatus core/v1.PersistentVolumeStatus 3 eo",
  "core/v1.PersistentVolumeSpec":
    "\ncapacity map[core/v1.ResourceName]Quantity 1 eo\n- core/v1.PersistentVolumeSource 2 i\naccessModes []core/v1.PersistentVolumeAccessMode 3 eo lt=atomic\nclaimRef *core/v1.ObjectReference 4 eo st=granular\npersistentVolumeReclaimPolicy core/v1.PersistentVolumeReclaimPolicy 5 eo\nstorageClassName string 6 eo\nmountOptions []string 7 eo lt=atomic\nvolumeMode *core/v1.PersistentVolumeMode 8 eo\nnodeAffinity *core/v1.VolumeNodeAffinity 9 eo\nvolumeAttributesClassName *string 10 eo fg=VolumeAttributesClass",
  "core/v1.VolumeNodeAffinity":
    "\nrequired *core/v1.NodeSelector 1 e",
  "core/v1.PersistentVolumeStatus":
    "\nphase core/v1.PersistentVolumePhase 1 eo\nmessage string 2 eo\nreason string 3 eo\nlastPhaseTransitionTime *Time 4 eo",
  "core/v1.PersistentVolumeList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []core/v1.PersistentVolume 2 -",
  "core/v1.PersistentVolumeClaim":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec core/v1.PersistentVolumeClaimSpec 2 eo\nstatus core/v1.PersistentVolumeClaimStatus 3 eo",
  "core/v1.PersistentVolumeClaimList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []core/v1.PersistentVolumeClaim 2 -",
  "core/v1.PersistentVolumeClaimSpec":
    "\naccessModes []core/v1.PersistentVolumeAccessMode 1 eo lt=atomic\nselector *meta/v1.LabelSelector 4 eo\nresources core/v1.VolumeResourceRequirements 2 eo\nvolumeName string 3 eo\nstorageClassName *string 5 eo\nvolumeMode *core/v1.PersistentVolumeMode 6 eo\ndataSource *core/v1.TypedLocalObjectReference 7 eo\ndataSourceRef *core/v1.TypedObjectReference 8 eo\nvolumeAttributesClassName *string 9 eo fg=VolumeAttributesClass",
  "core/v1.TypedObjectReference":
    "\napiGroup *string 1 o\nkind string 2 -\nname string 3 -\nnamespace *string 4 eo fg=CrossNamespaceVolumeDataSource",
  "core/v1.ModifyVolumeStatus":
    "\ntargetVolumeAttributesClassName string 1 e\nstatus core/v1.PersistentVolumeClaimModifyVolumeStatus 2 -",
  "core/v1.PersistentVolumeClaimCondition":
    "\ntype core/v1.PersistentVolumeClaimConditionType 1 -\nstatus core/v1.ConditionStatus 2 -\nlastProbeTime Time 3 eo\nlastTransitionTime Time 4 eo\nreason string 5 eo\nmessage string 6 eo",
  "core/v1.PersistentVolumeClaimStatus":
    "\nphase core/v1.PersistentVolumeClaimPhase 1 eo\naccessModes []core/v1.PersistentVolumeAccessMode 2 eo lt=atomic\ncapacity map[core/v1.ResourceName]Quantity 3 eo\nconditions []core/v1.PersistentVolumeClaimCondition 4 eo ps=merge pk=type lt=map lk=type\nallocatedResources map[core/v1.ResourceName]Quantity 5 eo fg=RecoverVolumeExpansionFailure\nallocatedResourceStatuses map[core/v1.ResourceName]core/v1.ClaimResourceStatus 7 eo mt=granular fg=RecoverVolumeExpansionFailure\ncurrentVolumeAttributesClassName *string 8 eo fg=VolumeAttributesClass\nmodifyVolumeStatus *core/v1.ModifyVolumeStatus 9 eo fg=VolumeAttributesClass",
  "core/v1.HostPathVolumeSource":
    "\npath string 1 -\ntype *core/v1.HostPathType 2 eo",
  "core/v1.EmptyDirVolumeSource":
    "\nmedium core/v1.StorageMedium 1 eo\nsizeLimit *Quantity 2 eo",
  "core/v1.GlusterfsVolumeSource":
    "\nendpoints string 1 -\npath string 2 -\nreadOnly bool 3 eo",
  "core/v1.GlusterfsPersistentVolumeSource":
    "\nendpoints string 1 -\npath string 2 -\nreadOnly bool 3 eo\nendpointsNamespace *string 4 eo",
  "core/v1.RBDVolumeSource":
    "\nmonitors []string 1 - lt=atomic\nimage string 2 -\nfsType string 3 eo\npool string 4 eo d=\"rbd\"\nuser string 5 eo d=\"admin\"\nkeyring string 6 eo d=\"/etc/ceph/keyring\"\nsecretRef *core/v1.LocalObjectReference 7 eo\nreadOnly bool 8 eo",
  "core/v1.RBDPersistentVolumeSource":
    "\nmonitors []string 1 - lt=atomic\nimage string 2 -\nfsType string 3 eo\npool string 4 eo d=\"rbd\"\nuser string 5 eo d=\"admin\"\nkeyring string 6 eo d=\"/etc/ceph/keyring\"\nsecretRef *core/v1.SecretReference 7 eo\nreadOnly bool 8 eo",
  "core/v1.CinderVolumeSource":
    "\nvolumeID string 1 -\nfsType string 2 eo\nreadOnly bool 3 eo\nsecretRef *core/v1.LocalObjectReference 4 eo",
  "core/v1.CinderPersistentVolumeSource":
    "\nvolumeID string 1 -\nfsType string 2 eo\nreadOnly bool 3 eo\nsecretRef *core/v1.SecretReference 4 eo",
  "core/v1.CephFSVolumeSource":
    "\nmonitors []string 1 - lt=atomic\npath string 2 eo\nuser string 3 eo\nsecretFile string 4 eo\nsecretRef *core/v1.LocalObjectReference 5 eo\nreadOnly bool 6 eo",
  "core/v1.SecretReference":
    "a\nname string 1 eo\nnamespace string 2 eo",
  "core/v1.CephFSPersistentVolumeSource":
    "\nmonitors []string 1 - lt=atomic\npath string 2 eo\nuser string 3 eo\nsecretFile string 4 eo\nsecretRef *core/v1.SecretReference 5 eo\nreadOnly bool 6 eo",
  "core/v1.FlockerVolumeSource":
    "\ndatasetName string 1 eo\ndatasetUUID string 2 eo",
  "core/v1.GCEPersistentDiskVolumeSource":
    "\npdName string 1 -\nfsType string 2 eo\npartition int32 3 eo\nreadOnly bool 4 eo",
  "core/v1.QuobyteVolumeSource":
    "\nregistry string 1 -\nvolume string 2 -\nreadOnly bool 3 eo\nuser string 4 eo\ngroup string 5 eo\ntenant string 6 eo",
  "core/v1.FlexPersistentVolumeSource":
    "\ndriver string 1 -\nfsType string 2 eo\nsecretRef *core/v1.SecretReference 3 eo\nreadOnly bool 4 eo\noptions map[string]string 5 eo",
  "core/v1.FlexVolumeSource":
    "\ndriver string 1 -\nfsType string 2 eo\nsecretRef *core/v1.LocalObjectReference 3 eo\nreadOnly bool 4 eo\noptions map[string]string 5 eo",
  "core/v1.AWSElasticBlockStoreVolumeSource":
    "\nvolumeID string 1 -\nfsType string 2 eo\npartition int32 3 eo\nreadOnly bool 4 eo",
  "core/v1.GitRepoVolumeSource":
    "\nrepository string 1 -\nrevision string 2 eo\ndirectory string 3 eo",
  "core/v1.SecretVolumeSource":
    "\nsecretName string 1 eo\nitems []core/v1.KeyToPath 2 eo lt=atomic\ndefaultMode *int32 3 eo\noptional *bool 4 eo",
  "core/v1.SecretProjection":
    "\n- core/v1.LocalObjectReference 1 i\nitems []core/v1.KeyToPath 2 eo lt=atomic\noptional *bool 4 eo",
  "core/v1.NFSVolumeSource":
    "\nserver string 1 -\npath string 2 -\nreadOnly bool 3 eo",
  "core/v1.ISCSIVolumeSource":
    "\ntargetPortal string 1 -\niqn string 2 -\nlun int32 3 -\niscsiInterface string 4 eo d=\"default\"\nfsType string 5 eo\nreadOnly bool 6 eo\nportals []string 7 eo lt=atomic\nchapAuthDiscovery bool 8 eo\nchapAuthSession bool 11 eo\nsecretRef *core/v1.LocalObjectReference 10 eo\ninitiatorName *string 12 eo",
  "core/v1.ISCSIPersistentVolumeSource":
    "\ntargetPortal string 1 -\niqn string 2 -\nlun int32 3 -\niscsiInterface string 4 eo d=\"default\"\nfsType string 5 eo\nreadOnly bool 6 eo\nportals []string 7 eo lt=atomic\nchapAuthDiscovery bool 8 eo\nchapAuthSession bool 11 eo\nsecretRef *core/v1.SecretReference 10 eo\ninitiatorName *string 12 eo",
  "core/v1.FCVolumeSource":
    "\ntargetWWNs []string 1 eo lt=atomic\nlun *int32 2 eo\nfsType string 3 eo\nreadOnly bool 4 eo\nwwids []string 5 eo lt=atomic",
  "core/v1.AzureFileVolumeSource":
    "\nsecretName string 1 -\nshareName string 2 -\nreadOnly bool 3 eo",
  "core/v1.AzureFilePersistentVolumeSource":
    "\nsecretName string 1 -\nshareName string 2 -\nreadOnly bool 3 eo\nsecretNamespace *string 4 o",
  "core/v1.VsphereVirtualDiskVolumeSource":
    "\nvolumePath string 1 -\nfsType string 2 eo\nstoragePolicyName string 3 eo\nstoragePolicyID string 4 eo",
  "core/v1.PhotonPersistentDiskVolumeSource":
    "\npdID string 1 -\nfsType string 2 e",
  "core/v1.AzureDiskVolumeSource":
    "\ndiskName string 1 -\ndiskURI string 2 -\ncachingMode *core/v1.AzureDataDiskCachingMode 3 eo d=ref(AzureDataDiskCachingReadWrite)\nfsType *string 4 eo d=\"ext4\"\nreadOnly *bool 5 eo d=false\nkind *core/v1.AzureDataDiskKind 6 e d=ref(AzureSharedBlobDisk)",
  "core/v1.PortworxVolumeSource":
    "\nvolumeID string 1 -\nfsType string 2 e\nreadOnly bool 3 eo",
  "core/v1.ScaleIOVolumeSource":
    "\ngateway string 1 -\nsystem string 2 -\nsecretRef *core/v1.LocalObjectReference 3 -\nsslEnabled bool 4 eo\nprotectionDomain string 5 eo\nstoragePool string 6 eo\nstorageMode string 7 eo d=\"ThinProvisioned\"\nvolumeName string 8 e\nfsType string 9 eo d=\"xfs\"\nreadOnly bool 10 eo",
  "core/v1.ScaleIOPersistentVolumeSource":
    "\ngateway string 1 -\nsystem string 2 -\nsecretRef *core/v1.SecretReference 3 -\nsslEnabled bool 4 eo\nprotectionDomain string 5 eo\nstoragePool string 6 eo\nstorageMode string 7 eo d=\"ThinProvisioned\"\nvolumeName string 8 e\nfsType string 9 eo d=\"xfs\"\nreadOnly bool 10 eo",
  "core/v1.StorageOSVolumeSource":
    "\nvolumeName string 1 e\nvolumeNamespace string 2 eo\nfsType string 3 eo\nreadOnly bool 4 eo\nsecretRef *core/v1.LocalObjectReference 5 eo",
  "core/v1.StorageOSPersistentVolumeSource":
    "\nvolumeName string 1 e\nvolumeNamespace string 2 eo\nfsType string 3 eo\nreadOnly bool 4 eo\nsecretRef *core/v1.ObjectReference 5 eo",
  "core/v1.ConfigMapVolumeSource":
    "\n- core/v1.LocalObjectReference 1 i\nitems []core/v1.KeyToPath 2 eo lt=atomic\ndefaultMode *int32 3 eo\noptional *bool 4 eo",
  "core/v1.ConfigMapProjection":
    "\n- core/v1.LocalObjectReference 1 i\nitems []core/v1.KeyToPath 2 eo lt=atomic\noptional *bool 4 eo",
  "core/v1.ServiceAccountTokenProjection":
    "\naudience string 1 eo\nexpirationSeconds *int64 2 eo\npath string 3 -",
  "core/v1.ClusterTrustBundleProjection":
    "\nname *string 1 eo\nsignerName *string 2 eo\nlabelSelector *meta/v1.LabelSelector 3 eo\noptional *bool 5 eo\npath string 4 -",
  "core/v1.PodCertificateProjection":
    "\nsignerName string 1 er\nkeyType string 2 er\nmaxExpirationSeconds *int32 3 eo\ncredentialBundlePath string 4 eo\nkeyPath string 5 eo\ncertificateChainPath string 6 eo",
  "core/v1.ProjectedVolumeSource":
    "\nsources []core/v1.VolumeProjection 1 o lt=atomic\ndefaultMode *int32 2 eo",
  "core/v1.VolumeProjection":
    "\nsecret *core/v1.SecretProjection 1 eo\ndownwardAPI *core/v1.DownwardAPIProjection 2 eo\nconfigMap *core/v1.ConfigMapProjection 3 eo\nserviceAccountToken *core/v1.ServiceAccountTokenProjection 4 eo\nclusterTrustBundle *core/v1.ClusterTrustBundleProjection 5 eo fg=ClusterTrustBundleProjection\npodCertificate *core/v1.PodCertificateProjection 6 e fg=PodCertificateProjection",
  "core/v1.KeyToPath":
    "\nkey string 1 -\npath string 2 -\nmode *int32 3 eo",
  "core/v1.LocalVolumeSource":
    "\npath string 1 -\nfsType *string 2 eo",
  "core/v1.CSIPersistentVolumeSource":
    "\ndriver string 1 -\nvolumeHandle string 2 -\nreadOnly bool 3 eo\nfsType string 4 eo\nvolumeAttributes map[string]string 5 eo\ncontrollerPublishSecretRef *core/v1.SecretReference 6 eo\nnodeStageSecretRef *core/v1.SecretReference 7 eo\nnodePublishSecretRef *core/v1.SecretReference 8 eo\ncontrollerExpandSecretRef *core/v1.SecretReference 9 eo\nnodeExpandSecretRef *core/v1.SecretReference 10 eo",
  "core/v1.CSIVolumeSource":
    "\ndriver string 1 -\nreadOnly *bool 2 eo\nfsType *string 3 eo\nvolumeAttributes map[string]string 4 eo\nnodePublishSecretRef *core/v1.LocalObjectReference 5 eo",
  "core/v1.EphemeralVolumeSource":
    "\nvolumeClaimTemplate *core/v1.PersistentVolumeClaimTemplate 1 e",
  "core/v1.PersistentVolumeClaimTemplate":
    "\nmetadata meta/v1.ObjectMeta 1 eo\nspec core/v1.PersistentVolumeClaimSpec 2 -",
  "core/v1.ContainerPort":
    "\nname string 1 eo\nhostPort int32 2 eo\ncontainerPort int32 3 -\nprotocol core/v1.Protocol 4 eo d=\"TCP\"\nhostIP string 5 eo",
  "core/v1.VolumeMount":
    "\nname string 1 -\nreadOnly bool 2 eo\nrecursiveReadOnly *core/v1.RecursiveReadOnlyMode 7 eo fg=RecursiveReadOnlyMounts\nmountPath string 3 -\nsubPath string 4 eo\nmountPropagation *core/v1.MountPropagationMode 5 eo\nsubPathExpr string 6 eo",
  "core/v1.VolumeDevice":
    "\nname string 1 -\ndevicePath string 2 -",
  "core/v1.EnvVar":
    "\nname string 1 -\nvalue string 2 eo\nvalueFrom *core/v1.EnvVarSource 3 eo",
  "core/v1.EnvVarSource":
    "\nfieldRef *core/v1.ObjectFieldSelector 1 eo\nresourceFieldRef *core/v1.ResourceFieldSelector 2 eo\nconfigMapKeyRef *core/v1.ConfigMapKeySelector 3 eo\nsecretKeyRef *core/v1.SecretKeySelector 4 eo\nfileKeyRef *core/v1.FileKeySelector 5 eo fg=EnvFiles",
  "core/v1.FileKeySelector":
    "a\nvolumeName string 1 r\npath string 2 r\nkey string 3 r\noptional *bool 4 eo d=false",
  "core/v1.ObjectFieldSelector":
    "a\napiVersion string 1 eo\nfieldPath string 2 -",
  "core/v1.ResourceFieldSelector":
    "a\ncontainerName string 1 eo\nresource string 2 -\ndivisor Quantity 3 eo",
  "core/v1.ConfigMapKeySelector":
    "a\n- core/v1.LocalObjectReference 1 i\nkey string 2 -\noptional *bool 3 eo",
  "core/v1.SecretKeySelector":
    "a\n- core/v1.LocalObjectReference 1 i\nkey string 2 -\noptional *bool 3 eo",
  "core/v1.EnvFromSource":
    "\nprefix string 1 eo\nconfigMapRef *core/v1.ConfigMapEnvSource 2 eo\nsecretRef *core/v1.SecretEnvSource 3 eo",
  "core/v1.ConfigMapEnvSource":
    "\n- core/v1.LocalObjectReference 1 i\noptional *bool 2 eo",
  "core/v1.SecretEnvSource":
    "\n- core/v1.LocalObjectReference 1 i\noptional *bool 2 eo",
  "core/v1.HTTPHeader":
    "\nname string 1 -\nvalue string 2 -",
  "core/v1.HTTPGetAction":
    "\npath string 1 eo\nport IntOrString 2 -\nhost string 3 eo\nscheme core/v1.URIScheme 4 eo\nhttpHeaders []core/v1.HTTPHeader 5 eo lt=atomic",
  "core/v1.TCPSocketAction":
    "\nport IntOrString 1 -\nhost string 2 eo",
  "core/v1.GRPCAction":
    "\nport int32 1 -\nservice *string 2 o d=\"\"",
  "core/v1.ExecAction":
    "\ncommand []string 1 eo lt=atomic",
  "core/v1.SleepAction":
    "\nseconds int64 1 -",
  "core/v1.Probe":
    "\n- core/v1.ProbeHandler 1 i\ninitialDelaySeconds int32 2 eo\ntimeoutSeconds int32 3 eo\nperiodSeconds int32 4 eo\nsuccessThreshold int32 5 eo\nfailureThreshold int32 6 eo\nterminationGracePeriodSeconds *int64 7 eo",
  "core/v1.ContainerResizePolicy":
    "\nresourceName core/v1.ResourceName 1 -\nrestartPolicy core/v1.ResourceResizeRestartPolicy 2 -",
  "core/v1.Capabilities":
    "\nadd []core/v1.Capability 1 eo lt=atomic\ndrop []core/v1.Capability 2 eo lt=atomic",
  "core/v1.ResourceRequirements":
    "\nlimits map[core/v1.ResourceName]Quantity 1 eo\nrequests map[core/v1.ResourceName]Quantity 2 eo\nclaims []core/v1.ResourceClaim 3 eo lt=map lk=name fg=DynamicResourceAllocation",
  "core/v1.VolumeResourceRequirements":
    "\nlimits map[core/v1.ResourceName]Quantity 1 eo\nrequests map[core/v1.ResourceName]Quantity 2 eo",
  "core/v1.ResourceClaim":
    "\nname string 1 -\nrequest string 2 eo",
  "core/v1.Container":
    "\nname string 1 -\nimage string 2 eo\ncommand []string 3 eo lt=atomic\nargs []string 4 eo lt=atomic\nworkingDir string 5 eo\nports []core/v1.ContainerPort 6 eo ps=merge pk=containerPort lt=map lk=containerPort,protocol\nenvFrom []core/v1.EnvFromSource 19 eo lt=atomic\nenv []core/v1.EnvVar 7 eo ps=merge pk=name lt=map lk=name\nresources core/v1.ResourceRequirements 8 eo\nresizePolicy []core/v1.ContainerResizePolicy 23 eo lt=atomic fg=InPlacePodVerticalScaling\nrestartPolicy *core/v1.ContainerRestartPolicy 24 eo fg=SidecarContainers\nrestartPolicyRules []core/v1.ContainerRestartRule 25 eo lt=atomic fg=ContainerRestartRules\nvolumeMounts []core/v1.VolumeMount 9 eo ps=merge pk=mountPath lt=map lk=mountPath\nvolumeDevices []core/v1.VolumeDevice 21 eo ps=merge pk=devicePath lt=map lk=devicePath\nlivenessProbe *core/v1.Probe 10 eo\nreadinessProbe *core/v1.Probe 11 eo\nstartupProbe *core/v1.Probe 22 eo\nlifecycle *core/v1.Lifecycle 12 eo\nterminationMessagePath string 13 eo\nterminationMessagePolicy core/v1.TerminationMessagePolicy 20 eo\nimagePullPolicy core/v1.PullPolicy 14 eo\nsecurityContext *core/v1.SecurityContext 15 eo\nstdin bool 16 eo\nstdinOnce bool 17 eo\ntty bool 18 eo",
  "core/v1.ProbeHandler":
    "\nexec *core/v1.ExecAction 1 eo\nhttpGet *core/v1.HTTPGetAction 2 eo\ntcpSocket *core/v1.TCPSocketAction 3 eo\ngrpc *core/v1.GRPCAction 4 eo",
  "core/v1.LifecycleHandler":
    "\nexec *core/v1.ExecAction 1 eo\nhttpGet *core/v1.HTTPGetAction 2 eo\ntcpSocket *core/v1.TCPSocketAction 3 eo\nsleep *core/v1.SleepAction 4 eo fg=PodLifecycleSleepAction",
  "core/v1.Lifecycle":
    "\npostStart *core/v1.LifecycleHandler 1 eo\npreStop *core/v1.LifecycleHandler 2 eo\nstopSignal *core/v1.Signal 3 eo",
  "core/v1.ContainerStateWaiting":
    "\nreason string 1 eo\nmessage string 2 eo",
  "core/v1.ContainerStateRunning":
    "\nstartedAt Time 1 eo",
  "core/v1.ContainerStateTerminated":
    "\nexitCode int32 1 -\nsignal int32 2 eo\nreason string 3 eo\nmessage string 4 eo\nstartedAt Time 5 eo\nfinishedAt Time 6 eo\ncontainerID string 7 eo",
  "core/v1.ContainerState":
    "\nwaiting *core/v1.ContainerStateWaiting 1 eo\nrunning *core/v1.ContainerStateRunning 2 eo\nterminated *core/v1.ContainerStateTerminated 3 eo",
  "core/v1.ContainerStatus":
    "\nname string 1 -\nstate core/v1.ContainerState 2 eo\nlastState core/v1.ContainerState 3 eo\nready bool 4 -\nrestartCount int32 5 -\nimage string 6 -\nimageID string 7 -\ncontainerID string 8 eo\nstarted *bool 9 eo\nallocatedResources map[core/v1.ResourceName]Quantity 10 eo fg=InPlacePodVerticalScalingAllocatedStatus\nresources *core/v1.ResourceRequirements 11 eo fg=InPlacePodVerticalScaling\nvolumeMounts []core/v1.VolumeMountStatus 12 eo ps=merge pk=mountPath lt=map lk=mountPath fg=RecursiveReadOnlyMounts\nuser *core/v1.ContainerUser 13 eo fg=SupplementalGroupsPolicy\nallocatedResourcesStatus []core/v1.ResourceStatus 14 eo ps=merge pk=name lt=map lk=name fg=ResourceHealthStatus\nstopSignal *core/v1.Signal 15 eo fg=ContainerStopSignals",
  "core/v1.ResourceStatus":
    "\nname core/v1.ResourceName 1 r\nresources []core/v1.ResourceHealth 2 e lt=map lk=resourceID",
  "core/v1.ResourceHealth":
    "\nresourceID core/v1.ResourceID 1 -\nhealth core/v1.ResourceHealthStatus 2 e",
  "core/v1.ContainerUser":
    "\nlinux *core/v1.LinuxContainerUser 1 eo",
  "core/v1.LinuxContainerUser":
    "\nuid int64 1 -\ngid int64 2 -\nsupplementalGroups []int64 3 eo lt=atomic",
  "core/v1.PodCondition":
    "\ntype core/v1.PodConditionType 1 -\nobservedGeneration int64 7 eo fg=PodObservedGenerationTracking\nstatus core/v1.ConditionStatus 2 -\nlastProbeTime Time 3 eo\nlastTransitionTime Time 4 eo\nreason string 5 eo\nmessage string 6 eo",
  "core/v1.VolumeMountStatus":
    "\nname string 1 -\nmountPath string 2 -\nreadOnly bool 3 eo\nrecursiveReadOnly *core/v1.RecursiveReadOnlyMode 4 eo fg=RecursiveReadOnlyMounts",
  "core/v1.ContainerRestartRule":
    "\naction core/v1.ContainerRestartRuleAction 1 er\nexitCodes *core/v1.ContainerRestartRuleOnExitCodes 2 eo",
  "core/v1.ContainerRestartRuleOnExitCodes":
    "\noperator core/v1.ContainerRestartRuleOnExitCodesOperator 1 er\nvalues []int32 2 eo lt=set",
  "core/v1.NodeSelector":
    "a\nnodeSelectorTerms []core/v1.NodeSelectorTerm 1 - lt=atomic",
  "core/v1.NodeSelectorTerm":
    "a\nmatchExpressions []core/v1.NodeSelectorRequirement 1 eo lt=atomic\nmatchFields []core/v1.NodeSelectorRequirement 2 eo lt=atomic",
  "core/v1.NodeSelectorRequirement":
    "\nkey string 1 -\noperator core/v1.NodeSelectorOperator 2 -\nvalues []string 3 eo lt=atomic",
  "core/v1.TopologySelectorTerm":
    "a\nmatchLabelExpressions []core/v1.TopologySelectorLabelRequirement 1 eo lt=atomic",
  "core/v1.TopologySelectorLabelRequirement":
    "\nkey string 1 -\nvalues []string 2 - lt=atomic",
  "core/v1.Affinity":
    "\nnodeAffinity *core/v1.NodeAffinity 1 eo\npodAffinity *core/v1.PodAffinity 2 eo\npodAntiAffinity *core/v1.PodAntiAffinity 3 eo",
  "core/v1.PodAffinity":
    "\nrequiredDuringSchedulingIgnoredDuringExecution []core/v1.PodAffinityTerm 1 eo lt=atomic\npreferredDuringSchedulingIgnoredDuringExecution []core/v1.WeightedPodAffinityTerm 2 eo lt=atomic",
  "core/v1.PodAntiAffinity":
    "\nrequiredDuringSchedulingIgnoredDuringExecution []core/v1.PodAffinityTerm 1 eo lt=atomic\npreferredDuringSchedulingIgnoredDuringExecution []core/v1.WeightedPodAffinityTerm 2 eo lt=atomic",
  "core/v1.WeightedPodAffinityTerm":
    "\nweight int32 1 -\npodAffinityTerm core/v1.PodAffinityTerm 2 -",
  "core/v1.PodAffinityTerm":
    "\nlabelSelector *meta/v1.LabelSelector 1 eo\nnamespaces []string 2 eo lt=atomic\ntopologyKey string 3 -\nnamespaceSelector *meta/v1.LabelSelector 4 eo\nmatchLabelKeys []string 5 eo lt=atomic\nmismatchLabelKeys []string 6 eo lt=atomic",
  "core/v1.NodeAffinity":
    "\nrequiredDuringSchedulingIgnoredDuringExecution *core/v1.NodeSelector 1 eo\npreferredDuringSchedulingIgnoredDuringExecution []core/v1.PreferredSchedulingTerm 2 eo lt=atomic",
  "core/v1.PreferredSchedulingTerm":
    "\nweight int32 1 -\npreference core/v1.NodeSelectorTerm 2 -",
  "core/v1.Taint":
    "\nkey string 1 -\nvalue string 2 eo\neffect core/v1.TaintEffect 3 -\ntimeAdded *Time 4 eo",
  "core/v1.Toleration":
    "\nkey string 1 eo\noperator core/v1.TolerationOperator 2 eo\nvalue string 3 eo\neffect core/v1.TaintEffect 4 eo\ntolerationSeconds *int64 5 eo",
  "core/v1.PodReadinessGate":
    "\nconditionType core/v1.PodConditionType 1 -",
  "core/v1.PodSpec":
    "\nvolumes []core/v1.Volume 1 eo ps=merge,retainKeys pk=name lt=map lk=name\ninitContainers []core/v1.Container 20 e ps=merge pk=name lt=map lk=name\ncontainers []core/v1.Container 2 - ps=merge pk=name lt=map lk=name\nephemeralContainers []core/v1.EphemeralContainer 34 eo ps=merge pk=name lt=map lk=name\nrestartPolicy core/v1.RestartPolicy 3 eo\nterminationGracePeriodSeconds *int64 4 eo\nactiveDeadlineSeconds *int64 5 eo\ndnsPolicy core/v1.DNSPolicy 6 eo\nnodeSelector map[string]string 7 eo mt=atomic\nserviceAccountName string 8 eo\nserviceAccount string 9 eo\nautomountServiceAccountToken *bool 21 eo\nnodeName string 10 eo\nhostNetwork bool 11 eo\nhostPID bool 12 eo\nhostIPC bool 13 eo\nshareProcessNamespace *bool 27 eo\nsecurityContext *core/v1.PodSecurityContext 14 eo\nimagePullSecrets []core/v1.LocalObjectReference 15 eo ps=merge pk=name lt=map lk=name\nhostname string 16 eo\nsubdomain string 17 eo\naffinity *core/v1.Affinity 18 eo\nschedulerName string 19 eo\ntolerations []core/v1.Toleration 22 eo lt=atomic\nhostAliases []core/v1.HostAlias 23 eo ps=merge pk=ip lt=map lk=ip\npriorityClassName string 24 eo\npriority *int32 25 eo\ndnsConfig *core/v1.PodDNSConfig 26 eo\nreadinessGates []core/v1.PodReadinessGate 28 eo lt=atomic\nruntimeClassName *string 29 eo\nenableServiceLinks *bool 30 eo\npreemptionPolicy *core/v1.PreemptionPolicy 31 eo\noverhead map[core/v1.ResourceName]Quantity 32 eo\ntopologySpreadConstraints []core/v1.TopologySpreadConstraint 33 eo ps=merge pk=topologyKey lt=map lk=topologyKey,whenUnsatisfiable\nsetHostnameAsFQDN *bool 35 eo\nos *core/v1.PodOS 36 eo\nhostUsers *bool 37 eo\nschedulingGates []core/v1.PodSchedulingGate 38 eo ps=merge pk=name lt=map lk=name\nresourceClaims []core/v1.PodResourceClaim 39 eo ps=merge,retainKeys pk=name lt=map lk=name fg=DynamicResourceAllocation\nresources *core/v1.ResourceRequirements 40 eo fg=PodLevelResources\nhostnameOverride *string 41 eo fg=HostnameOverride",
  "core/v1.PodResourceClaim":
    "\nname string 1 -\nresourceClaimName *string 3 e\nresourceClaimTemplateName *string 4 e",
  "core/v1.PodResourceClaimStatus":
    "\nname string 1 -\nresourceClaimName *string 2 eo",
  "core/v1.PodExtendedResourceClaimStatus":
    "\nrequestMappings []core/v1.ContainerExtendedResourceRequest 1 - lt=atomic\nresourceClaimName string 2 -",
  "core/v1.ContainerExtendedResourceRequest":
    "\ncontainerName string 1 -\nresourceName string 2 -\nrequestName string 3 -",
  "core/v1.PodOS":
    "\nname core/v1.OSName 1 -",
  "core/v1.PodSchedulingGate":
    "\nname string 1 -",
  "core/v1.TopologySpreadConstraint":
    "\nmaxSkew int32 1 -\ntopologyKey string 2 -\nwhenUnsatisfiable core/v1.UnsatisfiableConstraintAction 3 -\nlabelSelector *meta/v1.LabelSelector 4 eo\nminDomains *int32 5 eo\nnodeAffinityPolicy *core/v1.NodeInclusionPolicy 6 eo\nnodeTaintsPolicy *core/v1.NodeInclusionPolicy 7 eo\nmatchLabelKeys []string 8 eo lt=atomic",
  "core/v1.HostAlias":
    "\nip string 1 r\nhostnames []string 2 e lt=atomic",
  "core/v1.PodSecurityContext":
    "\nseLinuxOptions *core/v1.SELinuxOptions 1 eo\nwindowsOptions *core/v1.WindowsSecurityContextOptions 8 eo\nrunAsUser *int64 2 eo\nrunAsGroup *int64 6 eo\nrunAsNonRoot *bool 3 eo\nsupplementalGroups []int64 4 eo lt=atomic\nsupplementalGroupsPolicy *core/v1.SupplementalGroupsPolicy 12 eo fg=SupplementalGroupsPolicy\nfsGroup *int64 5 eo\nsysctls []core/v1.Sysctl 7 eo lt=atomic\nfsGroupChangePolicy *core/v1.PodFSGroupChangePolicy 9 eo\nseccompProfile *core/v1.SeccompProfile 10 eo\nappArmorProfile *core/v1.AppArmorProfile 11 eo\nseLinuxChangePolicy *core/v1.PodSELinuxChangePolicy 13 eo fg=SELinuxChangePolicy",
  "core/v1.SeccompProfile":
    "\ntype core/v1.SeccompProfileType 1 -\nlocalhostProfile *string 2 eo",
  "core/v1.AppArmorProfile":
    "\ntype core/v1.AppArmorProfileType 1 -\nlocalhostProfile *string 2 eo",
  "core/v1.PodDNSConfig":
    "\nnameservers []string 1 eo lt=atomic\nsearches []string 2 eo lt=atomic\noptions []core/v1.PodDNSConfigOption 3 eo lt=atomic",
  "core/v1.PodDNSConfigOption":
    "\nname string 1 e\nvalue *string 2 eo",
  "core/v1.PodIP":
    "\nip string 1 r",
  "core/v1.HostIP":
    "\nip string 1 r",
  "core/v1.EphemeralContainerCommon":
    "\nname string 1 -\nimage string 2 e\ncommand []string 3 eo lt=atomic\nargs []string 4 eo lt=atomic\nworkingDir string 5 eo\nports []core/v1.ContainerPort 6 eo ps=merge pk=containerPort lt=map lk=containerPort,protocol\nenvFrom []core/v1.EnvFromSource 19 eo lt=atomic\nenv []core/v1.EnvVar 7 eo ps=merge pk=name lt=map lk=name\nresources core/v1.ResourceRequirements 8 eo\nresizePolicy []core/v1.ContainerResizePolicy 23 eo lt=atomic fg=InPlacePodVerticalScaling\nrestartPolicy *core/v1.ContainerRestartPolicy 24 eo fg=SidecarContainers\nrestartPolicyRules []core/v1.ContainerRestartRule 25 eo lt=atomic fg=ContainerRestartRules\nvolumeMounts []core/v1.VolumeMount 9 eo ps=merge pk=mountPath lt=map lk=mountPath\nvolumeDevices []core/v1.VolumeDevice 21 eo ps=merge pk=devicePath lt=map lk=devicePath\nlivenessProbe *core/v1.Probe 10 eo\nreadinessProbe *core/v1.Probe 11 eo\nstartupProbe *core/v1.Probe 22 eo\nlifecycle *core/v1.Lifecycle 12 eo\nterminationMessagePath string 13 eo\nterminationMessagePolicy core/v1.TerminationMessagePolicy 20 eo\nimagePullPolicy core/v1.PullPolicy 14 eo\nsecurityContext *core/v1.SecurityContext 15 eo\nstdin bool 16 eo\nstdinOnce bool 17 eo\ntty bool 18 eo",
  "core/v1.EphemeralContainer":
    "\n- core/v1.EphemeralContainerCommon 1 i\ntargetContainerName string 2 eo",
  "core/v1.PodStatus":
    "\nobservedGeneration int64 17 eo fg=PodObservedGenerationTracking\nphase core/v1.PodPhase 1 eo\nconditions []core/v1.PodCondition 2 eo ps=merge pk=type lt=map lk=type\nmessage string 3 eo\nreason string 4 eo\nnominatedNodeName string 11 eo\nhostIP string 5 eo\nhostIPs []core/v1.HostIP 16 eo ps=merge pk=ip lt=atomic\npodIP string 6 eo\npodIPs []core/v1.PodIP 12 eo ps=merge pk=ip lt=map lk=ip\nstartTime *Time 7 eo\ninitContainerStatuses []core/v1.ContainerStatus 10 e lt=atomic\ncontainerStatuses []core/v1.ContainerStatus 8 eo lt=atomic\nqosClass core/v1.PodQOSClass 9 eo\nephemeralContainerStatuses []core/v1.ContainerStatus 13 eo lt=atomic\nresize core/v1.PodResizeStatus 14 eo fg=InPlacePodVerticalScaling\nresourceClaimStatuses []core/v1.PodResourceClaimStatus 15 eo ps=merge,retainKeys pk=name lt=map lk=name fg=DynamicResourceAllocation\nextendedResourceClaimStatus *core/v1.PodExtendedResourceClaimStatus 18 eo fg=DRAExtendedResource",
  "core/v1.PodStatusResult":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nstatus core/v1.PodStatus 2 eo",
  "core/v1.Pod":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec core/v1.PodSpec 2 eo\nstatus core/v1.PodStatus 3 eo",
  "core/v1.PodList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []core/v1.Pod 2 -",
  "core/v1.PodTemplateSpec":
    "\nmetadata meta/v1.ObjectMeta 1 eo\nspec core/v1.PodSpec 2 eo",
  "core/v1.PodTemplate":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\ntemplate core/v1.PodTemplateSpec 2 eo",
  "core/v1.PodTemplateList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []core/v1.PodTemplate 2 -",
  "core/v1.ReplicationControllerSpec":
    "\nreplicas *int32 1 eo d=1\nminReadySeconds int32 4 eo d=0\nselector map[string]string 2 eo mt=atomic\ntemplate *core/v1.PodTemplateSpec 3 eo",
  "core/v1.ReplicationControllerStatus":
    "\nreplicas int32 1 -\nfullyLabeledReplicas int32 2 eo\nreadyReplicas int32 4 eo\navailableReplicas int32 5 eo\nobservedGeneration int64 3 eo\nconditions []core/v1.ReplicationControllerCondition 6 eo ps=merge pk=type lt=map lk=type",
  "core/v1.ReplicationControllerCondition":
    "\ntype core/v1.ReplicationControllerConditionType 1 -\nstatus core/v1.ConditionStatus 2 -\nlastTransitionTime Time 3 eo\nreason string 4 eo\nmessage string 5 eo",
  "core/v1.ReplicationController":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec core/v1.ReplicationControllerSpec 2 eo\nstatus core/v1.ReplicationControllerStatus 3 eo",
  "core/v1.ReplicationControllerList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []core/v1.ReplicationController 2 -",
  "core/v1.SessionAffinityConfig":
    "\nclientIP *core/v1.ClientIPConfig 1 eo",
  "core/v1.ClientIPConfig":
    "\ntimeoutSeconds *int32 1 eo",
  "core/v1.ServiceStatus":
    "\nloadBalancer core/v1.LoadBalancerStatus 1 eo\nconditions []meta/v1.Condition 2 eo ps=merge pk=type lt=map lk=type",
  "core/v1.LoadBalancerStatus":
    "\ningress []core/v1.LoadBalancerIngress 1 eo lt=atomic",
  "core/v1.LoadBalancerIngress":
    "\nip string 1 eo\nhostname string 2 eo\nipMode *core/v1.LoadBalancerIPMode 3 eo\nports []core/v1.PortStatus 4 eo lt=atomic",
  "core/v1.ServiceSpec":
    "\nports []core/v1.ServicePort 1 e ps=merge pk=port lt=map lk=port,protocol\nselector map[string]string 2 eo mt=atomic\nclusterIP string 3 eo\nclusterIPs []string 18 eo lt=atomic\ntype core/v1.ServiceType 4 eo\nexternalIPs []string 5 eo lt=atomic\nsessionAffinity core/v1.ServiceAffinity 7 eo\nloadBalancerIP string 8 eo\nloadBalancerSourceRanges []string 9 eo lt=atomic\nexternalName string 10 eo\nexternalTrafficPolicy core/v1.ServiceExternalTrafficPolicy 11 eo\nhealthCheckNodePort int32 12 eo\npublishNotReadyAddresses bool 13 eo\nsessionAffinityConfig *core/v1.SessionAffinityConfig 14 eo\nipFamilies []core/v1.IPFamily 19 eo lt=atomic\nipFamilyPolicy *core/v1.IPFamilyPolicy 17 eo\nallocateLoadBalancerNodePorts *bool 20 eo\nloadBalancerClass *string 21 eo\ninternalTrafficPolicy *core/v1.ServiceInternalTrafficPolicy 22 eo\ntrafficDistribution *string 23 eo fg=ServiceTrafficDistribution",
  "core/v1.ServicePort":
    "\nname string 1 eo\nprotocol core/v1.Protocol 2 eo d=\"TCP\"\nappProtocol *string 6 eo\nport int32 3 -\ntargetPort IntOrString 4 eo\nnodePort int32 5 eo",
  "core/v1.Service":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec core/v1.ServiceSpec 2 eo\nstatus core/v1.ServiceStatus 3 eo",
  "core/v1.ServiceList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []core/v1.Service 2 -",
  "core/v1.ServiceAccount":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nsecrets []core/v1.ObjectReference 2 eo ps=merge pk=name lt=map lk=name\nimagePullSecrets []core/v1.LocalObjectReference 3 eo lt=atomic\nautomountServiceAccountToken *bool 4 eo",
  "core/v1.ServiceAccountList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []core/v1.ServiceAccount 2 -",
  "core/v1.Endpoints":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nsubsets []core/v1.EndpointSubset 2 eo lt=atomic",
  "core/v1.EndpointSubset":
    "\naddresses []core/v1.EndpointAddress 1 eo lt=atomic\nnotReadyAddresses []core/v1.EndpointAddress 2 eo lt=atomic\nports []core/v1.EndpointPort 3 eo lt=atomic",
  "core/v1.EndpointAddress":
    "a\nip string 1 -\nhostname string 3 eo\nnodeName *string 4 eo\ntargetRef *core/v1.ObjectReference 2 eo",
  "core/v1.EndpointPort":
    "a\nname string 1 eo\nport int32 2 -\nprotocol core/v1.Protocol 3 eo\nappProtocol *string 4 eo",
  "core/v1.EndpointsList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []core/v1.Endpoints 2 -",
  "core/v1.NodeSpec":
    "\npodCIDR string 1 eo\npodCIDRs []string 7 eo ps=merge lt=set\nproviderID string 3 eo\nunschedulable bool 4 eo\ntaints []core/v1.Taint 5 eo lt=atomic\nconfigSource *core/v1.NodeConfigSource 6 eo\nexternalID string 2 eo",
  "core/v1.NodeConfigSource":
    "\nconfigMap *core/v1.ConfigMapNodeConfigSource 2 e",
  "core/v1.ConfigMapNodeConfigSource":
    "\nnamespace string 1 -\nname string 2 -\nuid types.UID 3 eo\nresourceVersion string 4 eo\nkubeletConfigKey string 5 -",
  "core/v1.DaemonEndpoint":
    "\nPort int32 1 -",
  "core/v1.NodeDaemonEndpoints":
    "\nkubeletEndpoint core/v1.DaemonEndpoint 1 eo",
  "core/v1.NodeRuntimeHandlerFeatures":
    "\nrecursiveReadOnlyMounts *bool 1 eo fg=RecursiveReadOnlyMounts\nuserNamespaces *bool 2 eo fg=UserNamespacesSupport",
  "core/v1.NodeRuntimeHandler":
    "\nname string 1 o\nfeatures *core/v1.NodeRuntimeHandlerFeatures 2 eo",
  "core/v1.NodeFeatures":
    "\nsupplementalGroupsPolicy *bool 1 eo",
  "core/v1.NodeSystemInfo":
    "\nmachineID string 1 -\nsystemUUID string 2 -\nbootID string 3 -\nkernelVersion string 4 -\nosImage string 5 -\ncontainerRuntimeVersion string 6 -\nkubeletVersion string 7 -\nkubeProxyVersion string 8 -\noperatingSystem string 9 -\narchitecture string 10 -\nswap *core/v1.NodeSwapStatus 11 e",
  "core/v1.NodeSwapStatus":
    "\ncapacity *int64 1 eo",
  "core/v1.NodeConfigStatus":
    "\nassigned *core/v1.NodeConfigSource 1 eo\nactive *core/v1.NodeConfigSource 2 eo\nlastKnownGood *core/v1.NodeConfigSource 3 eo\nerror string 4 eo",
  "core/v1.NodeStatus":
    "\ncapacity map[core/v1.ResourceName]Quantity 1 eo\nallocatable map[core/v1.ResourceName]Quantity 2 eo\nphase core/v1.NodePhase 3 eo\nconditions []core/v1.NodeCondition 4 eo ps=merge pk=type lt=map lk=type\naddresses []core/v1.NodeAddress 5 eo ps=merge pk=type lt=map lk=type\ndaemonEndpoints core/v1.NodeDaemonEndpoints 6 eo\nnodeInfo core/v1.NodeSystemInfo 7 eo\nimages []core/v1.ContainerImage 8 eo lt=atomic\nvolumesInUse []core/v1.UniqueVolumeName 9 eo lt=atomic\nvolumesAttached []core/v1.AttachedVolume 10 eo lt=atomic\nconfig *core/v1.NodeConfigStatus 11 eo\nruntimeHandlers []core/v1.NodeRuntimeHandler 12 eo lt=atomic fg=UserNamespacesSupport\nfeatures *core/v1.NodeFeatures 13 eo fg=SupplementalGroupsPolicy",
  "core/v1.AttachedVolume":
    "\nname core/v1.UniqueVolumeName 1 -\ndevicePath string 2 -",
  "core/v1.AvoidPods":
    "\npreferAvoidPods []core/v1.PreferAvoidPodsEntry 1 eo lt=atomic",
  "core/v1.PreferAvoidPodsEntry":
    "\npodSignature core/v1.PodSignature 1 -\nevictionTime Time 2 eo\nreason string 3 eo\nmessage string 4 eo",
  "core/v1.PodSignature":
    "\npodController *meta/v1.OwnerReference 1 eo",
  "core/v1.ContainerImage":
    "\nnames []string 1 o lt=atomic\nsizeBytes int64 2 eo",
  "core/v1.NodeCondition":
    "\ntype core/v1.NodeConditionType 1 -\nstatus core/v1.ConditionStatus 2 -\nlastHeartbeatTime Time 3 eo\nlastTransitionTime Time 4 eo\nreason string 5 eo\nmessage string 6 eo",
  "core/v1.NodeAddress":
    "\ntype core/v1.NodeAddressType 1 -\naddress string 2 -",
  "core/v1.Node":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec core/v1.NodeSpec 2 eo\nstatus core/v1.NodeStatus 3 eo",
  "core/v1.NodeList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []core/v1.Node 2 -",
  "core/v1.NamespaceSpec":
    "\nfinalizers []core/v1.FinalizerName 1 eo lt=atomic",
  "core/v1.NamespaceStatus":
    "\nphase core/v1.NamespacePhase 1 eo\nconditions []core/v1.NamespaceCondition 2 eo ps=merge pk=type lt=map lk=type",
  "core/v1.NamespaceCondition":
    "\ntype core/v1.NamespaceConditionType 1 -\nstatus core/v1.ConditionStatus 2 -\nlastTransitionTime Time 4 eo\nreason string 5 eo\nmessage string 6 eo",
  "core/v1.Namespace":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec core/v1.NamespaceSpec 2 eo\nstatus core/v1.NamespaceStatus 3 eo",
  "core/v1.NamespaceList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []core/v1.Namespace 2 -",
  "core/v1.Binding":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\ntarget core/v1.ObjectReference 2 -",
  "core/v1.Preconditions":
    "\nuid *types.UID 1 eo",
  "core/v1.PodLogOptions":
    "k\n- meta/v1.TypeMeta 0 i\ncontainer string 1 eo\nfollow bool 2 eo\nprevious bool 3 eo\nsinceSeconds *int64 4 eo\nsinceTime *Time 5 eo\ntimestamps bool 6 eo\ntailLines *int64 7 eo\nlimitBytes *int64 8 eo\ninsecureSkipTLSVerifyBackend bool 9 eo\nstream *string 10 eo fg=PodLogsQuerySplitStreams",
  "core/v1.PodAttachOptions":
    "k\n- meta/v1.TypeMeta 0 i\nstdin bool 1 eo\nstdout bool 2 eo\nstderr bool 3 eo\ntty bool 4 eo\ncontainer string 5 eo",
  "core/v1.PodExecOptions":
    "k\n- meta/v1.TypeMeta 0 i\nstdin bool 1 eo\nstdout bool 2 eo\nstderr bool 3 eo\ntty bool 4 eo\ncontainer string 5 eo\ncommand []string 6 - lt=atomic",
  "core/v1.PodPortForwardOptions":
    "k\n- meta/v1.TypeMeta 0 i\nports []int32 1 eo lt=atomic",
  "core/v1.PodProxyOptions":
    "k\n- meta/v1.TypeMeta 0 i\npath string 1 eo",
  "core/v1.NodeProxyOptions":
    "k\n- meta/v1.TypeMeta 0 i\npath string 1 eo",
  "core/v1.ServiceProxyOptions":
    "k\n- meta/v1.TypeMeta 0 i\npath string 1 eo",
  "core/v1.ObjectReference":
    "ka\nkind string 1 eo\nnamespace string 2 eo\nname string 3 eo\nuid types.UID 4 eo\napiVersion string 5 eo\nresourceVersion string 6 eo\nfieldPath string 7 eo",
  "core/v1.LocalObjectReference":
    "a\nname string 1 eo d=\"\"",
  "core/v1.TypedLocalObjectReference":
    "a\napiGroup *string 1 o\nkind string 2 -\nname string 3 -",
  "core/v1.SerializedReference":
    "k\n- meta/v1.TypeMeta 0 i\nreference core/v1.ObjectReference 1 eo",
  "core/v1.EventSource":
    "\ncomponent string 1 eo\nhost string 2 eo",
  "core/v1.Event":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 -\ninvolvedObject core/v1.ObjectReference 2 -\nreason string 3 eo\nmessage string 4 eo\nsource core/v1.EventSource 5 eo\nfirstTimestamp Time 6 eo\nlastTimestamp Time 7 eo\ncount int32 8 eo\ntype string 9 eo\neventTime MicroTime 10 eo\nseries *core/v1.EventSeries 11 eo\naction string 12 eo\nrelated *core/v1.ObjectReference 13 eo\nreportingComponent string 14 o\nreportingInstance string 15 o",
  "core/v1.EventSeries":
    "\ncount int32 1 e\nlastObservedTime MicroTime 2 e",
  "core/v1.EventList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []core/v1.Event 2 -",
  "core/v1.LimitRangeItem":
    "\ntype core/v1.LimitType 1 -\nmax map[core/v1.ResourceName]Quantity 2 eo\nmin map[core/v1.ResourceName]Quantity 3 eo\ndefault map[core/v1.ResourceName]Quantity 4 eo\ndefaultRequest map[core/v1.ResourceName]Quantity 5 eo\nmaxLimitRequestRatio map[core/v1.ResourceName]Quantity 6 eo",
  "core/v1.LimitRangeSpec":
    "\nlimits []core/v1.LimitRangeItem 1 - lt=atomic",
  "core/v1.LimitRange":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec core/v1.LimitRangeSpec 2 eo",
  "core/v1.LimitRangeList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []core/v1.LimitRange 2 -",
  "core/v1.ResourceQuotaSpec":
    "\nhard map[core/v1.ResourceName]Quantity 1 eo\nscopes []core/v1.ResourceQuotaScope 2 eo lt=atomic\nscopeSelector *core/v1.ScopeSelector 3 eo",
  "core/v1.ScopeSelector":
    "a\nmatchExpressions []core/v1.ScopedResourceSelectorRequirement 1 eo lt=atomic",
  "core/v1.ScopedResourceSelectorRequirement":
    "\nscopeName core/v1.ResourceQuotaScope 1 -\noperator core/v1.ScopeSelectorOperator 2 -\nvalues []string 3 eo lt=atomic",
  "core/v1.ResourceQuotaStatus":
    "\nhard map[core/v1.ResourceName]Quantity 1 eo\nused map[core/v1.ResourceName]Quantity 2 eo",
  "core/v1.ResourceQuota":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec core/v1.ResourceQuotaSpec 2 eo\nstatus core/v1.ResourceQuotaStatus 3 eo",
  "core/v1.ResourceQuotaList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []core/v1.ResourceQuota 2 -",
  "core/v1.Secret":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nimmutable *bool 5 eo\ndata map[string]bytes 2 eo\nstringData map[string]string 4 eo\ntype core/v1.SecretType 3 eo",
  "core/v1.SecretList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []core/v1.Secret 2 -",
  "core/v1.ConfigMap":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nimmutable *bool 4 eo\ndata map[string]string 2 eo\nbinaryData map[string]bytes 3 eo",
  "core/v1.ConfigMapList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []core/v1.ConfigMap 2 -",
  "core/v1.ComponentCondition":
    "\ntype core/v1.ComponentConditionType 1 -\nstatus core/v1.ConditionStatus 2 -\nmessage string 3 eo\nerror string 4 eo",
  "core/v1.ComponentStatus":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nconditions []core/v1.ComponentCondition 2 eo ps=merge pk=type lt=map lk=type",
  "core/v1.ComponentStatusList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []core/v1.ComponentStatus 2 -",
  "core/v1.DownwardAPIVolumeSource":
    "\nitems []core/v1.DownwardAPIVolumeFile 1 eo lt=atomic\ndefaultMode *int32 2 eo",
  "core/v1.DownwardAPIVolumeFile":
    "\npath string 1 -\nfieldRef *core/v1.ObjectFieldSelector 2 eo\nresourceFieldRef *core/v1.ResourceFieldSelector 3 eo\nmode *int32 4 eo",
  "core/v1.DownwardAPIProjection":
    "\nitems []core/v1.DownwardAPIVolumeFile 1 eo lt=atomic",
  "core/v1.SecurityContext":
    "\ncapabilities *core/v1.Capabilities 1 eo\nprivileged *bool 2 eo\nseLinuxOptions *core/v1.SELinuxOptions 3 eo\nwindowsOptions *core/v1.WindowsSecurityContextOptions 10 eo\nrunAsUser *int64 4 eo\nrunAsGroup *int64 8 eo\nrunAsNonRoot *bool 5 eo\nreadOnlyRootFilesystem *bool 6 eo\nallowPrivilegeEscalation *bool 7 eo\nprocMount *core/v1.ProcMountType 9 eo\nseccompProfile *core/v1.SeccompProfile 11 eo\nappArmorProfile *core/v1.AppArmorProfile 12 eo",
  "core/v1.SELinuxOptions":
    "\nuser string 1 eo\nrole string 2 eo\ntype string 3 eo\nlevel string 4 eo",
  "core/v1.WindowsSecurityContextOptions":
    "\ngmsaCredentialSpecName *string 1 eo\ngmsaCredentialSpec *string 2 eo\nrunAsUserName *string 3 eo\nhostProcess *bool 4 eo",
  "core/v1.RangeAllocation":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nrange string 2 -\ndata bytes 3 -",
  "core/v1.Sysctl":
    "\nname string 1 -\nvalue string 2 -",
  "core/v1.PortStatus":
    "\nport int32 1 -\nprotocol core/v1.Protocol 2 -\nerror *string 3 eo",
  "core/v1.ImageVolumeSource":
    "\nreference string 1 eo\npullPolicy core/v1.PullPolicy 2 eo",
  "discovery/v1.EndpointSlice":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\naddressType discovery/v1.AddressType 4 -\nendpoints []discovery/v1.Endpoint 2 - lt=atomic\nports []discovery/v1.EndpointPort 3 o lt=atomic",
  "discovery/v1.Endpoint":
    "\naddresses []string 1 - lt=set\nconditions discovery/v1.EndpointConditions 2 e\nhostname *string 3 eo\ntargetRef *core/v1.ObjectReference 4 eo\ndeprecatedTopology map[string]string 5 eo\nnodeName *string 6 eo\nzone *string 7 eo\nhints *discovery/v1.EndpointHints 8 eo",
  "discovery/v1.EndpointConditions":
    "\nready *bool 1 eo\nserving *bool 2 eo\nterminating *bool 3 eo",
  "discovery/v1.EndpointHints":
    "\nforZones []discovery/v1.ForZone 1 e lt=atomic\nforNodes []discovery/v1.ForNode 2 e lt=atomic",
  "discovery/v1.ForZone":
    "\nname string 1 -",
  "discovery/v1.ForNode":
    "\nname string 1 -",
  "discovery/v1.EndpointPort":
    "a\nname *string 1 e\nprotocol *core/v1.Protocol 2 e\nport *int32 3 e\nappProtocol *string 4 eo",
  "discovery/v1.EndpointSliceList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []discovery/v1.EndpointSlice 2 -",
  "events/v1.Event":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 o\neventTime MicroTime 2 -\nseries *events/v1.EventSeries 3 eo\nreportingController string 4 e\nreportingInstance string 5 e\naction string 6 e\nreason string 7 e\nregarding core/v1.ObjectReference 8 eo\nrelated *core/v1.ObjectReference 9 eo\nnote string 10 eo\ntype string 11 e\ndeprecatedSource core/v1.EventSource 12 eo\ndeprecatedFirstTimestamp Time 13 eo\ndeprecatedLastTimestamp Time 14 eo\ndeprecatedCount int32 15 eo",
  "events/v1.EventSeries":
    "\ncount int32 1 -\nlastObservedTime MicroTime 2 -",
  "events/v1.EventList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []events/v1.Event 2 -",
  "flowcontrol/v1.FlowSchema":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec flowcontrol/v1.FlowSchemaSpec 2 eo\nstatus flowcontrol/v1.FlowSchemaStatus 3 eo",
  "flowcontrol/v1.FlowSchemaList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []flowcontrol/v1.FlowSchema 2 -",
  "flowcontrol/v1.FlowSchemaSpec":
    "\npriorityLevelConfiguration flowcontrol/v1.PriorityLevelConfigurationReference 1 -\nmatchingPrecedence int32 2 o\ndistinguisherMethod *flowcontrol/v1.FlowDistinguisherMethod 3 eo\nrules []flowcontrol/v1.PolicyRulesWithSubjects 4 eo lt=atomic",
  "flowcontrol/v1.FlowDistinguisherMethod":
    "\ntype flowcontrol/v1.FlowDistinguisherMethodType 1 -",
  "flowcontrol/v1.PriorityLevelConfigurationReference":
    "\nname string 1 -",
  "flowcontrol/v1.PolicyRulesWithSubjects":
    "\nsubjects []flowcontrol/v1.Subject 1 - lt=atomic\nresourceRules []flowcontrol/v1.ResourcePolicyRule 2 eo lt=atomic\nnonResourceRules []flowcontrol/v1.NonResourcePolicyRule 3 eo lt=atomic",
  "flowcontrol/v1.Subject":
    "\nkind flowcontrol/v1.SubjectKind 1 -\nuser *flowcontrol/v1.UserSubject 2 eo\ngroup *flowcontrol/v1.GroupSubject 3 eo\nserviceAccount *flowcontrol/v1.ServiceAccountSubject 4 eo",
  "flowcontrol/v1.UserSubject":
    "\nname string 1 -",
  "flowcontrol/v1.GroupSubject":
    "\nname string 1 -",
  "flowcontrol/v1.ServiceAccountSubject":
    "\nnamespace string 1 -\nname string 2 -",
  "flowcontrol/v1.ResourcePolicyRule":
    "\nverbs []string 1 - lt=set\napiGroups []string 2 - lt=set\nresources []string 3 - lt=set\nclusterScope bool 4 eo\nnamespaces []string 5 o lt=set",
  "flowcontrol/v1.NonResourcePolicyRule":
    "\nverbs []string 1 - lt=set\nnonResourceURLs []string 6 - lt=set",
  "flowcontrol/v1.FlowSchemaStatus":
    "\nconditions []flowcontrol/v1.FlowSchemaCondition 1 eo ps=merge pk=type lt=map lk=type",
  "flowcontrol/v1.FlowSchemaCondition":
    "\ntype flowcontrol/v1.FlowSchemaConditionType 1 e\nstatus flowcontrol/v1.ConditionStatus 2 e\nlastTransitionTime Time 3 e\nreason string 4 e\nmessage string 5 e",
  "flowcontrol/v1.PriorityLevelConfiguration":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec flowcontrol/v1.PriorityLevelConfigurationSpec 2 eo\nstatus flowcontrol/v1.PriorityLevelConfigurationStatus 3 eo",
  "flowcontrol/v1.PriorityLevelConfigurationList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []flowcontrol/v1.PriorityLevelConfiguration 2 -",
  "flowcontrol/v1.PriorityLevelConfigurationSpec":
    "\ntype flowcontrol/v1.PriorityLevelEnablement 1 -\nlimited *flowcontrol/v1.LimitedPriorityLevelConfiguration 2 eo\nexempt *flowcontrol/v1.ExemptPriorityLevelConfiguration 3 eo",
  "flowcontrol/v1.LimitedPriorityLevelConfiguration":
    "\nnominalConcurrencyShares *int32 1 o\nlimitResponse flowcontrol/v1.LimitResponse 2 e\nlendablePercent *int32 3 eo\nborrowingLimitPercent *int32 4 eo",
  "flowcontrol/v1.ExemptPriorityLevelConfiguration":
    "\nnominalConcurrencyShares *int32 1 eo\nlendablePercent *int32 2 eo",
  "flowcontrol/v1.LimitResponse":
    "\ntype flowcontrol/v1.LimitResponseType 1 -\nqueuing *flowcontrol/v1.QueuingConfiguration 2 eo",
  "flowcontrol/v1.QueuingConfiguration":
    "\nqueues int32 1 o\nhandSize int32 2 o\nqueueLengthLimit int32 3 o",
  "flowcontrol/v1.PriorityLevelConfigurationStatus":
    "\nconditions []flowcontrol/v1.PriorityLevelConfigurationCondition 1 eo ps=merge pk=type lt=map lk=type",
  "flowcontrol/v1.PriorityLevelConfigurationCondition":
    "\ntype flowcontrol/v1.PriorityLevelConfigurationConditionType 1 e\nstatus flowcontrol/v1.ConditionStatus 2 e\nlastTransitionTime Time 3 e\nreason string 4 e\nmessage string 5 e",
  "networking/v1.NetworkPolicy":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec networking/v1.NetworkPolicySpec 2 eo",
  "networking/v1.NetworkPolicySpec":
    "\npodSelector meta/v1.LabelSelector 1 o\ningress []networking/v1.NetworkPolicyIngressRule 2 eo lt=atomic\negress []networking/v1.NetworkPolicyEgressRule 3 eo lt=atomic\npolicyTypes []networking/v1.PolicyType 4 eo lt=atomic",
  "networking/v1.NetworkPolicyIngressRule":
    "\nports []networking/v1.NetworkPolicyPort 1 eo lt=atomic\nfrom []networking/v1.NetworkPolicyPeer 2 eo lt=atomic",
  "networking/v1.NetworkPolicyEgressRule":
    "\nports []networking/v1.NetworkPolicyPort 1 eo lt=atomic\nto []networking/v1.NetworkPolicyPeer 2 eo lt=atomic",
  "networking/v1.NetworkPolicyPort":
    "\nprotocol *core/v1.Protocol 1 eo\nport *IntOrString 2 eo\nendPort *int32 3 eo",
  "networking/v1.IPBlock":
    "\ncidr string 1 -\nexcept []string 2 eo lt=atomic",
  "networking/v1.NetworkPolicyPeer":
    "\npodSelector *meta/v1.LabelSelector 1 eo\nnamespaceSelector *meta/v1.LabelSelector 2 eo\nipBlock *networking/v1.IPBlock 3 eo",
  "networking/v1.NetworkPolicyList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []networking/v1.NetworkPolicy 2 -",
  "networking/v1.Ingress":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec networking/v1.IngressSpec 2 eo\nstatus networking/v1.IngressStatus 3 eo",
  "networking/v1.IngressList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []networking/v1.Ingress 2 -",
  "networking/v1.IngressSpec":
    "\ningressClassName *string 4 eo\ndefaultBackend *networking/v1.IngressBackend 1 eo\ntls []networking/v1.IngressTLS 2 eo lt=atomic\nrules []networking/v1.IngressRule 3 eo lt=atomic",
  "networking/v1.IngressTLS":
    "\nhosts []string 1 eo lt=atomic\nsecretName string 2 eo",
  "networking/v1.IngressStatus":
    "\nloadBalancer networking/v1.IngressLoadBalancerStatus 1 eo",
  "networking/v1.IngressLoadBalancerStatus":
    "\ningress []networking/v1.IngressLoadBalancerIngress 1 eo lt=atomic",
  "networking/v1.IngressLoadBalancerIngress":
    "\nip string 1 eo\nhostname string 2 eo\nports []networking/v1.IngressPortStatus 4 eo lt=atomic",
  "networking/v1.IngressPortStatus":
    "\nport int32 1 -\nprotocol core/v1.Protocol 2 -\nerror *string 3 eo",
  "networking/v1.IngressRule":
    "\nhost string 1 eo\n- networking/v1.IngressRuleValue 2 io",
  "networking/v1.IngressRuleValue":
    "\nhttp *networking/v1.HTTPIngressRuleValue 1 eo",
  "networking/v1.HTTPIngressRuleValue":
    "\npaths []networking/v1.HTTPIngressPath 1 - lt=atomic",
  "networking/v1.HTTPIngressPath":
    "\npath string 1 eo\npathType *networking/v1.PathType 3 -\nbackend networking/v1.IngressBackend 2 -",
  "networking/v1.IngressBackend":
    "\nservice *networking/v1.IngressServiceBackend 4 eo\nresource *core/v1.TypedLocalObjectReference 3 eo",
  "networking/v1.IngressServiceBackend":
    "\nname string 1 -\nport networking/v1.ServiceBackendPort 2 e",
  "networking/v1.ServiceBackendPort":
    "a\nname string 1 eo\nnumber int32 2 eo",
  "networking/v1.IngressClass":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec networking/v1.IngressClassSpec 2 eo",
  "networking/v1.IngressClassSpec":
    "\ncontroller string 1 e\nparameters *networking/v1.IngressClassParametersReference 2 eo",
  "networking/v1.IngressClassParametersReference":
    "\napiGroup *string 1 eo\nkind string 2 -\nname string 3 -\nscope *string 4 o\nnamespace *string 5 eo",
  "networking/v1.IngressClassList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []networking/v1.IngressClass 2 -",
  "networking/v1.IPAddress":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec networking/v1.IPAddressSpec 2 eo",
  "networking/v1.IPAddressSpec":
    "\nparentRef *networking/v1.ParentReference 1 er",
  "networking/v1.ParentReference":
    "\ngroup string 1 eo\nresource string 2 er\nnamespace string 3 eo\nname string 4 er",
  "networking/v1.IPAddressList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []networking/v1.IPAddress 2 -",
  "networking/v1.ServiceCIDR":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec networking/v1.ServiceCIDRSpec 2 eo\nstatus networking/v1.ServiceCIDRStatus 3 eo",
  "networking/v1.ServiceCIDRSpec":
    "\ncidrs []string 1 eo lt=atomic",
  "networking/v1.ServiceCIDRStatus":
    "\nconditions []meta/v1.Condition 1 eo ps=merge pk=type lt=map lk=type",
  "networking/v1.ServiceCIDRList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []networking/v1.ServiceCIDR 2 -",
  "node/v1.RuntimeClass":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nhandler string 2 -\noverhead *node/v1.Overhead 3 eo\nscheduling *node/v1.Scheduling 4 eo",
  "node/v1.Overhead":
    "\npodFixed map[core/v1.ResourceName]Quantity 1 eo",
  "node/v1.Scheduling":
    "\nnodeSelector map[string]string 1 eo mt=atomic\ntolerations []core/v1.Toleration 2 eo lt=atomic",
  "node/v1.RuntimeClassList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []node/v1.RuntimeClass 2 -",
  "policy/v1.PodDisruptionBudgetSpec":
    "\nminAvailable *IntOrString 1 eo\nselector *meta/v1.LabelSelector 2 eo ps=replace\nmaxUnavailable *IntOrString 3 eo\nunhealthyPodEvictionPolicy *policy/v1.UnhealthyPodEvictionPolicyType 4 eo",
  "policy/v1.PodDisruptionBudgetStatus":
    "\nobservedGeneration int64 1 eo\ndisruptedPods map[string]Time 2 eo\ndisruptionsAllowed int32 3 -\ncurrentHealthy int32 4 -\ndesiredHealthy int32 5 -\nexpectedPods int32 6 -\nconditions []meta/v1.Condition 7 eo ps=merge pk=type lt=map lk=type",
  "policy/v1.PodDisruptionBudget":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec policy/v1.PodDisruptionBudgetSpec 2 eo\nstatus policy/v1.PodDisruptionBudgetStatus 3 eo",
  "policy/v1.PodDisruptionBudgetList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []policy/v1.PodDisruptionBudget 2 -",
  "policy/v1.Eviction":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\ndeleteOptions *meta/v1.DeleteOptions 2 eo",
  "rbac/v1.PolicyRule":
    "\nverbs []string 1 - lt=atomic\napiGroups []string 2 eo lt=atomic\nresources []string 3 eo lt=atomic\nresourceNames []string 4 eo lt=atomic\nnonResourceURLs []string 5 eo lt=atomic",
  "rbac/v1.Subject":
    "a\nkind string 1 -\napiGroup string 2 eo\nname string 3 -\nnamespace string 4 eo",
  "rbac/v1.RoleRef":
    "a\napiGroup string 1 -\nkind string 2 -\nname string 3 -",
  "rbac/v1.Role":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nrules []rbac/v1.PolicyRule 2 o lt=atomic",
  "rbac/v1.RoleBinding":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nsubjects []rbac/v1.Subject 2 eo lt=atomic\nroleRef rbac/v1.RoleRef 3 -",
  "rbac/v1.RoleBindingList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []rbac/v1.RoleBinding 2 -",
  "rbac/v1.RoleList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []rbac/v1.Role 2 -",
  "rbac/v1.ClusterRole":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nrules []rbac/v1.PolicyRule 2 o lt=atomic\naggregationRule *rbac/v1.AggregationRule 3 eo",
  "rbac/v1.AggregationRule":
    "\nclusterRoleSelectors []meta/v1.LabelSelector 1 eo lt=atomic",
  "rbac/v1.ClusterRoleBinding":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nsubjects []rbac/v1.Subject 2 eo lt=atomic\nroleRef rbac/v1.RoleRef 3 -",
  "rbac/v1.ClusterRoleBindingList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []rbac/v1.ClusterRoleBinding 2 -",
  "rbac/v1.ClusterRoleList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []rbac/v1.ClusterRole 2 -",
  "resource/v1.ResourceSlice":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec resource/v1.ResourceSliceSpec 2 -",
  "resource/v1.ResourceSliceSpec":
    "\ndriver string 1 r\npool resource/v1.ResourcePool 2 r\nnodeName *string 3 eo\nnodeSelector *core/v1.NodeSelector 4 eo\nallNodes *bool 5 eo\ndevices []resource/v1.Device 6 o lt=atomic\nperDeviceNodeSelection *bool 7 eo fg=DRAPartitionableDevices\nsharedCounters []resource/v1.CounterSet 8 eo lt=atomic fg=DRAPartitionableDevices",
  "resource/v1.CounterSet":
    "\nname string 1 r\ncounters map[string]resource/v1.Counter 2 er",
  "resource/v1.ResourcePool":
    "\nname string 1 r\ngeneration int64 2 r\nresourceSliceCount int64 3 r",
  "resource/v1.Device":
    "\nname string 1 r\nattributes map[resource/v1.QualifiedName]resource/v1.DeviceAttribute 2 eo\ncapacity map[resource/v1.QualifiedName]resource/v1.DeviceCapacity 3 eo\nconsumesCounters []resource/v1.DeviceCounterConsumption 4 eo lt=atomic fg=DRAPartitionableDevices\nnodeName *string 5 eo fg=DRAPartitionableDevices\nnodeSelector *core/v1.NodeSelector 6 eo fg=DRAPartitionableDevices\nallNodes *bool 7 eo fg=DRAPartitionableDevices\ntaints []resource/v1.DeviceTaint 8 eo lt=atomic fg=DRADeviceTaints\nbindsToNode *bool 9 eo fg=DRADeviceBindingConditions\nbindingConditions []string 10 eo lt=atomic fg=DRADeviceBindingConditions\nbindingFailureConditions []string 11 eo lt=atomic fg=DRADeviceBindingConditions\nallowMultipleAllocations *bool 12 eo fg=DRAConsumableCapacity",
  "resource/v1.DeviceCounterConsumption":
    "\ncounterSet string 1 r\ncounters map[string]resource/v1.Counter 2 er",
  "resource/v1.DeviceCapacity":
    "\nvalue Quantity 1 r\nrequestPolicy *resource/v1.CapacityRequestPolicy 2 eo fg=DRAConsumableCapacity",
  "resource/v1.Counter":
    "\nvalue Quantity 1 r",
  "resource/v1.CapacityRequestPolicy":
    "\ndefault *Quantity 1 o\nvalidValues []Quantity 3 eo lt=atomic\nvalidRange *resource/v1.CapacityRequestPolicyRange 4 eo",
  "resource/v1.CapacityRequestPolicyRange":
    "\nmin *Quantity 1 er\nmax *Quantity 2 eo\nstep *Quantity 3 eo",
  "resource/v1.DeviceAttribute":
    "\nint *int64 2 eo\nbool *bool 3 eo\nstring *string 4 eo\nversion *string 5 eo",
  "resource/v1.DeviceTaint":
    "\nkey string 1 r\nvalue string 2 eo\neffect resource/v1.DeviceTaintEffect 3 r\ntimeAdded *Time 4 eo",
  "resource/v1.ResourceSliceList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []resource/v1.ResourceSlice 2 -",
  "resource/v1.ResourceClaim":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec resource/v1.ResourceClaimSpec 2 -\nstatus resource/v1.ResourceClaimStatus 3 eo",
  "resource/v1.ResourceClaimSpec":
    "\ndevices resource/v1.DeviceClaim 1 o",
  "resource/v1.DeviceClaim":
    "\nrequests []resource/v1.DeviceRequest 1 o lt=atomic\nconstraints []resource/v1.DeviceConstraint 2 eo lt=atomic\nconfig []resource/v1.DeviceClaimConfiguration 3 eo lt=atomic",
  "resource/v1.DeviceRequest":
    "\nname string 1 r\nexactly *resource/v1.ExactDeviceRequest 2 eo\nfirstAvailable []resource/v1.DeviceSubRequest 3 eo lt=atomic fg=DRAPrioritizedList",
  "resource/v1.ExactDeviceRequest":
    "\ndeviceClassName string 1 r\nselectors []resource/v1.DeviceSelector 2 eo lt=atomic\nallocationMode resource/v1.DeviceAllocationMode 3 eo\ncount int64 4 eo\nadminAccess *bool 5 eo fg=DRAAdminAccess\ntolerations []resource/v1.DeviceToleration 6 eo lt=atomic fg=DRADeviceTaints\ncapacity *resource/v1.CapacityRequirements 7 eo fg=DRAConsumableCapacity",
  "resource/v1.DeviceSubRequest":
    "\nname string 1 r\ndeviceClassName string 2 r\nselectors []resource/v1.DeviceSelector 3 eo lt=atomic\nallocationMode resource/v1.DeviceAllocationMode 4 eo\ncount int64 5 eo\ntolerations []resource/v1.DeviceToleration 6 eo lt=atomic fg=DRADeviceTaints\ncapacity *resource/v1.CapacityRequirements 7 eo fg=DRAConsumableCapacity",
  "resource/v1.CapacityRequirements":
    "\nrequests map[resource/v1.QualifiedName]Quantity 1 eo",
  "resource/v1.DeviceSelector":
    "\ncel *resource/v1.CELDeviceSelector 1 eo",
  "resource/v1.CELDeviceSelector":
    "\nexpression string 1 r",
  "resource/v1.DeviceConstraint":
    "\nrequests []string 1 eo lt=atomic\nmatchAttribute *resource/v1.FullyQualifiedName 2 eo\ndistinctAttribute *resource/v1.FullyQualifiedName 3 eo fg=DRAConsumableCapacity",
  "resource/v1.DeviceClaimConfiguration":
    "\nrequests []string 1 eo lt=atomic\n- resource/v1.DeviceConfiguration 2 i",
  "resource/v1.DeviceConfiguration":
    "\nopaque *resource/v1.OpaqueDeviceConfiguration 1 eo",
  "resource/v1.OpaqueDeviceConfiguration":
    "\ndriver string 1 r\nparameters RawExtension 2 r",
  "resource/v1.DeviceToleration":
    "\nkey string 1 eo\noperator resource/v1.DeviceTolerationOperator 2 eo d=\"Equal\"\nvalue string 3 eo\neffect resource/v1.DeviceTaintEffect 4 eo\ntolerationSeconds *int64 5 eo",
  "resource/v1.ResourceClaimStatus":
    "\nallocation *resource/v1.AllocationResult 1 eo\nreservedFor []resource/v1.ResourceClaimConsumerReference 2 eo ps=merge pk=uid lt=map lk=uid\ndevices []resource/v1.AllocatedDeviceStatus 4 eo lt=map lk=driver,device,pool,shareID fg=DRAResourceClaimDeviceStatus",
  "resource/v1.ResourceClaimConsumerReference":
    "\napiGroup string 1 eo\nresource string 3 r\nname string 4 r\nuid types.UID 5 r",
  "resource/v1.AllocationResult":
    "\ndevices resource/v1.DeviceAllocationResult 1 eo\nnodeSelector *core/v1.NodeSelector 3 eo\nallocationTimestamp *Time 5 eo fg=DRADeviceBindingConditions",
  "resource/v1.DeviceAllocationResult":
    "\nresults []resource/v1.DeviceRequestAllocationResult 1 eo lt=atomic\nconfig []resource/v1.DeviceAllocationConfiguration 2 eo lt=atomic",
  "resource/v1.DeviceRequestAllocationResult":
    "\nrequest string 1 r\ndriver string 2 r\npool string 3 r\ndevice string 4 r\nadminAccess *bool 5 eo fg=DRAAdminAccess\ntolerations []resource/v1.DeviceToleration 6 eo lt=atomic fg=DRADeviceTaints\nbindingConditions []string 7 eo lt=atomic fg=DRADeviceBindingConditions\nbindingFailureConditions []string 8 eo lt=atomic fg=DRADeviceBindingConditions\nshareID *types.UID 9 eo fg=DRAConsumableCapacity\nconsumedCapacity map[resource/v1.QualifiedName]Quantity 10 eo fg=DRAConsumableCapacity",
  "resource/v1.DeviceAllocationConfiguration":
    "\nsource resource/v1.AllocationConfigSource 1 r\nrequests []string 2 eo lt=atomic\n- resource/v1.DeviceConfiguration 3 i",
  "resource/v1.ResourceClaimList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []resource/v1.ResourceClaim 2 -",
  "resource/v1.DeviceClass":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec resource/v1.DeviceClassSpec 2 -",
  "resource/v1.DeviceClassSpec":
    "\nselectors []resource/v1.DeviceSelector 1 eo lt=atomic\nconfig []resource/v1.DeviceClassConfiguration 2 eo lt=atomic\nextendedResourceName *string 4 eo fg=DRAExtendedResource",
  "resource/v1.DeviceClassConfiguration":
    "\n- resource/v1.DeviceConfiguration 1 i",
  "resource/v1.DeviceClassList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []resource/v1.DeviceClass 2 -",
  "resource/v1.ResourceClaimTemplate":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec resource/v1.ResourceClaimTemplateSpec 2 -",
  "resource/v1.ResourceClaimTemplateSpec":
    "\nmetadata meta/v1.ObjectMeta 1 eo\nspec resource/v1.ResourceClaimSpec 2 -",
  "resource/v1.ResourceClaimTemplateList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []resource/v1.ResourceClaimTemplate 2 -",
  "resource/v1.AllocatedDeviceStatus":
    "\ndriver string 1 r\npool string 2 r\ndevice string 3 r\nshareID *string 7 eo fg=DRAConsumableCapacity\nconditions []meta/v1.Condition 4 o lt=map lk=type\ndata *RawExtension 5 eo\nnetworkData *resource/v1.NetworkDeviceData 6 eo",
  "resource/v1.NetworkDeviceData":
    "\ninterfaceName string 1 eo\nips []string 2 eo lt=atomic\nhardwareAddress string 3 eo",
  "scheduling/v1.PriorityClass":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nvalue int32 2 -\nglobalDefault bool 3 eo\ndescription string 4 eo\npreemptionPolicy *core/v1.PreemptionPolicy 5 eo",
  "scheduling/v1.PriorityClassList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []scheduling/v1.PriorityClass 2 -",
  "storage/v1.StorageClass":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nprovisioner string 2 -\nparameters map[string]string 3 eo\nreclaimPolicy *core/v1.PersistentVolumeReclaimPolicy 4 eo\nmountOptions []string 5 eo lt=atomic\nallowVolumeExpansion *bool 6 eo\nvolumeBindingMode *storage/v1.VolumeBindingMode 7 eo\nallowedTopologies []core/v1.TopologySelectorTerm 8 eo lt=atomic",
  "storage/v1.StorageClassList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []storage/v1.StorageClass 2 -",
  "storage/v1.VolumeAttachment":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec storage/v1.VolumeAttachmentSpec 2 -\nstatus storage/v1.VolumeAttachmentStatus 3 eo",
  "storage/v1.VolumeAttachmentList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []storage/v1.VolumeAttachment 2 -",
  "storage/v1.VolumeAttachmentSpec":
    "\nattacher string 1 -\nsource storage/v1.VolumeAttachmentSource 2 -\nnodeName string 3 -",
  "storage/v1.VolumeAttachmentSource":
    "\npersistentVolumeName *string 1 eo\ninlineVolumeSpec *core/v1.PersistentVolumeSpec 2 eo",
  "storage/v1.VolumeAttachmentStatus":
    "\nattached bool 1 -\nattachmentMetadata map[string]string 2 eo\nattachError *storage/v1.VolumeError 3 eo\ndetachError *storage/v1.VolumeError 4 eo",
  "storage/v1.VolumeError":
    "\ntime Time 1 eo\nmessage string 2 eo\nerrorCode *int32 3 eo fg=MutableCSINodeAllocatableCount",
  "storage/v1.CSIDriver":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 e\nspec storage/v1.CSIDriverSpec 2 -",
  "storage/v1.CSIDriverList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []storage/v1.CSIDriver 2 -",
  "storage/v1.CSIDriverSpec":
    "\nattachRequired *bool 1 eo\npodInfoOnMount *bool 2 eo\nvolumeLifecycleModes []storage/v1.VolumeLifecycleMode 3 eo lt=set\nstorageCapacity *bool 4 eo fg=CSIStorageCapacity\nfsGroupPolicy *storage/v1.FSGroupPolicy 5 eo\ntokenRequests []storage/v1.TokenRequest 6 eo lt=atomic\nrequiresRepublish *bool 7 eo\nseLinuxMount *bool 8 eo fg=SELinuxMountReadWriteOncePod\nnodeAllocatableUpdatePeriodSeconds *int64 9 eo fg=MutableCSINodeAllocatableCount",
  "storage/v1.TokenRequest":
    "\naudience string 1 -\nexpirationSeconds *int64 2 eo",
  "storage/v1.CSINode":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 e\nspec storage/v1.CSINodeSpec 2 -",
  "storage/v1.CSINodeSpec":
    "\ndrivers []storage/v1.CSINodeDriver 1 - ps=merge pk=name lt=map lk=name",
  "storage/v1.CSINodeDriver":
    "\nname string 1 -\nnodeID string 2 -\ntopologyKeys []string 3 o lt=atomic\nallocatable *storage/v1.VolumeNodeResources 4 eo",
  "storage/v1.VolumeNodeResources":
    "\ncount *int32 1 eo",
  "storage/v1.CSINodeList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []storage/v1.CSINode 2 -",
  "storage/v1.CSIStorageCapacity":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nnodeTopology *meta/v1.LabelSelector 2 eo\nstorageClassName string 3 -\ncapacity *Quantity 4 eo\nmaximumVolumeSize *Quantity 5 eo",
  "storage/v1.CSIStorageCapacityList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []storage/v1.CSIStorageCapacity 2 -",
  "storage/v1.VolumeAttributesClass":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\ndriverName string 2 -\nparameters map[string]string 3 e",
  "storage/v1.VolumeAttributesClassList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []storage/v1.VolumeAttributesClass 2 -",
  "meta/v1.TypeMeta":
    "\nkind string 1 eo\napiVersion string 2 eo",
  "meta/v1.ListMeta":
    "\nselfLink string 1 eo\nresourceVersion string 2 eo\ncontinue string 3 e\nremainingItemCount *int64 4 eo",
  "meta/v1.ObjectMeta":
    "\nname string 1 eo\ngenerateName string 2 eo\nnamespace string 3 eo\nselfLink string 4 eo\nuid types.UID 5 eo\nresourceVersion string 6 eo\ngeneration int64 7 eo\ncreationTimestamp Time 8 eo\ndeletionTimestamp *Time 9 eo\ndeletionGracePeriodSeconds *int64 10 eo\nlabels map[string]string 11 eo\nannotations map[string]string 12 eo\nownerReferences []meta/v1.OwnerReference 13 eo ps=merge pk=uid lt=map lk=uid\nfinalizers []string 14 eo ps=merge lt=set\nmanagedFields []meta/v1.ManagedFieldsEntry 17 eo lt=atomic",
  "meta/v1.OwnerReference":
    "a\napiVersion string 5 -\nkind string 1 -\nname string 3 -\nuid types.UID 4 -\ncontroller *bool 6 eo\nblockOwnerDeletion *bool 7 eo",
  "meta/v1.ListOptions":
    "k\n- meta/v1.TypeMeta 0 i\nlabelSelector string 1 eo\nfieldSelector string 2 eo\nwatch bool 3 eo\nallowWatchBookmarks bool 9 eo\nresourceVersion string 4 eo\nresourceVersionMatch meta/v1.ResourceVersionMatch 10 eo\ntimeoutSeconds *int64 5 eo\nlimit int64 7 e\ncontinue string 8 e\nsendInitialEvents *bool 11 eo",
  "meta/v1.GetOptions":
    "k\n- meta/v1.TypeMeta 0 i\nresourceVersion string 1 eo",
  "meta/v1.DeleteOptions":
    "k\n- meta/v1.TypeMeta 0 i\ngracePeriodSeconds *int64 1 eo\npreconditions *meta/v1.Preconditions 2 eo\norphanDependents *bool 3 eo\npropagationPolicy *meta/v1.DeletionPropagation 4 eo\ndryRun []string 5 eo lt=atomic\nignoreStoreReadErrorWithClusterBreakingPotential *bool 6 eo",
  "meta/v1.CreateOptions":
    "k\n- meta/v1.TypeMeta 0 i\ndryRun []string 1 eo lt=atomic\nfieldManager string 3 eo\nfieldValidation string 4 eo",
  "meta/v1.PatchOptions":
    "k\n- meta/v1.TypeMeta 0 i\ndryRun []string 1 eo lt=atomic\nforce *bool 2 eo\nfieldManager string 3 eo\nfieldValidation string 4 eo",
  "meta/v1.ApplyOptions":
    "\n- meta/v1.TypeMeta 0 i\ndryRun []string 1 eo lt=atomic\nforce bool 2 -\nfieldManager string 3 -",
  "meta/v1.UpdateOptions":
    "k\n- meta/v1.TypeMeta 0 i\ndryRun []string 1 eo lt=atomic\nfieldManager string 2 eo\nfieldValidation string 3 eo",
  "meta/v1.Preconditions":
    "\nuid *types.UID 1 eo\nresourceVersion *string 2 eo",
  "meta/v1.Status":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nstatus string 2 eo\nmessage string 3 eo\nreason meta/v1.StatusReason 4 eo\ndetails *meta/v1.StatusDetails 5 eo lt=atomic\ncode int32 6 eo",
  "meta/v1.StatusDetails":
    "\nname string 1 eo\ngroup string 2 eo\nkind string 3 eo\nuid types.UID 6 eo\ncauses []meta/v1.StatusCause 4 eo lt=atomic\nretryAfterSeconds int32 5 eo",
  "meta/v1.StatusCause":
    "\nreason meta/v1.CauseType 1 eo\nmessage string 2 eo\nfield string 3 eo",
  "meta/v1.List":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []RawExtension 2 -",
  "meta/v1.APIVersions":
    "k\n- meta/v1.TypeMeta 0 i\nversions []string 1 - lt=atomic\nserverAddressByClientCIDRs []meta/v1.ServerAddressByClientCIDR 2 - lt=atomic",
  "meta/v1.APIGroupList":
    "k\n- meta/v1.TypeMeta 0 i\ngroups []meta/v1.APIGroup 1 - lt=atomic",
  "meta/v1.APIGroup":
    "k\n- meta/v1.TypeMeta 0 i\nname string 1 -\nversions []meta/v1.GroupVersionForDiscovery 2 - lt=atomic\npreferredVersion meta/v1.GroupVersionForDiscovery 3 eo\nserverAddressByClientCIDRs []meta/v1.ServerAddressByClientCIDR 4 eo lt=atomic",
  "meta/v1.ServerAddressByClientCIDR":
    "\nclientCIDR string 1 -\nserverAddress string 2 -",
  "meta/v1.GroupVersionForDiscovery":
    "\ngroupVersion string 1 -\nversion string 2 -",
  "meta/v1.APIResource":
    "\nname string 1 -\nsingularName string 6 -\nnamespaced bool 2 -\ngroup string 8 e\nversion string 9 e\nkind string 3 -\nverbs meta/v1.Verbs 4 -\nshortNames []string 5 e lt=atomic\ncategories []string 7 e lt=atomic\nstorageVersionHash string 10 eo",
  "meta/v1.APIResourceList":
    "k\n- meta/v1.TypeMeta 0 i\ngroupVersion string 1 -\nresources []meta/v1.APIResource 2 - lt=atomic",
  "meta/v1.RootPaths":
    "\npaths []string 1 - lt=atomic",
  "meta/v1.LabelSelector":
    "a\nmatchLabels map[string]string 1 eo\nmatchExpressions []meta/v1.LabelSelectorRequirement 2 eo lt=atomic",
  "meta/v1.LabelSelectorRequirement":
    "\nkey string 1 -\noperator meta/v1.LabelSelectorOperator 2 -\nvalues []string 3 eo lt=atomic",
  "meta/v1.FieldSelectorRequirement":
    "\nkey string 1 -\noperator meta/v1.FieldSelectorOperator 2 -\nvalues []string 3 eo lt=atomic",
  "meta/v1.ManagedFieldsEntry":
    "\nmanager string 1 e\noperation meta/v1.ManagedFieldsOperationType 2 e\napiVersion string 3 e\ntime *Time 4 eo\nfieldsType string 6 e\nfieldsV1 *FieldsV1 7 eo\nsubresource string 8 e",
  "meta/v1.Table":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 0 eo\ncolumnDefinitions []meta/v1.TableColumnDefinition 0 - lt=atomic\nrows []meta/v1.TableRow 0 - lt=atomic",
  "meta/v1.TableColumnDefinition":
    "\nname string 0 -\ntype string 0 -\nformat string 0 -\ndescription string 0 -\npriority int32 0 -",
  "meta/v1.TableRow":
    "\nconditions []meta/v1.TableRowCondition 0 eo lt=atomic\nobject RawExtension 0 eo",
  "meta/v1.TableRowCondition":
    "\ntype meta/v1.RowConditionType 0 -\nstatus meta/v1.ConditionStatus 0 -\nreason string 0 eo\nmessage string 0 eo",
  "meta/v1.TableOptions":
    "k\n- meta/v1.TypeMeta 0 i\nincludeObject meta/v1.IncludeObjectPolicy 1 e",
  "meta/v1.PartialObjectMetadata":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo",
  "meta/v1.PartialObjectMetadataList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []meta/v1.PartialObjectMetadata 2 -",
  "meta/v1.Condition":
    "\ntype string 1 r\nstatus meta/v1.ConditionStatus 2 r\nobservedGeneration int64 3 eo\nlastTransitionTime Time 4 r\nreason string 5 r\nmessage string 6 r",
  "meta/v1.GroupVersionKind":
    "\ngroup string 1 -\nversion string 2 -\nkind string 3 -",
  "meta/v1.GroupVersionResource":
    "\ngroup string 1 -\nversion string 2 -\nresource string 3 -",
  "meta/v1.WatchEvent":
    "k\ntype string 1 -\nobject RawExtension 2 -",
  "runtime.TypeMeta":
    "\napiVersion string 1 eo\nkind string 2 eo",
  "runtime.Unknown":
    "k\n- runtime.TypeMeta 1 i\n- string 3 i\n- string 4 i",
  "apiextensions/v1.CustomResourceDefinitionSpec":
    "\ngroup string 1 -\nnames apiextensions/v1.CustomResourceDefinitionNames 3 -\nscope apiextensions/v1.ResourceScope 4 -\nversions []apiextensions/v1.CustomResourceDefinitionVersion 7 - lt=atomic\nconversion *apiextensions/v1.CustomResourceConversion 9 eo\npreserveUnknownFields bool 10 eo",
  "apiextensions/v1.CustomResourceConversion":
    "\nstrategy apiextensions/v1.ConversionStrategyType 1 -\nwebhook *apiextensions/v1.WebhookConversion 2 eo",
  "apiextensions/v1.WebhookConversion":
    "\nclientConfig *apiextensions/v1.WebhookClientConfig 2 eo\nconversionReviewVersions []string 3 - lt=atomic",
  "apiextensions/v1.WebhookClientConfig":
    "\nurl *string 3 eo\nservice *apiextensions/v1.ServiceReference 1 eo\ncaBundle bytes 2 eo",
  "apiextensions/v1.ServiceReference":
    "\nnamespace string 1 -\nname string 2 -\npath *string 3 eo\nport *int32 4 eo",
  "apiextensions/v1.CustomResourceDefinitionVersion":
    "\nname string 1 -\nserved bool 2 -\nstorage bool 3 -\ndeprecated bool 7 eo\ndeprecationWarning *string 8 eo\nschema *apiextensions/v1.CustomResourceValidation 4 eo\nsubresources *apiextensions/v1.CustomResourceSubresources 5 eo\nadditionalPrinterColumns []apiextensions/v1.CustomResourceColumnDefinition 6 eo lt=atomic\nselectableFields []apiextensions/v1.SelectableField 9 eo lt=atomic fg=CustomResourceFieldSelectors",
  "apiextensions/v1.SelectableField":
    "\njsonPath string 1 -",
  "apiextensions/v1.CustomResourceColumnDefinition":
    "\nname string 1 -\ntype string 2 -\nformat string 3 eo\ndescription string 4 eo\npriority int32 5 eo\njsonPath string 6 -",
  "apiextensions/v1.CustomResourceDefinitionNames":
    "\nplural string 1 -\nsingular string 2 eo\nshortNames []string 3 eo lt=atomic\nkind string 4 -\nlistKind string 5 eo\ncategories []string 6 eo lt=atomic",
  "apiextensions/v1.CustomResourceDefinitionCondition":
    "\ntype apiextensions/v1.CustomResourceDefinitionConditionType 1 -\nstatus apiextensions/v1.ConditionStatus 2 -\nlastTransitionTime Time 3 eo\nreason string 4 eo\nmessage string 5 eo",
  "apiextensions/v1.CustomResourceDefinitionStatus":
    "\nconditions []apiextensions/v1.CustomResourceDefinitionCondition 1 o lt=map lk=type\nacceptedNames apiextensions/v1.CustomResourceDefinitionNames 2 o\nstoredVersions []string 3 o lt=atomic",
  "apiextensions/v1.CustomResourceDefinition":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec apiextensions/v1.CustomResourceDefinitionSpec 2 -\nstatus apiextensions/v1.CustomResourceDefinitionStatus 3 eo",
  "apiextensions/v1.CustomResourceDefinitionList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []apiextensions/v1.CustomResourceDefinition 2 -",
  "apiextensions/v1.CustomResourceValidation":
    "\nopenAPIV3Schema *apiextensions/v1.JSONSchemaProps 1 eo",
  "apiextensions/v1.CustomResourceSubresources":
    "\nstatus *apiextensions/v1.CustomResourceSubresourceStatus 1 eo\nscale *apiextensions/v1.CustomResourceSubresourceScale 2 eo",
  "apiextensions/v1.CustomResourceSubresourceScale":
    "\nspecReplicasPath string 1 -\nstatusReplicasPath string 2 -\nlabelSelectorPath *string 3 eo",
  "apiextensions/v1.ConversionReview":
    "k\n- meta/v1.TypeMeta 0 i\nrequest *apiextensions/v1.ConversionRequest 1 eo\nresponse *apiextensions/v1.ConversionResponse 2 eo",
  "apiextensions/v1.ConversionRequest":
    "\nuid types.UID 1 -\ndesiredAPIVersion string 2 -\nobjects []RawExtension 3 - lt=atomic",
  "apiextensions/v1.ConversionResponse":
    "\nuid types.UID 1 -\nconvertedObjects []RawExtension 2 - lt=atomic\nresult meta/v1.Status 3 -",
  "apiextensions/v1.JSONSchemaProps":
    "\nid string 1 e\n$schema apiextensions/v1.JSONSchemaURL 2 e\n$ref *string 3 e\ndescription string 4 e\ntype string 5 e\nformat string 6 e\ntitle string 7 e\ndefault *JSON 8 e\nmaximum *float64 9 e\nexclusiveMaximum bool 10 e\nminimum *float64 11 e\nexclusiveMinimum bool 12 e\nmaxLength *int64 13 e\nminLength *int64 14 e\npattern string 15 e\nmaxItems *int64 16 e\nminItems *int64 17 e\nuniqueItems bool 18 e\nmultipleOf *float64 19 e\nenum []JSON 20 e lt=atomic\nmaxProperties *int64 21 e\nminProperties *int64 22 e\nrequired []string 23 e lt=atomic\nitems *apiextensions/v1.JSONSchemaPropsOrArray 24 e\nallOf []apiextensions/v1.JSONSchemaProps 25 e lt=atomic\noneOf []apiextensions/v1.JSONSchemaProps 26 e lt=atomic\nanyOf []apiextensions/v1.JSONSchemaProps 27 e lt=atomic\nnot *apiextensions/v1.JSONSchemaProps 28 e\nproperties map[string]apiextensions/v1.JSONSchemaProps 29 e\nadditionalProperties *apiextensions/v1.JSONSchemaPropsOrBool 30 e\npatternProperties map[string]apiextensions/v1.JSONSchemaProps 31 e\ndependencies apiextensions/v1.JSONSchemaDependencies 32 e\nadditionalItems *apiextensions/v1.JSONSchemaPropsOrBool 33 e\ndefinitions apiextensions/v1.JSONSchemaDefinitions 34 e\nexternalDocs *apiextensions/v1.ExternalDocumentation 35 e\nexample *JSON 36 e\nnullable bool 37 e\nx-kubernetes-preserve-unknown-fields *bool 38 e\nx-kubernetes-embedded-resource bool 39 e\nx-kubernetes-int-or-string bool 40 e\nx-kubernetes-list-map-keys []string 41 eo lt=atomic\nx-kubernetes-list-type *string 42 eo\nx-kubernetes-map-type *string 43 eo\nx-kubernetes-validations apiextensions/v1.ValidationRules 44 e ps=merge pk=rule lt=map lk=rule",
  "apiextensions/v1.ValidationRule":
    "\nrule string 1 -\nmessage string 2 e\nmessageExpression string 3 eo\nreason *apiextensions/v1.FieldValueErrorReason 4 eo\nfieldPath string 5 eo\noptionalOldSelf *bool 6 eo fg=CRDValidationRatcheting",
  "apiextensions/v1.JSONSchemaPropsOrArray":
    "\n- *apiextensions/v1.JSONSchemaProps 1 i\n- []apiextensions/v1.JSONSchemaProps 2 i lt=atomic",
  "apiextensions/v1.JSONSchemaPropsOrBool":
    "\n- bool 1 i\n- *apiextensions/v1.JSONSchemaProps 2 i",
  "apiextensions/v1.JSONSchemaPropsOrStringArray":
    "\n- *apiextensions/v1.JSONSchemaProps 1 i\n- []string 2 i lt=atomic",
  "apiextensions/v1.ExternalDocumentation":
    "\ndescription string 1 e\nurl string 2 e",
  "apiextensions/v1.CustomResourceSubresourceStatus":
    "",
  "apiregistration/v1.APIServiceList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []apiregistration/v1.APIService 2 -",
  "apiregistration/v1.ServiceReference":
    "\nnamespace string 1 e\nname string 2 e\nport *int32 3 eo",
  "apiregistration/v1.APIServiceSpec":
    "\nservice *apiregistration/v1.ServiceReference 1 eo\ngroup string 2 e\nversion string 3 e\ninsecureSkipTLSVerify bool 4 e\ncaBundle bytes 5 eo lt=atomic\ngroupPriorityMinimum int32 7 -\nversionPriority int32 8 -",
  "apiregistration/v1.APIServiceCondition":
    "\ntype apiregistration/v1.APIServiceConditionType 1 -\nstatus apiregistration/v1.ConditionStatus 2 -\nlastTransitionTime Time 3 eo\nreason string 4 eo\nmessage string 5 eo",
  "apiregistration/v1.APIServiceStatus":
    "\nconditions []apiregistration/v1.APIServiceCondition 1 eo ps=merge pk=type lt=map lk=type",
  "apiregistration/v1.APIService":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec apiregistration/v1.APIServiceSpec 2 e\nstatus apiregistration/v1.APIServiceStatus 3 e",
  "metrics/v1beta1.NodeMetrics":
    "kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\ntimestamp Time 2 -\nwindow Duration 3 -\nusage map[core/v1.ResourceName]Quantity 4 -",
  "metrics/v1beta1.NodeMetricsList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 e\nitems []metrics/v1beta1.NodeMetrics 2 -",
  "metrics/v1beta1.PodMetrics":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\ntimestamp Time 2 -\nwindow Duration 3 -\ncontainers []metrics/v1beta1.ContainerMetrics 4 - lt=atomic",
  "metrics/v1beta1.PodMetricsList":
    "k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 e\nitems []metrics/v1beta1.PodMetrics 2 -",
  "metrics/v1beta1.ContainerMetrics":
    "\nname string 1 -\nusage map[core/v1.ResourceName]Quantity 2 -",
};

export const ALIASES: Record<string, string> = {
  "admission/v1.PatchType": "string",
  "admission/v1.Operation": "string",
  "admissionregistration/v1.ScopeType": "string",
  "admissionregistration/v1.FailurePolicyType": "string",
  "admissionregistration/v1.ParameterNotFoundActionType": "string",
  "admissionregistration/v1.MatchPolicyType": "string",
  "admissionregistration/v1.SideEffectClass": "string",
  "admissionregistration/v1.ValidatingAdmissionPolicyConditionType": "string",
  "admissionregistration/v1.ValidationAction": "string",
  "admissionregistration/v1.ReinvocationPolicyType": "string",
  "admissionregistration/v1.OperationType": "string",
  "apidiscovery/v2.ResourceScope": "string",
  "apidiscovery/v2.DiscoveryFreshness": "string",
  "apidiscovery/v2beta1.ResourceScope": "string",
  "apidiscovery/v2beta1.DiscoveryFreshness": "string",
  "apps/v1.PodManagementPolicyType": "string",
  "apps/v1.StatefulSetUpdateStrategyType": "string",
  "apps/v1.PersistentVolumeClaimRetentionPolicyType": "string",
  "apps/v1.StatefulSetConditionType": "string",
  "apps/v1.DeploymentStrategyType": "string",
  "apps/v1.DeploymentConditionType": "string",
  "apps/v1.DaemonSetUpdateStrategyType": "string",
  "apps/v1.DaemonSetConditionType": "string",
  "apps/v1.ReplicaSetConditionType": "string",
  "authentication/v1.ExtraValue": "[]string",
  "authorization/v1.ExtraValue": "[]string",
  "autoscaling/v1.MetricSourceType": "string",
  "autoscaling/v1.HorizontalPodAutoscalerConditionType": "string",
  "autoscaling/v2.ScalingPolicySelect": "string",
  "autoscaling/v2.HPAScalingPolicyType": "string",
  "autoscaling/v2.MetricSourceType": "string",
  "autoscaling/v2.MetricTargetType": "string",
  "autoscaling/v2.HorizontalPodAutoscalerConditionType": "string",
  "batch/v1.CompletionMode": "string",
  "batch/v1.PodFailurePolicyAction": "string",
  "batch/v1.PodFailurePolicyOnExitCodesOperator": "string",
  "batch/v1.PodReplacementPolicy": "string",
  "batch/v1.JobConditionType": "string",
  "batch/v1.ConcurrencyPolicy": "string",
  "certificates/v1.ExtraValue": "[]string",
  "certificates/v1.RequestConditionType": "string",
  "certificates/v1.KeyUsage": "string",
  "coordination/v1.CoordinatedLeaseStrategy": "string",
  "core/v1.PersistentVolumeReclaimPolicy": "string",
  "core/v1.PersistentVolumeMode": "string",
  "core/v1.PersistentVolumeClaimConditionType": "string",
  "core/v1.ClaimResourceStatus": "string",
  "core/v1.PersistentVolumeClaimModifyVolumeStatus": "string",
  "core/v1.PersistentVolumeAccessMode": "string",
  "core/v1.PersistentVolumePhase": "string",
  "core/v1.PersistentVolumeClaimPhase": "string",
  "core/v1.HostPathType": "string",
  "core/v1.StorageMedium": "string",
  "core/v1.Protocol": "string",
  "core/v1.AzureDataDiskCachingMode": "string",
  "core/v1.AzureDataDiskKind": "string",
  "core/v1.MountPropagationMode": "string",
  "core/v1.RecursiveReadOnlyMode": "string",
  "core/v1.URIScheme": "string",
  "core/v1.PullPolicy": "string",
  "core/v1.ResourceResizeRestartPolicy": "string",
  "core/v1.PreemptionPolicy": "string",
  "core/v1.TerminationMessagePolicy": "string",
  "core/v1.Capability": "string",
  "core/v1.Signal": "string",
  "core/v1.ConditionStatus": "string",
  "core/v1.ResourceHealthStatus": "string",
  "core/v1.ResourceID": "string",
  "core/v1.PodPhase": "string",
  "core/v1.PodConditionType": "string",
  "core/v1.PodResizeStatus": "string",
  "core/v1.RestartPolicy": "string",
  "core/v1.ContainerRestartPolicy": "string",
  "core/v1.ContainerRestartRuleAction": "string",
  "core/v1.ContainerRestartRuleOnExitCodesOperator": "string",
  "core/v1.DNSPolicy": "string",
  "core/v1.NodeSelectorOperator": "string",
  "core/v1.TaintEffect": "string",
  "core/v1.TolerationOperator": "string",
  "core/v1.OSName": "string",
  "core/v1.UnsatisfiableConstraintAction": "string",
  "core/v1.NodeInclusionPolicy": "string",
  "core/v1.PodFSGroupChangePolicy": "string",
  "core/v1.SupplementalGroupsPolicy": "string",
  "core/v1.PodSELinuxChangePolicy": "string",
  "core/v1.SeccompProfileType": "string",
  "core/v1.AppArmorProfileType": "string",
  "core/v1.PodQOSClass": "string",
  "core/v1.ReplicationControllerConditionType": "string",
  "core/v1.ServiceAffinity": "string",
  "core/v1.ServiceType": "string",
  "core/v1.ServiceInternalTrafficPolicy": "string",
  "core/v1.ServiceExternalTrafficPolicy": "string",
  "core/v1.IPFamily": "string",
  "core/v1.IPFamilyPolicy": "string",
  "core/v1.UniqueVolumeName": "string",
  "core/v1.NodePhase": "string",
  "core/v1.NodeConditionType": "string",
  "core/v1.NodeAddressType": "string",
  "core/v1.ResourceName": "string",
  "core/v1.FinalizerName": "string",
  "core/v1.NamespacePhase": "string",
  "core/v1.NamespaceConditionType": "string",
  "core/v1.LimitType": "string",
  "core/v1.ResourceQuotaScope": "string",
  "core/v1.ScopeSelectorOperator": "string",
  "core/v1.SecretType": "string",
  "core/v1.ComponentConditionType": "string",
  "core/v1.ProcMountType": "string",
  "core/v1.LoadBalancerIPMode": "string",
  "discovery/v1.AddressType": "string",
  "flowcontrol/v1.FlowDistinguisherMethodType": "string",
  "flowcontrol/v1.SubjectKind": "string",
  "flowcontrol/v1.FlowSchemaConditionType": "string",
  "flowcontrol/v1.PriorityLevelEnablement": "string",
  "flowcontrol/v1.LimitResponseType": "string",
  "flowcontrol/v1.PriorityLevelConfigurationConditionType": "string",
  "flowcontrol/v1.ConditionStatus": "string",
  "networking/v1.PolicyType": "string",
  "networking/v1.PathType": "string",
  "policy/v1.UnhealthyPodEvictionPolicyType": "string",
  "resource/v1.QualifiedName": "string",
  "resource/v1.FullyQualifiedName": "string",
  "resource/v1.DeviceTaintEffect": "string",
  "resource/v1.DeviceAllocationMode": "string",
  "resource/v1.DeviceTolerationOperator": "string",
  "resource/v1.AllocationConfigSource": "string",
  "storage/v1.VolumeBindingMode": "string",
  "storage/v1.FSGroupPolicy": "string",
  "storage/v1.VolumeLifecycleMode": "string",
  "meta/v1.ResourceVersionMatch": "string",
  "meta/v1.DeletionPropagation": "string",
  "meta/v1.StatusReason": "string",
  "meta/v1.CauseType": "string",
  "meta/v1.Verbs": "[]string",
  "meta/v1.LabelSelectorOperator": "string",
  "meta/v1.FieldSelectorOperator": "string",
  "meta/v1.ManagedFieldsOperationType": "string",
  "meta/v1.RowConditionType": "string",
  "meta/v1.ConditionStatus": "string",
  "meta/v1.IncludeObjectPolicy": "string",
  "apiextensions/v1.ConversionStrategyType": "string",
  "apiextensions/v1.ResourceScope": "string",
  "apiextensions/v1.ConditionStatus": "string",
  "apiextensions/v1.CustomResourceDefinitionConditionType": "string",
  "apiextensions/v1.FieldValueErrorReason": "string",
  "apiextensions/v1.ValidationRules": "[]ValidationRule",
  "apiextensions/v1.JSONSchemaURL": "string",
  "apiextensions/v1.JSONSchemaDependencies": "map[string]JSONSchemaPropsOrStringArray",
  "apiextensions/v1.JSONSchemaDefinitions": "map[string]JSONSchemaProps",
  "apiregistration/v1.ConditionStatus": "string",
  "apiregistration/v1.APIServiceConditionType": "string",
};

export const ENUMS: Record<string, readonly string[]> = {
  "admissionregistration/v1.ScopeType": ["Cluster","Namespaced","*"],
  "admissionregistration/v1.FailurePolicyType": ["Ignore","Fail"],
  "admissionregistration/v1.MatchPolicyType": ["Exact","Equivalent"],
  "admissionregistration/v1.SideEffectClass": ["Unknown","None","Some","NoneOnDryRun"],
  "admissionregistration/v1.ValidationAction": ["Deny","Warn","Audit"],
  "admissionregistration/v1.ReinvocationPolicyType": ["Never","IfNeeded"],
  "admissionregistration/v1.OperationType": ["*","CREATE","UPDATE","DELETE","CONNECT"],
  "apps/v1.PodManagementPolicyType": ["OrderedReady","Parallel"],
  "apps/v1.StatefulSetUpdateStrategyType": ["RollingUpdate","OnDelete"],
  "apps/v1.DeploymentStrategyType": ["Recreate","RollingUpdate"],
  "apps/v1.DaemonSetUpdateStrategyType": ["RollingUpdate","OnDelete"],
  "autoscaling/v1.MetricSourceType": ["Object","Pods","Resource","ContainerResource","External"],
  "batch/v1.CompletionMode": ["NonIndexed","Indexed"],
  "batch/v1.PodFailurePolicyAction": ["FailJob","FailIndex","Ignore","Count"],
  "batch/v1.PodFailurePolicyOnExitCodesOperator": ["In","NotIn"],
  "batch/v1.PodReplacementPolicy": ["TerminatingOrFailed","Failed"],
  "batch/v1.ConcurrencyPolicy": ["Allow","Forbid","Replace"],
  "certificates/v1.KeyUsage": ["signing","digital signature","content commitment","key encipherment","key agreement","data encipherment","cert sign","crl sign","encipher only","decipher only","any","server auth","client auth","code signing","email protection","s/mime","ipsec end system","ipsec tunnel","ipsec user","timestamping","ocsp signing","microsoft sgc","netscape sgc"],
  "core/v1.PersistentVolumeReclaimPolicy": ["Recycle","Delete","Retain"],
  "core/v1.PersistentVolumeMode": ["Block","Filesystem"],
  "core/v1.ClaimResourceStatus": ["ControllerResizeInProgress","ControllerResizeInfeasible","NodeResizePending","NodeResizeInProgress","NodeResizeInfeasible"],
  "core/v1.PersistentVolumeClaimModifyVolumeStatus": ["Pending","InProgress","Infeasible"],
  "core/v1.PersistentVolumeAccessMode": ["ReadWriteOnce","ReadOnlyMany","ReadWriteMany","ReadWriteOncePod"],
  "core/v1.PersistentVolumePhase": ["Pending","Available","Bound","Released","Failed"],
  "core/v1.PersistentVolumeClaimPhase": ["Pending","Bound","Lost"],
  "core/v1.HostPathType": ["","DirectoryOrCreate","Directory","FileOrCreate","File","Socket","CharDevice","BlockDevice"],
  "core/v1.Protocol": ["TCP","UDP","SCTP"],
  "core/v1.AzureDataDiskCachingMode": ["None","ReadOnly","ReadWrite"],
  "core/v1.AzureDataDiskKind": ["Shared","Dedicated","Managed"],
  "core/v1.MountPropagationMode": ["None","HostToContainer","Bidirectional"],
  "core/v1.URIScheme": ["HTTP","HTTPS"],
  "core/v1.PullPolicy": ["Always","Never","IfNotPresent"],
  "core/v1.PreemptionPolicy": ["PreemptLowerPriority","Never"],
  "core/v1.TerminationMessagePolicy": ["File","FallbackToLogsOnError"],
  "core/v1.Signal": ["SIGABRT","SIGALRM","SIGBUS","SIGCHLD","SIGCLD","SIGCONT","SIGFPE","SIGHUP","SIGILL","SIGINT","SIGIO","SIGIOT","SIGKILL","SIGPIPE","SIGPOLL","SIGPROF","SIGPWR","SIGQUIT","SIGSEGV","SIGSTKFLT","SIGSTOP","SIGSYS","SIGTERM","SIGTRAP","SIGTSTP","SIGTTIN","SIGTTOU","SIGURG","SIGUSR1","SIGUSR2","SIGVTALRM","SIGWINCH","SIGXCPU","SIGXFSZ","SIGRTMIN","SIGRTMIN+1","SIGRTMIN+2","SIGRTMIN+3","SIGRTMIN+4","SIGRTMIN+5","SIGRTMIN+6","SIGRTMIN+7","SIGRTMIN+8","SIGRTMIN+9","SIGRTMIN+10","SIGRTMIN+11","SIGRTMIN+12","SIGRTMIN+13","SIGRTMIN+14","SIGRTMIN+15","SIGRTMAX-14","SIGRTMAX-13","SIGRTMAX-12","SIGRTMAX-11","SIGRTMAX-10","SIGRTMAX-9","SIGRTMAX-8","SIGRTMAX-7","SIGRTMAX-6","SIGRTMAX-5","SIGRTMAX-4","SIGRTMAX-3","SIGRTMAX-2","SIGRTMAX-1","SIGRTMAX"],
  "core/v1.PodPhase": ["Pending","Running","Succeeded","Failed","Unknown"],
  "core/v1.RestartPolicy": ["Always","OnFailure","Never"],
  "core/v1.DNSPolicy": ["ClusterFirstWithHostNet","ClusterFirst","Default","None"],
  "core/v1.NodeSelectorOperator": ["In","NotIn","Exists","DoesNotExist","Gt","Lt"],
  "core/v1.TaintEffect": ["NoSchedule","PreferNoSchedule","NoExecute"],
  "core/v1.TolerationOperator": ["Exists","Equal"],
  "core/v1.UnsatisfiableConstraintAction": ["DoNotSchedule","ScheduleAnyway"],
  "core/v1.NodeInclusionPolicy": ["Ignore","Honor"],
  "core/v1.PodFSGroupChangePolicy": ["OnRootMismatch","Always"],
  "core/v1.SupplementalGroupsPolicy": ["Merge","Strict"],
  "core/v1.SeccompProfileType": ["Unconfined","RuntimeDefault","Localhost"],
  "core/v1.AppArmorProfileType": ["Unconfined","RuntimeDefault","Localhost"],
  "core/v1.PodQOSClass": ["Guaranteed","Burstable","BestEffort"],
  "core/v1.ServiceAffinity": ["ClientIP","None"],
  "core/v1.ServiceType": ["ClusterIP","NodePort","LoadBalancer","ExternalName"],
  "core/v1.ServiceInternalTrafficPolicy": ["Cluster","Local"],
  "core/v1.ServiceExternalTrafficPolicy": ["Cluster","Local"],
  "core/v1.IPFamily": ["IPv4","IPv6",""],
  "core/v1.IPFamilyPolicy": ["SingleStack","PreferDualStack","RequireDualStack"],
  "core/v1.NodePhase": ["Pending","Running","Terminated"],
  "core/v1.NamespacePhase": ["Active","Terminating"],
  "core/v1.ResourceQuotaScope": ["Terminating","NotTerminating","BestEffort","NotBestEffort","PriorityClass","CrossNamespacePodAffinity","VolumeAttributesClass"],
  "core/v1.ScopeSelectorOperator": ["In","NotIn","Exists","DoesNotExist"],
  "core/v1.ProcMountType": ["Default","Unmasked"],
  "networking/v1.PolicyType": ["Ingress","Egress"],
  "policy/v1.UnhealthyPodEvictionPolicyType": ["IfHealthyBudget","AlwaysAllow"],
  "resource/v1.DeviceTaintEffect": ["NoSchedule","NoExecute"],
  "resource/v1.DeviceTolerationOperator": ["Exists","Equal"],
  "storage/v1.VolumeBindingMode": ["Immediate","WaitForFirstConsumer"],
  "apiextensions/v1.FieldValueErrorReason": ["FieldValueRequired","FieldValueDuplicate","FieldValueInvalid","FieldValueForbidden"],
};

/** Package of the table -> API group. */
export const GROUPS: Record<string, string> = {
  "admission/v1": "admission.k8s.io",
  "admissionregistration/v1": "admissionregistration.k8s.io",
  "apidiscovery/v2": "apidiscovery.k8s.io",
  "apidiscovery/v2beta1": "apidiscovery.k8s.io",
  "apps/v1": "apps",
  "authentication/v1": "authentication.k8s.io",
  "authorization/v1": "authorization.k8s.io",
  "autoscaling/v1": "autoscaling",
  "autoscaling/v2": "autoscaling",
  "batch/v1": "batch",
  "certificates/v1": "certificates.k8s.io",
  "coordination/v1": "coordination.k8s.io",
  "core/v1": "",
  "discovery/v1": "discovery.k8s.io",
  "events/v1": "events.k8s.io",
  "flowcontrol/v1": "flowcontrol.apiserver.k8s.io",
  "networking/v1": "networking.k8s.io",
  "node/v1": "node.k8s.io",
  "policy/v1": "policy",
  "rbac/v1": "rbac.authorization.k8s.io",
  "resource/v1": "resource.k8s.io",
  "scheduling/v1": "scheduling.k8s.io",
  "storage/v1": "storage.k8s.io",
  "meta/v1": "meta.k8s.io",
  "runtime": "",
  "apiextensions/v1": "apiextensions.k8s.io",
  "apiregistration/v1": "apiregistration.k8s.io",
  "metrics/v1beta1": "metrics.k8s.io",
};
