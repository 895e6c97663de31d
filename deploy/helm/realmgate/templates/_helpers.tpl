{{- define "realmgate.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 45 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 45 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "realmgate.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "realmgate.labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{ include "realmgate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "realmgate.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "realmgate.secret" -}}
{{- with .Values.secrets -}}
{{- if and .existingSecret (or .settings .masterKey) -}}
{{- fail "secrets.existingSecret is there already, so secrets.settings and secrets.masterKey have no place to go: set the one or the others." -}}
{{- end -}}
{{- if not (or .existingSecret (and .settings .masterKey)) -}}
{{- fail "Set secrets.existingSecret to a Secret with realmgate.toml and master.key, or both secrets.settings and secrets.masterKey. There are no defaults for secrets." -}}
{{- end -}}
{{- if and .settings (not (contains "database_url" .settings)) -}}
{{- fail "secrets.settings needs a line database_url = \"postgresql://…\": pods keep nothing themselves." -}}
{{- end -}}
{{ .existingSecret | default (include "realmgate.name" $) }}
{{- end -}}
{{- end -}}

{{- define "realmgate.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (ternary (include "realmgate.name" .) "default" .Values.serviceAccount.create) }}
{{- end -}}

{{- /* The settings of the server and of every command. */ -}}
{{- define "realmgate.env" -}}
- {name: IDP_CONFIG, value: /etc/realmgate/secrets/realmgate.toml}
- {name: IDP_MASTER_KEY_FILE, value: /etc/realmgate/secrets/master.key}
- {name: IDP_DATA_DIR, value: /var/lib/realmgate}
- {name: IDP_REALMS_DIR, value: /etc/realmgate/realms}
- {name: IDP_PUBLIC_URL, value: {{ required "publicUrl has to be set: the URL under which clients reach the server." .Values.publicUrl | quote }}}
- {name: IDP_PORT, value: "8080"}
- {name: IDP_MANAGEMENT_PORT, value: "9080"}
{{- range $name, $value := dict "host" "0.0.0.0" "management_host" "0.0.0.0" | merge (deepCopy .Values.settings) }}
- name: IDP_{{ upper $name }}
  value: {{ if kindIs "slice" $value }}{{ join "," $value | quote }}{{ else if kindIs "float64" $value }}{{ int64 $value | toString | quote }}{{ else }}{{ toString $value | quote }}{{ end }}
{{- end }}
{{- end -}}

{{- define "realmgate.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "realmgate.podSecurity" -}}
{{ toYaml .Values.podSecurityContext }}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "realmgate.mounts" -}}
- {name: data, mountPath: /var/lib/realmgate}
- {name: secrets, mountPath: /etc/realmgate/secrets, readOnly: true}
{{- if .Values.realms }}
- {name: realms, mountPath: /etc/realmgate/realms, readOnly: true}
{{- end }}
{{- end -}}

{{- define "realmgate.volumes" -}}
- name: data
  emptyDir: {sizeLimit: 256Mi}
- name: secrets
  secret:
    secretName: {{ include "realmgate.secret" . }}
    # for the pod's fsGroup, and nobody else
    defaultMode: 0440
    items:
      - {key: realmgate.toml, path: realmgate.toml}
      - {key: master.key, path: master.key}
{{- if .Values.realms }}
- name: realms
  configMap: {name: {{ include "realmgate.name" . }}-realms}
{{- end }}
{{- end -}}

{{- /* What the pods of all kinds have in common but for their containers. */ -}}
{{- define "realmgate.pod" -}}
automountServiceAccountToken: false
# with them, a Service of the name idp would set variables that look like settings
enableServiceLinks: false
securityContext:
  {{- include "realmgate.podSecurity" . | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
