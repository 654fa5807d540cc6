/**
 * The soak as a command: `npm run soak -- [minutes] [FILE.json]`. It takes an hour by default and needs root, KVM,
 * tracefs, QEMU and tmux.
 *
 * Prints a line for each of 60 rows and a report in Markdown at the end. FILE.json gets all measurements. The exit code
 * is 1 if a criterion does not hold, and 2 if the soak could not run.
 */
import { writeFileSync } from 'node:fs';
import { endAll } from '../support/end-later.js';
import { needs } from '../support/requirements.js';
import { soak } from './soak.js';
import { soakTables } from './soak-tables.js';

/** The agent keeps the files of a VM open for a while, so their number is not stable in the first half minute. */
const MIN_MINUTES = 1;

async function main(): Promise<void> {
  const { skip } = needs('root', 'kvm', 'tracefs', 'kvm-events', 'qemu', 'tmux');
  if (skip !== false) throw new Error(skip);
  const [minutesText = '60', file] = process.argv.slice(2);
  const minutes = Number(minutesText);
  if (!(minutes >= MIN_MINUTES))
    throw new Error(`expected a number of minutes, at least ${MIN_MINUTES}, not ${minutesText}`);
  const report = await soak(
    minutes,
    ({ seconds, vms, residentBytes, heapBytes, fileDescriptors, series, eventsLost }) =>
      console.error(
        `${seconds} s: ${vms} VMs, ${(residentBytes / 1e6).toFixed(1)} MB resident, ${(heapBytes / 1e6).toFixed(1)} MB heap, ` +
          `${fileDescriptors} file descriptors, ${series} series, ${eventsLost} events lost`,
      ),
  );
  console.log(soakTables(report));
  for (const warning of new Set(report.warnings)) console.error(warning);
  if (file !== undefined) writeFileSync(file, `${JSON.stringify(report, null, 1)}\n`);
  if (report.verdicts.some(({ holds }) => !holds)) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
} finally {
  await endAll();
}
