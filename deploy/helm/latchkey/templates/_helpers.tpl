{{/* The services that are to run, each with all that it has: a map by name, as YAML. */}}
{{- define "latchkey.services" -}}
{{- range $name, $own := .Values.services -}}
{{- $service := mergeOverwrite (deepCopy $.Values.defaults) (deepCopy $own) -}}
{{- if $service.enabled }}
{{ $name }}: {{ toJson $service }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The service whose image creates the topics: the values' choice, or else invites, or where it is off the first one. */}}
{{- define "latchkey.topics" -}}
{{- $services := include "latchkey.services" . | fromYaml -}}
{{- $first := ternary "invites" (keys $services | sortAlpha | first) (hasKey $services "invites") -}}
{{- .Values.topics.service | default $first | required "topics.service is needed: no service is enabled whose image could create the topics" -}}
{{- end -}}

{{- define "latchkey.name" -}}
{{ printf "%s-%s" .root.Release.Name .name | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "latchkey.selector" -}}
app.kubernetes.io/name: latchkey
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end -}}

{{- define "latchkey.labels" -}}
{{ include "latchkey.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "latchkey.image" -}}
{{ .root.Values.image.prefix }}{{ .name }}:{{ .tag | default .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end -}}

{{/* The environment: in the pod itself, so that a new setting rolls it out, and a rollback brings the old one back. */}}
{{- define "latchkey.environment" -}}
{{- range $key, $value := mergeOverwrite (deepCopy .root.Values.settings) .settings }}
- name: {{ $key }}
  value: {{ tpl $value $.root | required (printf "%s of %s is needed: set it in the values (docs/settings.md says what it is)" $key $.name) | quote }}
{{- end }}
{{- if .secret.name }}
- name: SECRETS_DIR
  value: /run/secrets/latchkey
{{- end }}
{{- end -}}

{{- define "latchkey.mounts" -}}
- name: tmp
  mountPath: /tmp
{{- if .secret.name }}
- name: secrets
  mountPath: /run/secrets/latchkey
  readOnly: true
{{- end }}
{{- end -}}

{{- define "latchkey.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 16Mi}
{{- if .secret.name }}
- name: secrets
  secret:
    secretName: {{ .secret.name }}
    defaultMode: 0440
    items:
      {{- range $setting, $key := .secret.keys }}
      - key: {{ $key }}
        path: {{ $setting }}
      {{- end }}
{{- end }}
{{- end -}}

{{- define "latchkey.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  {{- include "latchkey.volumes" . | nindent 2 }}
{{- end -}}

{{- define "latchkey.container" -}}
image: {{ include "latchkey.image" . }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{- toYaml .resources | nindent 2 }}
volumeMounts:
  {{- include "latchkey.mounts" . | nindent 2 }}
{{- end -}}

{{/* A job that runs to its end before the release goes on: .weight tells which comes first. */}}
{{- define "latchkey.job" -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "latchkey.name" (dict "root" .root "name" .job) }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "latchkey.labels" (dict "root" .root "name" .job) | nindent 4 }}
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-weight: {{ .weight | quote }}
    # One that has failed stays, with its log.
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  backoffLimit: 3
  activeDeadlineSeconds: {{ .root.Values.migrations.deadline }}
  template:
    metadata:
      labels:
        {{- include "latchkey.labels" (dict "root" .root "name" .job) | nindent 8 }}
    spec:
      restartPolicy: Never
      {{- include "latchkey.pod" . | nindent 6 }}
      containers:
        - name: {{ .job }}
          {{- include "latchkey.container" . | nindent 10 }}
          {{- with .command }}
          command: {{- toYaml . | nindent 12 }}
          {{- end }}
          args: {{- toYaml .args | nindent 12 }}
          env:
            {{- include "latchkey.environment" . | nindent 12 }}
{{- end -}}
