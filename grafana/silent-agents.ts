import { type Matchers, series } from './promql.js';

/** How long an agent is missed that sent over OTLP: Prometheus has no list of such agents to compare with. */
export const MISSED_FOR = '1h';

/**
 * Agents that do not answer, by job and instance: scraped ones that are down, and those that sent over OTLP and no
 * longer do. Only scraped agents have kvm_exit_exporter_scrape_seconds.
 * @param targets selects the scraped ones
 * @param agents selects all of them
 * @param before the series that a selector had in the last hour
 */
export function silentAgents(targets: Matchers, agents: Matchers, before: (selector: string) => string): string {
  const info = series('kvm_exit_exporter_build_info', agents);
  return [
    `${series('up', targets)} == 0`,
    'or',
    `group without (version, node) (${before(info)})`,
    `unless on (job, instance) ${info}`,
    `unless on (job, instance) ${before(series('kvm_exit_exporter_scrape_seconds', agents))}`,
  ].join('\n');
}
