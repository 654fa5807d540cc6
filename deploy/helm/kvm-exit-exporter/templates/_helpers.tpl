{{- define "kvm.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* The name of the release, if it contains the chart's name. */ -}}
{{- define "kvm.fullname" -}}
{{- $name := include "kvm.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "kvm.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "kvm.selectorLabels" -}}
app.kubernetes.io/name: {{ include "kvm.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "kvm.ownLabels" -}}
app.kubernetes.io/part-of: kvm-exit-exporter
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /* Labels of an object. Arguments: the root, and the object's own labels. Of two equal keys the first is used. */ -}}
{{- define "kvm.labelsWith" -}}
{{- $root := index . 0 -}}
{{- $selector := include "kvm.selectorLabels" $root | fromYaml -}}
{{- $chart := include "kvm.ownLabels" $root | fromYaml -}}
{{- merge (dict) $selector (index . 1) $root.Values.commonLabels $chart | toYaml -}}
{{- end -}}

{{- define "kvm.labels" -}}
{{- include "kvm.labelsWith" (list . (dict)) -}}
{{- end -}}

{{- /* Labels of the pods. They name no version, so that pods restart only if something changes for them. */ -}}
{{- define "kvm.podLabels" -}}
{{- $selector := include "kvm.selectorLabels" . | fromYaml -}}
{{- $chart := dict "app.kubernetes.io/part-of" "kvm-exit-exporter" -}}
{{- merge (dict) $selector .Values.podLabels .Values.commonLabels $chart | toYaml -}}
{{- end -}}

{{- define "kvm.serviceAccountName" -}}
{{- $own := ternary (include "kvm.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $own .Values.serviceAccount.name -}}
{{- end -}}

{{- define "kvm.image" -}}
{{- with .Values.image -}}
{{- $name := ternary .repository (printf "%s/%s" .registry .repository) (empty .registry) -}}
{{- ternary (printf "%s:%s" $name (.tag | default $.Chart.AppVersion)) (printf "%s@%s" $name .digest) (empty .digest) -}}
{{- end -}}
{{- end -}}

{{- /* Path of the web configuration file; empty without TLS and passwords. */ -}}
{{- define "kvm.webConfigFile" -}}
{{- if .Values.web.basicAuthSecret -}}
/etc/kvm-exit-exporter/web/web.yml
{{- else if .Values.web.tlsSecret -}}
/etc/kvm-exit-exporter/config/web.yml
{{- end -}}
{{- end -}}

{{- /* The files of the ConfigMap; empty if it needs none. */ -}}
{{- define "kvm.configFiles" -}}
{{- if .Values.config -}}
config.yml: |
  {{- toYaml .Values.config | nindent 2 }}
{{- end }}
{{- if eq (include "kvm.webConfigFile" .) "/etc/kvm-exit-exporter/config/web.yml" }}
web.yml: |
  tls_server_config:
    cert_file: /etc/kvm-exit-exporter/tls/tls.crt
    key_file: /etc/kvm-exit-exporter/tls/tls.key
    {{- if .Values.web.clientCa }}
    client_auth_type: RequireAndVerifyClientCert
    client_ca_file: /etc/kvm-exit-exporter/client-ca/ca.crt
    {{- end }}
{{- end }}
{{- end -}}

{{- /*
How kubelet asks the agent. It has neither a password nor a client certificate; for an agent that asks for them, the
image's health check accepts any answer.
*/ -}}
{{- define "kvm.probe" -}}
{{- if or .Values.web.basicAuthSecret .Values.web.clientCa -}}
exec:
  command:
    - /nodejs/bin/node
    - /app/build/src/main.js
    - healthcheck
    - --web.listen-address=:{{ .Values.web.port }}
    - --web.config.file={{ include "kvm.webConfigFile" . }}
{{- else -}}
httpGet:
  path: /-/healthy
  port: metrics
  {{- if .Values.web.tlsSecret }}
  scheme: HTTPS
  {{- end }}
{{- end }}
{{- end -}}

{{- /* An endpoint of a monitor. Arguments: the root, the monitor's values, and the labels to drop. */ -}}
{{- define "kvm.endpoint" -}}
{{- $root := index . 0 -}}{{- $monitor := index . 1 -}}{{- $dropped := index . 2 -}}
- port: metrics
  interval: {{ $monitor.interval }}
  scrapeTimeout: {{ $monitor.scrapeTimeout }}
  {{- with $monitor.scheme | default (ternary "https" "" (not (empty $root.Values.web.tlsSecret))) }}
  scheme: {{ . }}
  {{- end }}
  {{- with $monitor.tlsConfig }}
  tlsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $monitor.basicAuth }}
  basicAuth:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  relabelings:
    {{- /* The label instance is the name of the node, because addresses of pods change. */}}
    - action: replace
      sourceLabels: [__meta_kubernetes_pod_node_name]
      targetLabel: instance
    {{- /* Drops the labels of the agent's pod, which have the same names as labels of a VM's pod. */}}
    - action: labeldrop
      regex: {{ $dropped }}
    {{- if ne (include "kvm.name" $root) "kvm-exit-exporter" }}
    {{- /* Alerts and dashboards select by this job. */}}
    - action: replace
      targetLabel: job
      replacement: kvm-exit-exporter
    {{- end }}
    {{- with $monitor.relabelings }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $monitor.metricRelabelings }}
  metricRelabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
