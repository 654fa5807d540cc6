/** What each value of the Helm chart has to change. */

export interface ValuesCase {
  readonly values: object;
  /** Parts of the objects, as JSON, that are there because of the values. */
  readonly shows?: string | readonly string[];
  /** Parts that are not there because of them. */
  readonly hides?: string | readonly string[];
}

const RULE = { sourceLabels: ['a'], targetLabel: 'b', action: 'replace' };
const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;
const KEY = { name: 'scrape', key: 'word' };
const EGRESS = { to: [{ ipBlock: { cidr: '10.0.0.0/8' } }] };

/** The values of a monitor: both kinds have the same. */
const monitorCases = (name: 'podMonitor' | 'serviceMonitor', kind: string): ValuesCase[] =>
  [
    [{}, `"kind":"${kind}"`],
    [{ labels: { release: 'my-stack' } }, '"release":"my-stack"'],
    [{ interval: '1m' }, '"interval":"1m"'],
    [{ scrapeTimeout: '20s' }, '"scrapeTimeout":"20s"'],
    [{ relabelings: [RULE] }, '"sourceLabels":["a"]'],
    [{ metricRelabelings: [RULE] }, '"metricRelabelings":[{'],
    [{ scheme: 'https' }, '"scheme":"https"'],
    [{ tlsConfig: { serverName: 'node' } }, '"tlsConfig":{"serverName":"node"}'],
    [{ basicAuth: { username: KEY, password: KEY } }, '"basicAuth":{"password":{'],
    [{ sampleLimit: 100000 }, '"sampleLimit":100000'],
  ].map(([values, shows]) => ({
    values: { [name]: { enabled: true, ...(values as object) } },
    shows: shows as string,
  }));

export const CASES: readonly ValuesCase[] = [
  { values: { image: { registry: 'registry.example' } }, shows: '"image":"registry.example/kvm-exit-exporter:0.1.0"' },
  { values: { image: { repository: 'tools/kee', tag: '1.2.3' } }, shows: '"image":"tools/kee:1.2.3"' },
  {
    values: { image: { registry: 'r.example:5000', digest: DIGEST, tag: 'ignored' } },
    shows: `"image":"r.example:5000/kvm-exit-exporter@${DIGEST}"`,
  },
  { values: { image: { pullPolicy: 'Always' } }, shows: '"imagePullPolicy":"Always"' },
  { values: { imagePullSecrets: [{ name: 'pull' }] }, shows: '"imagePullSecrets":[{"name":"pull"}]' },
  {
    values: { nameOverride: 'exits', podMonitor: { enabled: true } },
    shows: ['"app.kubernetes.io/name":"exits"', '"targetLabel":"job","replacement":"kvm-exit-exporter"'],
  },
  { values: { fullnameOverride: 'exits' }, shows: '"name":"exits"' },
  { values: { namespaceOverride: 'tools' }, shows: '"namespace":"tools"', hides: '"namespace":"kvm-exit-exporter"' },
  { values: { commonLabels: { team: 'virt' } }, shows: '"team":"virt"' },
  { values: { serviceAccount: { create: false } }, shows: '"serviceAccountName":"default"', hides: '"ServiceAccount"' },
  { values: { serviceAccount: { name: 'mine' } }, shows: ['"serviceAccountName":"mine"', '"name":"mine"'] },
  { values: { serviceAccount: { annotations: { a: 'b' } } }, shows: '"annotations":{"a":"b"}' },
  {
    values: { podNames: { enabled: true } },
    shows: ['"verbs":["list","watch"]', '"--kubernetes"', '"automountServiceAccountToken":true', '"port":6443'],
  },
  { values: { podNames: { enabled: true }, rbac: { create: false } }, shows: '"--kubernetes"' },
  { values: { criticalQuota: { enabled: true } }, shows: ['"ResourceQuota"', '"values":["system-node-critical"]'] },
  { values: { priorityClassName: 'high' }, shows: '"priorityClassName":"high"', hides: 'system-node-critical' },
  { values: { priorityClassName: '' }, hides: 'priorityClassName' },
  { values: { nodeSelector: { zone: 'a' } }, shows: '"zone":"a"' },
  { values: { affinity: { nodeAffinity: {} } }, shows: '"affinity":{"nodeAffinity":{}}' },
  { values: { tolerations: [{ key: 'virt', operator: 'Exists' }] }, shows: '"key":"virt"' },
  {
    values: { updateStrategy: { type: 'OnDelete', rollingUpdate: null } },
    shows: '"OnDelete"',
    hides: 'rollingUpdate',
  },
  { values: { revisionHistoryLimit: 3000000 }, shows: '"revisionHistoryLimit":3000000' },
  { values: { terminationGracePeriodSeconds: 30 }, shows: '"terminationGracePeriodSeconds":30' },
  { values: { resources: { limits: { memory: '1Gi' } } }, shows: '"limits":{"memory":"1Gi"}' },
  { values: { securityContext: { appArmorProfile: { type: 'RuntimeDefault' } } }, hides: '"Unconfined"' },
  { values: { podSecurityContext: { runAsNonRoot: false } }, shows: '"runAsNonRoot":false' },
  { values: { dnsPolicy: 'Default' }, shows: '"dnsPolicy":"Default"' },
  { values: { hostNetwork: true }, shows: ['"hostNetwork":true', '"dnsPolicy":"ClusterFirstWithHostNet"'] },
  { values: { podLabels: { sidecar: 'no' } }, shows: '"sidecar":"no"' },
  { values: { podAnnotations: { 'a.example/b': 'c' } }, shows: '"a.example/b":"c"' },
  {
    values: { config: { log: { level: 'debug' } } },
    shows: [
      String.raw`"config.yml":"log:\n  level: debug\n"`,
      '"--config.file=/etc/kvm-exit-exporter/config/config.yml"',
      '"checksum/config":"',
      '{"name":"config","mountPath":"/etc/kvm-exit-exporter/config","readOnly":true}',
    ],
  },
  { values: { extraArgs: ['--log.level=debug'] }, shows: '"--log.level=debug"]' },
  { values: { extraEnv: [{ name: 'A', value: 'b' }] }, shows: '{"name":"A","value":"b"}]' },
  { values: { extraVolumes: [{ name: 'v', emptyDir: {} }] }, shows: '{"emptyDir":{},"name":"v"}]' },
  { values: { extraVolumeMounts: [{ name: 'v', mountPath: '/v' }] }, shows: '{"mountPath":"/v","name":"v"}]' },
  {
    values: {
      extraManifests: [
        { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'object' }, data: { 'a.txt': '{{ kept }}' } },
        'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-text\n',
      ],
    },
    shows: ['"name":"object"', '"a.txt":"{{ kept }}"', '"name":"kvm-exit-exporter-text"'],
  },
  { values: { tracefs: { hostPath: '/sys/kernel/debug/tracing' } }, shows: '"path":"/sys/kernel/debug/tracing"' },
  {
    values: { web: { port: 9999 } },
    shows: ['"--web.listen-address=:9999"', '"containerPort":9999', '"port":9999'],
    hides: '10586',
  },
  {
    values: { web: { tlsSecret: 'cert' }, podMonitor: { enabled: true } },
    shows: [
      String.raw`"web.yml":"tls_server_config:\n  cert_file: /etc/kvm-exit-exporter/tls/tls.crt\n  key_file: /etc/kvm-exit-exporter/tls/tls.key\n"`,
      '"--web.config.file=/etc/kvm-exit-exporter/config/web.yml"',
      '"secret":{"secretName":"cert"}',
      '"path":"/-/healthy","port":"metrics","scheme":"HTTPS"',
      '"scheme":"https"',
    ],
  },
  {
    values: { web: { tlsSecret: 'cert', clientCa: 'ca' } },
    shows: [
      String.raw`client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: /etc/kvm-exit-exporter/client-ca/ca.crt`,
      '"configMap":{"name":"ca"}',
      '"/app/build/src/main.js","healthcheck"',
    ],
    hides: '"httpGet"',
  },
  {
    values: { web: { basicAuthSecret: 'web-config' } },
    shows: [
      '"--web.config.file=/etc/kvm-exit-exporter/web/web.yml"',
      '"secret":{"secretName":"web-config"}',
      '"/app/build/src/main.js","healthcheck","--web.listen-address=:10586","--web.config.file=/etc/kvm-exit-exporter/web/web.yml"',
    ],
    hides: '"httpGet"',
  },
  { values: { service: { enabled: false } }, hides: '"kind":"Service"' },
  { values: { service: { annotations: { a: 'b' } } }, shows: '"annotations":{"a":"b"}' },
  ...monitorCases('podMonitor', 'PodMonitor'),
  ...monitorCases('serviceMonitor', 'ServiceMonitor'),
  {
    values: { prometheusRule: { enabled: true, labels: { release: 'mine' } } },
    shows: ['"alert":"KvmFatalExit"', '"release":"mine"'],
  },
  {
    values: { prometheusRule: { enabled: true, disabled: ['KvmExitExporterSourceDown'] } },
    shows: ['"alert":"KvmFatalExit"', '"record":"vm:kvm_exits_to_qemu:rate5m"'],
  },
  {
    values: { dashboards: { enabled: true, label: 'my_dashboard', labelValue: 'yes', annotations: { folder: 'VMs' } } },
    shows: ['"my_dashboard":"yes"', '"folder":"VMs"', '"fleet.json"', '"vm.json"', '"exporter.json"'],
  },
  { values: { networkPolicy: { enabled: false } }, hides: 'NetworkPolicy' },
  {
    values: { networkPolicy: { from: [{ podSelector: {} }] } },
    shows: '"from":[{"podSelector":{}}]',
    hides: 'namespaceSelector',
  },
  { values: { networkPolicy: { apiServerPorts: [16443] }, podNames: { enabled: true } }, shows: '"port":16443' },
  { values: { networkPolicy: { extraEgress: [EGRESS] } }, shows: '"egress":[{"to":[{"ipBlock"' },
  {
    values: {
      otlp: { endpoint: 'https://collector.example', interval: 60000, headersSecret: { name: 'otlp', key: 'h' } },
    },
    shows: [
      '{"name":"OTEL_EXPORTER_OTLP_ENDPOINT","value":"https://collector.example"}',
      '{"name":"OTEL_METRIC_EXPORT_INTERVAL","value":"60000"}',
      '"secretKeyRef":{"key":"h","name":"otlp"}',
      '{"protocol":"TCP","port":443}',
    ],
  },
  { values: { probes: { readiness: { periodSeconds: 7 } } }, shows: '"periodSeconds":7' },
  { values: { probes: { liveness: { failureThreshold: 9 } } }, shows: '"failureThreshold":9' },
];

/** Values that Helm has to refuse, and what it says about them. */
export const REFUSED: readonly (readonly [values: object, message: RegExp])[] = [
  [{ podMonitor: { enabeld: true } }, /podMonitor.*'enabeld' not allowed/],
  [{ podNames: true }, /podNames.*got boolean, want object/],
  [{ web: { port: '10586' } }, /web\/port.*got string, want integer/],
  [{ web: { clientCa: 'ca' } }, /web\.clientCa needs web\.tlsSecret/],
  [{ image: { digest: '0123' } }, /image\/digest.*does not match pattern/],
  [{ prometheusRule: { enabled: true, disabled: ['KvmNoSuch'] } }, /no alert "KvmNoSuch"; the alerts are KvmUser/],
  [{ otlp: { endpoint: 'collector:4318' } }, /otlp\/endpoint.*does not match pattern/],
];
