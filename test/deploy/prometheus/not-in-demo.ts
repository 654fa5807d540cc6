/**
 * Queries that have no result in the demo, each with its reason. promtool tests them on input series of 200 samples,
 * one per hour, and compares the result at the end of the series. Rates are over four hours.
 */
import { DASHBOARDS, targetsOf } from '../../support/prometheus/dashboards.js';

interface Fed {
  readonly dashboard: string;
  /** The title of a panel and the letter of its query, or the name of an annotation. */
  readonly query: string;
  readonly why: string;
  /** Time between two samples; an hour by default. */
  readonly unit?: 'h' | 'm';
  /** Series, without job and instance, which are added -> its samples in promtool's notation. */
  readonly input: Readonly<Record<string, string>>;
  readonly want: Readonly<Record<string, number>>;
}

const NO_LOSS = 'the demo loses no event, and the panel shows only losses';
const NOT_SAMPLED = 'nothing is sampled';
const NO_STATISTICS = "the recording of the demo has none of KVM's own statistics";
const NO_OTLP = 'the demo is not told to send over OTLP';
const TOO_YOUNG = 'the demo is younger than an hour';

/** A constant rate of 2 per second. */
const STEADY = { 'kvm_exits_total{vm="web-1",vcpu="0",layer="qemu",reason="KVM_EXIT_IO"}': '0+7200x200' };
const LOST = {
  'kvm_exit_exporter_lost_events_total{source="kernel",cpu="0"}': '0+3600x200',
  'kvm_exit_exporter_lost_events_total{source="kernel",cpu="1"}': '7x200',
};

/** Panels of the VM dashboard that say what exits were for. */
const DETAILS: readonly Omit<Fed, 'dashboard'>[] = [
  {
    query: 'CPUID leaves and hypercalls B',
    why: 'its guests make no hypercalls',
    input: { 'kvm_hypercalls_total{vm="web-1",kind="kvm",number="9"}': '0+7200x200' },
    want: { '{kind="kvm",number="9"}': 2 },
  },
  {
    query: 'Page faults, by kind A',
    why: 'the recording has no kvm_page_fault',
    input: { 'kvm_page_faults_total{vm="web-1",kind="read"}': '0+7200x200' },
    want: { '{kind="read"}': 2 },
  },
  {
    query: 'Exits of nested guests, by reason A',
    why: 'its guests run no VMs',
    input: { 'kvm_nested_exits_total{vm="web-1",reason="npf"}': '0+7200x200' },
    want: { '{reason="npf"}': 2 },
  },
  {
    query: 'Requests of encrypted guests, by reason A',
    why: 'its guests are not encrypted',
    input: { 'kvm_ghcb_exits_total{vm="web-1",reason="cpuid"}': '0+7200x200' },
    want: { '{reason="cpuid"}': 2 },
  },
  {
    query: 'What keeps APICv or AVIC off A',
    why: 'the recording has no kvm_apicv_inhibit_changed',
    input: { 'kvm_apicv_inhibited{vm="web-1",reason="irqwin"}': '1x200' },
    want: { '{reason="irqwin"}': 1 },
  },
  {
    query: 'What keeps APICv or AVIC off B',
    why: 'the recording has no kvm_apicv_inhibit_changed',
    input: { 'kvm_apicv_inhibits_total{vm="web-1",reason="irqwin"}': '0+7200x200' },
    want: { '{reason="irqwin"}': 2 },
  },
];

const FED: readonly Fed[] = [
  {
    dashboard: 'kvm-exits-fleet',
    query: 'VMs, most exits to QEMU first F',
    why: 'the demo does not say when its VMs were started',
    input: { 'kvm_vm_start_time_seconds{vm="web-1"}': '719000x200' },
    want: { '{instance="host-1",vm="web-1"}': 1000 },
  },
  {
    dashboard: 'kvm-exits-exporter',
    query: 'Time of one drain A',
    why: 'a replay has no drains',
    input: {
      'kvm_exit_exporter_drains_total{source="kernel"}': '0+36000x200',
      'kvm_exit_exporter_drain_seconds_total{source="kernel"}': '0+18x200',
    },
    want: { '{instance="host-1",source="kernel"}': 0.0005 },
  },
  {
    dashboard: 'kvm-exits-exporter',
    query: 'Events lost A',
    why: NO_LOSS,
    input: LOST,
    want: { '{instance="host-1",source="kernel",cpu="0"}': 1 },
  },
  {
    dashboard: 'kvm-exits-exporter',
    query: 'Gaps of unknown size A',
    why: NO_LOSS,
    input: {
      'kvm_exit_exporter_unknown_gaps_total{source="kernel",cpu="0"}': '0+3600x200',
      'kvm_exit_exporter_unknown_gaps_total{source="kernel",cpu="1"}': '0+1800x200',
      'kvm_exit_exporter_unknown_gaps_total{source="qemu_log",cpu=""}': '3x200',
    },
    want: { '{instance="host-1",source="kernel"}': 1.5 },
  },
  {
    dashboard: 'kvm-exits-exporter',
    query: 'Malformed input A',
    why: 'its recordings have no malformed input',
    input: { 'kvm_exit_exporter_malformed_total{source="qemu_log",kind="line"}': '0+3600x200' },
    want: { '{instance="host-1",source="qemu_log",kind="line"}': 1 },
  },
  {
    dashboard: 'kvm-exits-exporter',
    query: 'Series refused A',
    why: 'its two VMs are far below the limits',
    input: { 'kvm_exit_exporter_series_limited_total{limit="series_per_vm"}': '0+3600x200' },
    want: { '{instance="host-1",limit="series_per_vm"}': 1 },
  },
  {
    dashboard: 'kvm-exits-exporter',
    query: 'Requests over OTLP, by answer A',
    why: NO_OTLP,
    input: { 'kvm_exit_exporter_otlp_requests_total{status="503"}': '0+3600x200' },
    want: { '{instance="host-1",status="503"}': 1 },
  },
  {
    dashboard: 'kvm-exits-exporter',
    query: 'Time of one export over OTLP A',
    why: NO_OTLP,
    input: {
      'kvm_exit_exporter_otlp_exports_total{result="complete"}': '0+300x200',
      'kvm_exit_exporter_otlp_exports_total{result="incomplete"}': '0+100x200',
      'kvm_exit_exporter_otlp_export_seconds_total{}': '0+100x200',
    },
    want: { '{instance="host-1"}': 0.25 },
  },
  {
    dashboard: 'kvm-exits-exporter',
    query: 'Series sent over OTLP A',
    why: NO_OTLP,
    input: { 'kvm_exit_exporter_otlp_series{}': '5000x200' },
    want: { '{instance="host-1"}': 5000 },
  },
  {
    dashboard: 'kvm-exits-fleet',
    query: 'Events lost, by host A',
    why: NO_LOSS,
    // The rules' rates are over five minutes.
    unit: 'm',
    input: {
      'kvm_exit_exporter_lost_events_total{source="kernel",cpu="0"}': '0+2400x200',
      'kvm_exit_exporter_lost_events_total{source="kernel",cpu="1"}': '0+600x200',
    },
    want: { '{instance="host-1"}': 50 },
  },
  {
    dashboard: 'kvm-exits-vm',
    query: 'Exits to QEMU: now, an hour ago, a week ago B',
    why: TOO_YOUNG,
    input: STEADY,
    want: { '{}': 2 },
  },
  {
    dashboard: 'kvm-exits-vm',
    query: 'Exits to QEMU: now, an hour ago, a week ago C',
    why: TOO_YOUNG,
    input: STEADY,
    want: { '{}': 2 },
  },
  {
    dashboard: 'kvm-exits-vm',
    query: 'Exits to QEMU by reason, against an hour and a week ago B',
    why: TOO_YOUNG,
    // In the last ten hours, each hour has half an exit per second more than the one before, and so has the rate over
    // any number of hours: Prometheus 3 leaves out the sample at the start of a range.
    input: {
      'kvm_exits_total{vm="web-1",vcpu="0",layer="qemu",reason="KVM_EXIT_IO"}':
        '0+7200x190 1377000 1387800 1400400 1414800 1431000 1449000 1468800 1490400 1513800 1539000',
    },
    want: { '{reason="KVM_EXIT_IO"}': 0.5 },
  },
  {
    dashboard: 'kvm-exits-vm',
    query: 'Exits to QEMU by reason, against an hour and a week ago C',
    why: TOO_YOUNG,
    // 1 per second for 100 hours, then 6.
    input: { 'kvm_exits_total{vm="web-1",vcpu="0",layer="qemu",reason="KVM_EXIT_IO"}': '0+3600x100 381600+21600x99' },
    want: { '{reason="KVM_EXIT_IO"}': 5 },
  },
  ...[
    { query: 'Counts against those of KVM A', want: { '{instance="host-1",check="exits"}': 0.9 } },
    { query: 'Counts against those of KVM B', want: { '{instance="host-1",check="exits"}': 1 } },
    { query: 'Uncertainty of these counts A', want: { '{instance="host-1",check="exits"}': 0.001 } },
  ].map((each) => ({
    ...each,
    dashboard: 'kvm-exits-exporter',
    why: NO_STATISTICS,
    input: {
      'kvm_exit_exporter_audit_ratio{vm="web-1",check="exits"}': '1x200',
      'kvm_exit_exporter_audit_ratio{vm="web-2",check="exits"}': '0.9x200',
      'kvm_exit_exporter_audit_uncertainty{vm="web-1",check="exits"}': '0.001x200',
    },
  })),
  {
    dashboard: 'kvm-exits-exporter',
    query: 'Time in which all events are counted A',
    why: NOT_SAMPLED,
    input: { 'kvm_exit_exporter_sampled_fraction{}': '0.05x200' },
    want: { '{instance="host-1"}': 0.05 },
  },
  {
    dashboard: 'kvm-exits-exporter',
    query: 'VMs in focus A',
    why: NOT_SAMPLED,
    input: { 'kvm_vm_focused{vm="web-1"}': '1x200' },
    want: { '{instance="host-1",vm="web-1"}': 1 },
  },
  {
    dashboard: 'kvm-exits-exporter',
    query: 'Error of estimated exits A',
    why: NOT_SAMPLED,
    input: {
      'kvm_exits_sampling_error{vm="web-1",reason="io"}': '30x200',
      'kvm_exits_sampling_error{vm="web-2",reason="io"}': '10x200',
    },
    want: { '{instance="host-1",reason="io"}': 40 },
  },
  {
    dashboard: 'kvm-exits-vm',
    query: 'Findings A',
    why: 'web-1 has nothing to change; the finding is about legacy-db',
    input: { 'kvm_vm_advice{vm="web-1",advice="hpet",severity="warning"}': '0.25x200' },
    want: { '{instance="host-1",advice="hpet",severity="warning"}': 0.25 },
  },
  ...DETAILS.map((query) => ({ dashboard: 'kvm-exits-vm', ...query })),
  {
    dashboard: 'kvm-exits-vm',
    query: 'Waiting for a host CPU, by vCPU A',
    why: 'a recording does not show waits',
    input: {
      'kvm_vcpu_seconds_total{vm="web-1",vcpu="0",state="ready"}': '0+900x200',
      'kvm_vcpu_seconds_total{vm="web-1",vcpu="0",state="guest"}': '0+1800x200',
    },
    want: { '{vcpu="0"}': 0.25 },
  },
  {
    dashboard: 'kvm-exits-vm',
    query: 'Exits as KVM counts them, by vCPU A',
    why: NO_STATISTICS,
    input: {
      'kvm_stat_total{vm="web-1",vcpu="0",stat="exits"}': '0+7200x200',
      'kvm_stat_total{vm="web-1",vcpu="0",stat="io_exits"}': '0+3600x200',
    },
    want: { '{vcpu="0"}': 2 },
  },
  {
    dashboard: 'kvm-exits-vm',
    query: "KVM's own statistics, by name A",
    why: NO_STATISTICS,
    input: {
      'kvm_stat_total{vm="web-1",vcpu="0",stat="io_exits"}': '0+7200x200',
      'kvm_stat_total{vm="web-1",vcpu="1",stat="io_exits"}': '0+3600x200',
    },
    want: { '{stat="io_exits"}': 3 },
  },
  {
    dashboard: 'kvm-exits-vm',
    query: 'Idle vCPUs: polling and sleeping A',
    why: NO_STATISTICS,
    input: { 'kvm_stat_seconds_total{vm="web-1",vcpu="0",stat="halt_wait_ns"}': '0+1800x200' },
    want: { '{stat="halt_wait_ns"}': 0.5 },
  },
  {
    dashboard: 'kvm-exits-vm',
    query: 'How long idle vCPUs slept A',
    why: NO_STATISTICS,
    input: {
      'kvm_stat_duration_seconds_bucket{vm="web-1",stat="halt_wait",le="0.001"}': '0+7200x200',
      'kvm_stat_duration_seconds_bucket{vm="web-1",stat="halt_poll_fail",le="0.001"}': '0+3600x200',
    },
    want: { '{le="0.001"}': 2 },
  },
  {
    dashboard: 'kvm-exits-vm',
    query: "Mapping of the guest's memory A",
    why: NO_STATISTICS,
    input: { 'kvm_stat_current{vm="web-1",vcpu="",stat="pages_4k"}': '512x200' },
    want: { '{stat="pages_4k"}': 512 },
  },
  ...['kvm-exits-fleet', 'kvm-exits-vm', 'kvm-exits-exporter'].map((dashboard) => ({
    dashboard,
    query: 'VM stops',
    why: 'its VMs exist as long as the demo runs',
    unit: 'm' as const,
    input: { 'kvm_vm_info{vm="web-1",uuid="u",pid="165",vmm="qemu",demo="false"}': '1x199 stale' },
    want: { '{instance="host-1",vm="web-1",pid="165"}': 1 },
  })),
];

export interface FedQuery extends Fed {
  readonly expr: string;
}

/** The queries with their PromQL from the dashboard. */
export const NOT_IN_DEMO: readonly FedQuery[] = FED.map((fed) => {
  const dashboard = DASHBOARDS.find(({ uid }) => uid === fed.dashboard);
  if (dashboard === undefined) throw new Error(`no dashboard has the uid ${fed.dashboard}`);
  const found = targetsOf(dashboard).find(({ panel, target }) => `${panel.title} ${target.refId}` === fed.query);
  const expr = found?.target.expr ?? dashboard.annotations.list.find(({ name }) => name === fed.query)?.expr;
  if (expr === undefined) throw new Error(`${fed.dashboard} has no query ${fed.query}`);
  return { ...fed, expr };
});

/**
 * Recorded series without samples in the demo. A baseline needs an hour; the tests of the alerts cover it. The rate of
 * lost events is above, on the Fleet dashboard.
 */
export const RECORDED_NOT_IN_DEMO: readonly string[] = [
  'vm:kvm_exits_to_qemu:rate5m_median',
  'instance:kvm_exit_exporter_lost_events:rate5m',
];
