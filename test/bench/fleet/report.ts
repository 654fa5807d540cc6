/** What docs/bench/fleet.json contains. */
import type { PanelTime } from './panels.js';
import type { GroupTime, ScrapeCost } from './scraping.js';
import type { Blocks } from './storing-prometheus.js';

export interface FleetReport {
  readonly date: string;
  readonly machine: { readonly cpus: number; readonly memoryBytes: number; readonly kernel: string };
  readonly prometheus: string;
  readonly agents: number;
  readonly vms: number;
  readonly vcpus: number;
  readonly hours: number;
  /** Between two scrapes. */
  readonly intervalSeconds: number;
  /** Between two evaluations of the recording rules. */
  readonly recordedEverySeconds: number;
  readonly scraping: ScrapeCost;
  readonly groups: readonly GroupTime[];
  readonly panels: readonly PanelTime[];
  /** Seconds until all panels have answered that ask at the same time. */
  readonly dashboardSeconds: number;
  readonly residentBytesAfterQueries: number;
  /** Blocks with 24 hours of all series of one agent. */
  readonly disk: Blocks;
  /** Blocks of the fleet: the series that are read over hours, most of which rules make. */
  readonly historyDisk: Blocks;
}
