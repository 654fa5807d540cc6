/** What all dashboards share: variables, links to each other, marks where VMs start and stop, and how they become JSON. */
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';
import { anyOf, type Matchers, maxBy, series } from '../promql.js';
import { RUNBOOKS } from '../thresholds.js';
import { DATASOURCE, type Panel } from './panels.js';

export const UID = { fleet: 'kvm-exits-fleet', vm: 'kvm-exits-vm', exporter: 'kvm-exits-exporter' } as const;
const TAG = 'kvm-exits';

/** Selects what the variables at the top of the page say. */
export const OF_INSTANCES = { job: anyOf('$job'), instance: anyOf('$instance') } as const;
export const OF_VM = { ...OF_INSTANCES, vm: '$vm' } as const;

/** Counters are only ever looked at as rates, over the window that Grafana finds right for the zoom. */
export function rate(name: string, matchers: Matchers): string {
  return `rate(${series(name, matchers)}[$__rate_interval])`;
}

export interface DashboardText {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  /** One VM is chosen at the top. */
  readonly ofOneVm?: boolean;
  readonly rows: readonly { readonly title: string; readonly panels: readonly Panel[] }[];
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana fills them in.
const VALUES_WITH_VARIABLES = '${datasource:queryparam}&${job:queryparam}&${__url_time_range}';

/** Links to another dashboard; labels of the value that was clicked choose what it shows. */
export const TO = {
  vmOfRow: `/d/${UID.vm}?${VALUES_WITH_VARIABLES}&var-instance=\${__data.fields.instance}&var-vm=\${__data.fields.vm}`,
  vmOfSeries: `/d/${UID.vm}?${VALUES_WITH_VARIABLES}&var-instance=\${__field.labels.instance}&var-vm=\${__field.labels.vm}`,
  fleetOfRow: `/d/${UID.fleet}?${VALUES_WITH_VARIABLES}&var-instance=\${__data.fields.instance}`,
  exporterOfRow: `/d/${UID.exporter}?${VALUES_WITH_VARIABLES}&var-instance=\${__data.fields.instance}`,
  exporterOfSeries: `/d/${UID.exporter}?${VALUES_WITH_VARIABLES}&var-instance=\${__field.labels.instance}`,
  fleetOfSeries: `/d/${UID.fleet}?${VALUES_WITH_VARIABLES}&var-instance=\${__field.labels.instance}`,
} as const;

/** A dashboard in Grafana's classic schema, which file provisioning, the sidecar and grafana.com's import all take. */
export function build({ uid, title, description, ofOneVm = false, rows }: DashboardText): dashboard.Dashboard {
  const builder = new dashboard.DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags([TAG])
    .readonly()
    .timezone('browser')
    .time({ from: 'now-1h', to: 'now' })
    .refresh('30s')
    .tooltip(dashboard.DashboardCursorSync.Crosshair)
    .variables(variables(ofOneVm))
    .annotations(marks(ofOneVm))
    .links(links());
  for (const row of rows) {
    builder.withRow(new dashboard.RowBuilder(row.title));
    for (const panel of row.panels) builder.withPanel(panel);
  }
  const built = builder.build();
  built.panels?.forEach((panel, index) => {
    panel.id = index + 1;
  });
  return built;
}

function variables(ofOneVm: boolean): (dashboard.QueryVariableBuilder | dashboard.DatasourceVariableBuilder)[] {
  const datasource = new dashboard.DatasourceVariableBuilder('datasource')
    .label('Data source')
    .type('prometheus')
    .regex('');
  const job = several('job', 'The scrape jobs that are kvm-exit-exporters.').query(
    `label_values(${series('kvm_exit_exporter_build_info')}, job)`,
  );
  const instance = several('instance', 'Hosts, by the address that Prometheus scrapes.').query(
    `label_values(${series('kvm_exit_exporter_build_info', { job: OF_INSTANCES.job })}, instance)`,
  );
  if (!ofOneVm) return [datasource, job, instance];
  const vm = variable('vm', 'One VM, by its name.').query(`label_values(${series('kvm_vm_info', OF_INSTANCES)}, vm)`);
  return [datasource, job, instance, vm];
}

function several(name: string, description: string): dashboard.QueryVariableBuilder {
  const all = { selected: true, text: 'All', value: '$__all' };
  return variable(name, description).multi(true).includeAll(true).allValue('.+').current(all);
}

function variable(name: string, description: string): dashboard.QueryVariableBuilder {
  return new dashboard.QueryVariableBuilder(name)
    .label(name)
    .description(description)
    .datasource(DATASOURCE)
    .refresh(dashboard.VariableRefresh.OnTimeRangeChanged)
    .sort(dashboard.VariableSort.NaturalAsc);
}

/** A VM started: there is an identity that was not there a minute ago. A stopped one is kept for a grace period, so its mark is that late. */
function marks(ofOneVm: boolean): dashboard.AnnotationQueryBuilder[] {
  const identity = series('kvm_vm_info', ofOneVm ? OF_VM : OF_INSTANCES);
  const now = maxBy(['instance', 'vm', 'pid'], identity);
  const before = maxBy(['instance', 'vm', 'pid'], `${identity} offset 1m`);
  return [mark('VM starts', 'green', `${now} unless ${before}`), mark('VM stops', 'red', `${before} unless ${now}`)];
}

function mark(name: string, color: string, expr: string): dashboard.AnnotationQueryBuilder {
  return new dashboard.AnnotationQueryBuilder()
    .name(name)
    .datasource(DATASOURCE)
    .enable(true)
    .iconColor(color)
    .expr(expr)
    .step('60s')
    .titleFormat(name)
    .textFormat('{{vm}} on {{instance}}')
    .tagKeys('vm,instance');
}

function links(): dashboard.DashboardLinkBuilder[] {
  return [
    new dashboard.DashboardLinkBuilder('KVM exits')
      .type(dashboard.DashboardLinkType.Dashboards)
      .tags([TAG])
      .includeVars(true)
      .keepTime(true),
    new dashboard.DashboardLinkBuilder('Runbooks')
      .type(dashboard.DashboardLinkType.Link)
      .icon('doc')
      .url(RUNBOOKS)
      .tooltip('What to do when an alert fires')
      .targetBlank(true),
  ];
}
