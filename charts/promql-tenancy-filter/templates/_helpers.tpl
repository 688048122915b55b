{{- define "tenancy.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* Short enough for the longest suffix, "-bootstrap", of the names that are made of it. */}}
{{- define "tenancy.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" }}
{{- else if contains (include "tenancy.name" .) .Release.Name }}
{{- .Release.Name | trunc 53 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "tenancy.name" .) | trunc 53 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "tenancy.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tenancy.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tenancy.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "tenancy.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* Called with an object of repository, tag and digest. */}}
{{- define "tenancy.image" -}}
{{- if .digest }}{{ printf "%s@%s" .repository .digest }}{{ else }}{{ printf "%s:%s" .repository .tag }}{{ end }}
{{- end }}

{{- define "tenancy.moduleImage" -}}
{{- $image := .Values.module.image }}
{{- $repository := required "module.image.repository is needed: push the image that `make dist` writes, or choose another module.source" $image.repository }}
{{- include "tenancy.image" (dict "repository" $repository "tag" (default .Chart.AppVersion $image.tag) "digest" $image.digest) }}
{{- end }}

{{- /* The filter's configuration as JSON. The filter can't see Envoy's option of this name, which templates/filter.yaml sets. */}}
{{- define "tenancy.config" -}}
{{- toPrettyJson (merge (dict "allow_on_headers_stop_iteration" true) .Values.filter.config) }}
{{- end }}

{{- /* Cortex and Mimir serve the query API below a prefix, and others may. */}}
{{- define "tenancy.isCortex" -}}
{{- if has .Values.filter.config.upstream (list "cortex" "mimir") }}true{{ end }}
{{- end }}

{{- /* The header that the filter sets: the identified tenant, never what the client wrote. */}}
{{- define "tenancy.forwardedHeader" -}}
{{- default (ternary "X-Scope-OrgID" "Thanos-Tenant" (eq (include "tenancy.isCortex" .) "true")) .Values.filter.config.forward_tenant_header }}
{{- end }}

{{- /* Whether the probe has to name a tenant. Cortex and Mimir have no /-/ready below the API's prefix, so that a probe that is forwarded
to them asks for something that the filter serves to tenants only. */}}
{{- define "tenancy.probeNeedsTenant" -}}
{{- if and (eq .Values.probes.readiness.through "filter") .Values.probes.readiness.includeUpstream (include "tenancy.isCortex" .) }}true{{ end }}
{{- end }}

{{- /* A path that the filter serves, whatever the tenant owns. */}}
{{- define "tenancy.probePath" -}}
{{- $isCortex := eq (include "tenancy.isCortex" .) "true" }}
{{- $prefix := first (default (list (ternary "/prometheus" "" $isCortex)) .Values.filter.config.path_prefixes) }}
{{- printf "%s%s" $prefix (ternary "/api/v1/status/buildinfo" "/-/ready" (eq (include "tenancy.probeNeedsTenant" .) "true")) }}
{{- end }}

{{- /* What no schema can say. */}}
{{- define "tenancy.validate" -}}
{{- $config := .Values.filter.config }}
{{- if not (dig "allow_on_headers_stop_iteration" true $config) }}
{{- fail "filter.config.allow_on_headers_stop_iteration: leave it out; the chart sets it, and Envoy's option of that name" }}
{{- end }}
{{- if le (int64 .Values.listener.bufferLimitBytes) (int64 (dig "max_response_bytes" 1048576 $config)) }}
{{- fail "listener.bufferLimitBytes has to be larger than filter.config.max_response_bytes: else Envoy cuts an answer off before the filter can refuse it" }}
{{- end }}
{{- if and (eq .Values.probes.readiness.through "filter") (or $config.tenant_certificate_field $config.tenant_metadata) }}
{{- fail "probes.readiness.through has to be admin: a probe has neither certificate nor token, and tenant_certificate_field or tenant_metadata asks for one" }}
{{- end }}
{{- if and (include "tenancy.probeNeedsTenant" .) (not .Values.probes.readiness.tenant) (not $config.static_tenant_ids) }}
{{- fail "probes.readiness.tenant is needed with includeUpstream before Cortex or Mimir: the probe asks for something that the filter serves to tenants only" }}
{{- end }}
{{- if and (include "tenancy.probeNeedsTenant" .) $config.allowed_tenants (not $config.static_tenant_ids) }}
{{- $tenant := .Values.probes.readiness.tenant }}
{{- $isAllowed := dict "yes" false }}
{{- range $config.allowed_tenants }}
{{- if kindIs "map" . }}{{ if hasPrefix .prefix $tenant }}{{ $_ := set $isAllowed "yes" true }}{{ end }}
{{- else if eq . $tenant }}{{ $_ := set $isAllowed "yes" true }}{{ end }}
{{- end }}
{{- if not $isAllowed.yes }}
{{- fail (printf "probes.readiness.tenant is %q, which filter.config.allowed_tenants does not list: the probe would be refused" $tenant) }}
{{- end }}
{{- end }}
{{- end }}
