import { readFile } from 'node:fs/promises';
import { AgentError, fileError } from '../agent-error.js';
import { attributionOf, ownerOfLog, ownerOfSimple } from '../attribution.js';
import type { Flag } from '../config/options.js';
import type { Invocation } from '../config/parse.js';
import type { ThreadListener } from '../count/kernel-counts.js';
import { Ledger } from '../count/ledger.js';
import type { QemuCounts } from '../count/qemu-counts.js';
import { parseTraceEvents, type TraceEvents } from '../decode/trace-events.js';
import { PrometheusView } from '../expose/prometheus.js';
import { REPORT_FORMATS, type ReportFormat } from '../expose/report.js';
import { openRecording, type Recording } from '../source/recording.js';
import { type ReplaySinks, readerOf, replay } from '../source/replay.js';
import { VERSION } from '../version.js';
import { Inventory } from '../vm/inventory.js';
import { ProgressBar } from './progress-bar.js';

/** Counts recordings and prints what they hold. */
export async function report({ get, paths }: Invocation): Promise<void> {
  const format = formatOf(get('format'));
  const inventory = await savedInventory(get);
  const comms = new Map<number, string>();
  const ledger = new Ledger(attributionOf(inventory, { comms }));
  const traceEvents = await readTraceEvents(get('qemu.trace-events'));
  const recordings = await openAll(paths);

  const progress = new ProgressBar(recordings.reduce((sum, { size }) => sum + size, 0));
  for (const recording of recordings) {
    const reader = readerOf(recording, sinksOf(ledger, inventory, comms, recording), {
      vocabulary: ledger.vocabulary,
      traceEvents,
    });
    await replay(recording, reader, (bytes) => progress.advance(bytes));
    for (const warning of reader.warnings()) process.stderr.write(`kvm-exit-exporter: ${warning}\n`);
  }
  progress.clear();
  attributeVcpus(ledger, inventory);

  const text =
    format === 'prometheus'
      ? await new PrometheusView(() => ledger.snapshot(), VERSION).render()
      : REPORT_FORMATS[format](ledger.snapshot());
  process.stdout.write(text);
}

/** Threads that ran a vCPU, whatever they are called, are a VM's: now that all is read, the inventory may know whose. */
function attributeVcpus(ledger: Ledger, inventory: Inventory): void {
  for (const { tid, vcpu } of ledger.vcpus()) {
    if (vcpu >= 0) inventory.learnVcpu(tid, vcpu);
    else inventory.miss(tid, true);
    inventory.resolveMisses(0);
  }
}

function formatOf(name: string | undefined): ReportFormat | 'prometheus' {
  if (name === 'prometheus' || name === 'table' || name === 'json' || name === 'csv') return name;
  throw new AgentError(`--format=${name}: expected table, json, csv or prometheus`);
}

/** Opens every file before any is read, so that all problems are told at once. */
async function openAll(paths: readonly string[]): Promise<Recording[]> {
  const results = await Promise.allSettled(paths.map(openRecording));
  const problems: string[] = [];
  for (const result of results) {
    if (result.status === 'fulfilled') continue;
    if (!(result.reason instanceof AgentError)) throw result.reason;
    problems.push(result.reason.message);
  }
  if (problems.length > 0) throw new AgentError(problems.join('\n'));
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}

async function savedInventory(get: (flag: Flag) => string | undefined): Promise<Inventory> {
  const procfs = get('path.procfs');
  const inventory = new Inventory({ procfs: procfs ?? '', live: false });
  if (procfs === undefined) return inventory;
  inventory.scan(0);
  if (inventory.vms().length === 0)
    throw new AgentError(
      `--path.procfs=${procfs}: no saved /proc of a VM in there (expected PID/cmdline, PID/task/...)`,
    );
  return inventory;
}

async function readTraceEvents(path: string | undefined): Promise<TraceEvents | undefined> {
  if (path === undefined) return undefined;
  try {
    return parseTraceEvents(await readFile(path, 'utf8'));
  } catch (error) {
    throw fileError(path, error);
  }
}

function sinksOf(ledger: Ledger, inventory: Inventory, comms: Map<number, string>, recording: Recording): ReplaySinks {
  const onThread: ThreadListener = (tid, tgid, comm) => {
    inventory.addThread(tid, tgid, comm);
    if (comm !== '' || !comms.has(tid)) comms.set(tid, comm);
  };
  return {
    kernel: () => ledger.kernelSource('ftrace', onThread),
    qemu: (backend) => {
      if (backend === 'simple') return ledger.qemuSource(backend, ownerOfSimple(inventory));
      const counts: QemuCounts = ledger.qemuSource(
        backend,
        ownerOfLog(inventory, recording.path, () => counts),
      );
      return counts;
    },
  };
}
