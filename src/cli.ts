import { setFlagsFromString } from 'node:v8';
import { check } from './commands/check/check.js';
import { demo } from './commands/demo.js';
import { events } from './commands/events.js';
import { qemu } from './commands/qemu.js';
import { record } from './commands/record.js';
import { report } from './commands/report.js';
import { run } from './commands/run.js';
import { helpText } from './config/help.js';
import { logSettings } from './config/log-settings.js';
import type { CommandName } from './config/options.js';
import { type Invocation, parseCommandLine } from './config/parse-command-line.js';
import { AgentError, fileError } from './system/errors.js';
import { setLog } from './system/log.js';
import { VERSION } from './system/version.js';

/**
 * The way of an event, from its page to its counter, is to be one piece of machine code: numbers that are handed from call to call become
 * objects. V8's usual limit (920 bytes of bytecode) stops halfway, which costs a fifth more CPU, and garbage.
 */
setFlagsFromString('--max-inlined-bytecode-size-cumulative=3000');

const COMMANDS: Record<CommandName, (invocation: Invocation) => Promise<void>> = {
  run,
  report,
  record,
  check,
  events,
  qemu,
  demo,
};

/** Exit codes: 0 done, 1 a bug, 2 something the user can mend. */
async function main(argv: readonly string[]): Promise<void> {
  const invocation = parseCommandLine(argv);
  setLog(logSettings(invocation.get));
  if (invocation.command === 'help') process.stdout.write(helpText(invocation.paths[0]));
  else if (invocation.command === 'version') process.stdout.write(`kvm-exit-exporter ${VERSION}\n`);
  else await COMMANDS[invocation.command](invocation);
}

// A reader that has seen enough (head, less) closes the pipe: not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  process.stderr.write(`kvm-exit-exporter: ${fileError('standard output', error).message}\n`);
  process.exit(2);
});

// Nobody reads the log any more, or its disk is full: no reason to stop counting.
process.stderr.on('error', () => {});

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof AgentError)) throw error;
  for (const line of error.message.split('\n')) process.stderr.write(`kvm-exit-exporter: ${line}\n`);
  process.exitCode = 2;
}
