/**
 * Memory of a whole agent with its default options that watches VMs and is scraped every 15 seconds:
 * `node build/test/bench/memory-cost.js [VMs] [minutes]`. Needs root and KVM.
 *
 * Each VM has two vCPUs, of which one writes to ports and halts a hundred times a second. The agent has the environment
 * that the systemd unit gives it, and not NODE_EXTRA_CA_CERTS: reading these certificates takes 2 MB.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, startAgent } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { startGuest } from '../support/guest/start-guest.js';
import { ROOT } from '../support/paths.js';
import type { Samples } from '../support/prometheus/samples.js';

const SCRAPE_MS = 15_000;
const PATIENCE_MS = 120_000;
const BURSTS = { out: 0x80, times: 5, everyMs: 10 };
const UNIT = readFileSync(join(ROOT, 'deploy/systemd/kvm-exit-exporter.service'), 'utf8');
const ENVIRONMENT = [...UNIT.matchAll(/^Environment=(\S+)$/gm)].map(([, variable = '']) => variable);
const HEAP_SPACES = ['new', 'old', 'code', 'large_object', 'new_large_object', 'trusted'];

/** Megabytes of a process, as /proc/PID/smaps_rollup has them (Documentation/filesystems/proc.rst). */
function memoryMb({ process: { pid } }: RunningAgent): { resident: string; own: string } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kib = (field: string) => Number(new RegExp(`^${field}: +(\\d+) kB$`, 'm').exec(text)?.[1]);
  const mb = (kibs: number) => ((kibs * 1024) / 1e6).toFixed(1).padStart(5);
  return { resident: mb(kib('Rss')), own: mb(kib('Private_Clean') + kib('Private_Dirty')) };
}

function heapMb(samples: Samples): string {
  return HEAP_SPACES.map((space) => {
    const bytes = samples.sum('nodejs_heap_space_size_total_bytes', { space });
    return bytes > 0 ? `${space} ${(bytes / 1e6).toFixed(1)}` : '';
  })
    .filter((text) => text !== '')
    .join(', ');
}

const [vms = 20, minutes = 5] = process.argv.slice(2).map(Number);
try {
  const agent = await startAgent({
    timeoutMs: PATIENCE_MS,
    prefix: ['env', '--unset=NODE_EXTRA_CA_CERTS', ...ENVIRONMENT],
  });
  for (let vm = 0; vm < vms; vm++)
    startGuest({ name: `memory-${vm}`, vcpus: 2, steps: [{ bursts: BURSTS }], secondarySteps: [{ halt: true }] });
  const areKnown = (samples: Samples) =>
    samples.of('kvm_vm_info').filter(({ labels }) => labels.get('vm')?.startsWith('memory-')).length === vms;
  await agent.scrapeUntil(`${vms} VMs`, areKnown, PATIENCE_MS);
  const scrapes = Math.round((minutes * 60_000) / SCRAPE_MS);
  for (let scrape = 1; scrape <= scrapes; scrape++) {
    await sleep(SCRAPE_MS);
    const samples = await agent.scrape();
    if (scrape % 4 !== 0) continue;
    const { resident, own } = memoryMb(agent);
    const series = samples.all.length;
    console.log(
      `after ${(scrape * SCRAPE_MS) / 60_000} min   resident ${resident} MB   private ${own} MB   ${series} series   heap: ${heapMb(samples)}`,
    );
  }
  await agent.stop();
} finally {
  await endAll();
}
