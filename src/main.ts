#!/usr/bin/env node
import { AgentError } from './agent-error.js';
import { demo } from './commands/demo.js';
import { report } from './commands/report.js';
import { run } from './commands/run.js';
import type { CommandName } from './config/options.js';
import { helpText, type Invocation, parseCommandLine } from './config/parse.js';
import { VERSION } from './version.js';

const COMMANDS: Record<CommandName, (invocation: Invocation) => Promise<void>> = { run, report, demo };

/** Exit codes: 0 done, 1 a bug, 2 something the user can mend. */
async function main(argv: readonly string[]): Promise<void> {
  const invocation = parseCommandLine(argv);
  if (invocation.command === 'help') process.stdout.write(helpText());
  else if (invocation.command === 'version') process.stdout.write(`kvm-exit-exporter ${VERSION}\n`);
  else await COMMANDS[invocation.command](invocation);
}

// A reader that has seen enough (head, less) closes the pipe: not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof AgentError)) throw error;
  for (const line of error.message.split('\n')) process.stderr.write(`kvm-exit-exporter: ${line}\n`);
  process.exitCode = 2;
}
