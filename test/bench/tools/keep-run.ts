/**
 * Runs a benchmark and keeps what it prints, for the page that shows it:
 *
 *   node build/test/bench/tools/keep-run.js build/test/bench/top-cost.js 20 60 && npm run docs
 *
 * writes docs/bench/runs/top-cost.txt: the command, its output, and the machine that it ran on. Flags of Node.js before
 * keep-run.js are those of the benchmark. Nothing is written if the benchmark fails.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ROOT } from '../../support/paths.js';
import { describeMachine } from './measure.js';

const [script, ...args] = process.argv.slice(2);
if (script === undefined) throw new Error('the path of a benchmark is missing');

const command = [...process.execArgv, script, ...args];
const child = spawn(process.execPath, command, { stdio: ['inherit', 'pipe', 'inherit'] });
child.stdout.setEncoding('utf8');
let output = '';
child.stdout.on('data', (text: string) => {
  process.stdout.write(text);
  output += text;
});
const [status] = await once(child, 'close');
if (status !== 0) throw new Error(`${script} ended with ${status}`);

const { cpus, kernel, node } = describeMachine();
const date = new Date().toISOString().slice(0, 10);
writeFileSync(
  join(ROOT, 'docs/bench/runs', `${basename(script, '.js')}.txt`),
  `$ node ${command.join(' ')}\n${output.trimEnd()}\n${date}: ${cpus} CPUs, Linux ${kernel}, Node.js ${node}\n`,
);
