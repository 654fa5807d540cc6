/** The kinds of panel that the dashboards use. Each requires a title, a description, a unit and queries. */
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog';
import * as common from '@grafana/grafana-foundation-sdk/common';
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';
import * as heatmaps from '@grafana/grafana-foundation-sdk/heatmap';
import * as prometheus from '@grafana/grafana-foundation-sdk/prometheus';
import * as stats from '@grafana/grafana-foundation-sdk/stat';
import * as tables from '@grafana/grafana-foundation-sdk/table';
import * as graphs from '@grafana/grafana-foundation-sdk/timeseries';

export type Panel = Builder<dashboard.Panel>;

// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana fills it in.
export const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };

/** Grafana's names for units. */
export type Unit = 'suffix: exits/s' | 'suffix:/s' | 'percentunit' | 's' | 'short' | 'bytes' | 'bool_yes_no' | 'none';

export interface PanelText {
  readonly title: string;
  /** Says what the panel means to a reader who sees it for the first time. */
  readonly description: string;
  readonly unit: Unit;
  /** Columns of the grid, which has 24. */
  readonly width: number;
  readonly height?: number;
}

export interface Query {
  readonly expr: string;
  /** `{{reason}}`; in a table, the name of the column. */
  readonly legend: string;
}

/** The target of a click on a value. The url may contain Grafana's variables. */
export interface Link {
  readonly title: string;
  readonly url: string;
}

export interface GraphText extends PanelText {
  readonly queries: readonly Query[];
  readonly stacked?: boolean;
  readonly max?: number;
  readonly link?: Link;
}

export function graph({ queries, stacked = false, max, link, ...text }: GraphText): Panel {
  const panel = new graphs.PanelBuilder()
    .title(text.title)
    .description(text.description)
    .datasource(DATASOURCE)
    .unit(text.unit)
    .min(0)
    .span(text.width)
    .height(text.height ?? 8)
    .targets(queries.map((query, index) => target(query, index)))
    .lineWidth(1)
    .fillOpacity(stacked ? 40 : 8)
    .showPoints(common.VisibilityMode.Never)
    .tooltip(
      new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Multi).sort(common.SortOrder.Descending),
    )
    .legend(legend());
  if (stacked) panel.stacking(new common.StackingConfigBuilder().mode(common.StackingMode.Normal).group('A'));
  if (max !== undefined) panel.max(max);
  if (link !== undefined) panel.dataLinks([linkTo(link)]);
  return panel;
}

function legend(): common.VizLegendOptionsBuilder {
  return new common.VizLegendOptionsBuilder()
    .displayMode(common.LegendDisplayMode.Table)
    .placement(common.LegendPlacement.Bottom)
    .showLegend(true)
    .calcs(['mean', 'max', 'lastNotNull']);
}

export interface StatText extends PanelText {
  readonly query: string;
  /** The number is green below the first limit, orange from there on, and red from the second one on. */
  readonly limits?: readonly [number, number];
}

/** A panel that shows one number. */
export function stat({ query, limits, ...text }: StatText): Panel {
  const steps: dashboard.Threshold[] = [{ value: null, color: limits === undefined ? 'blue' : 'green' }];
  if (limits !== undefined) steps.push({ value: limits[0], color: 'orange' }, { value: limits[1], color: 'red' });
  return new stats.PanelBuilder()
    .title(text.title)
    .description(text.description)
    .datasource(DATASOURCE)
    .unit(text.unit)
    .span(text.width)
    .height(text.height ?? 4)
    .targets([target({ expr: query, legend: text.title }, 0)])
    .thresholds(new dashboard.ThresholdsConfigBuilder().mode(dashboard.ThresholdsMode.Absolute).steps(steps))
    .colorMode(common.BigValueColorMode.Value)
    .graphMode(common.BigValueGraphMode.Area)
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']).fields('').values(false));
}

export interface Column extends Query {
  readonly unit: Unit;
}

export interface TableText extends PanelText {
  readonly columns: readonly Column[];
  /** Legend of the column by which the rows are sorted, highest first. */
  readonly sortBy: string;
  /** Links on the values of a label's column. */
  readonly links?: readonly (Link & { readonly column: string })[];
}

/** A table with one row per set of labels, and one column per query. */
export function table({ columns, sortBy, links = [], ...text }: TableText): Panel {
  // Grafana names the values of a single query "Value", and those of several queries "Value #A", "Value #B" ...
  const names =
    columns.length === 1
      ? columns.map(({ legend }) => ['Value', legend])
      : columns.map(({ legend }, index) => [`Value #${refId(index)}`, legend]);
  const panel = new tables.PanelBuilder()
    .title(text.title)
    .description(text.description)
    .datasource(DATASOURCE)
    .unit(text.unit)
    .span(text.width)
    .height(text.height ?? 9)
    .targets(columns.map((column, index) => instant(column, index)))
    .transformations([
      { id: 'merge', options: {} },
      { id: 'organize', options: { excludeByName: { Time: true }, renameByName: Object.fromEntries(names) } },
    ])
    .filterable(true)
    .sortBy([new common.TableSortByFieldStateBuilder().displayName(sortBy).desc(true)]);
  for (const { legend, unit } of columns) panel.overrideByName(legend, [{ id: 'unit', value: unit }]);
  for (const { column, ...link } of links) panel.overrideByName(column, [{ id: 'links', value: [link] }]);
  return panel;
}

/** A table with one row per value of one label, one column per value of another, and the query's value in the cells. */
export function matrix(
  text: PanelText & { readonly query: Query; readonly rows: string; readonly columns: string },
): Panel {
  return new tables.PanelBuilder()
    .title(text.title)
    .description(text.description)
    .datasource(DATASOURCE)
    .unit(text.unit)
    .span(text.width)
    .height(text.height ?? 9)
    .targets([instant(text.query, 0)])
    .transformations([
      {
        id: 'groupingToMatrix',
        options: { columnField: text.columns, rowField: text.rows, valueField: 'Value', emptyValue: 'null' },
      },
    ])
    .colorScheme(new dashboard.FieldColorBuilder().mode(dashboard.FieldColorModeId.ContinuousYlRd))
    .cellOptions({
      type: common.TableCellDisplayMode.ColorBackground,
      mode: common.TableCellBackgroundDisplayMode.Basic,
    });
}

/** The buckets of a histogram over time. The query sums by `le`. */
export function heatmap({ query, ...text }: PanelText & { readonly query: string }): Panel {
  const buckets = target({ expr: query, legend: '{{le}}' }, 0).format(prometheus.PromQueryFormat.Heatmap);
  return new heatmaps.PanelBuilder()
    .title(text.title)
    .description(text.description)
    .datasource(DATASOURCE)
    .unit(text.unit)
    .span(text.width)
    .height(text.height ?? 9)
    .targets([buckets])
    .calculate(false)
    .color(
      new heatmaps.HeatmapColorOptionsBuilder()
        .mode(heatmaps.HeatmapColorMode.Scheme)
        .scheme('Oranges')
        .scale(heatmaps.HeatmapColorScale.Exponential)
        .exponent(0.5)
        .steps(64),
    )
    .yAxis(new heatmaps.YAxisConfigBuilder().unit(text.unit))
    .cellValues(new heatmaps.CellValuesBuilder().unit('suffix: exits/s'))
    .rowsFrame(new heatmaps.RowsHeatmapOptionsBuilder().layout(common.HeatmapCellLayout.Le));
}

function target({ expr, legend }: Query, index: number): prometheus.DataqueryBuilder {
  return new prometheus.DataqueryBuilder()
    .expr(expr)
    .legendFormat(legend)
    .refId(refId(index))
    .datasource(DATASOURCE)
    .range();
}

function instant({ expr, legend }: Query, index: number): Builder<Dataquery> {
  return new prometheus.DataqueryBuilder()
    .expr(expr)
    .legendFormat(legend)
    .refId(refId(index))
    .datasource(DATASOURCE)
    .instant()
    .format(prometheus.PromQueryFormat.Table);
}

function refId(index: number): string {
  return String.fromCharCode(65 + index);
}

function linkTo({ title, url }: Link): dashboard.DashboardLinkBuilder {
  return new dashboard.DashboardLinkBuilder(title).type(dashboard.DashboardLinkType.Link).url(url);
}
