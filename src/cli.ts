import { limitYoungGeneration } from './commands/serving/limit-young-generation.js';
import type { CommandName } from './config/commands.js';
import { helpText } from './config/help.js';
import { type Invocation, parseCommandLine } from './config/parse-command-line.js';
import { closeDebugger } from './system/debugger-signal.js';
import { AgentError, fileError } from './system/errors.js';
import { setLog } from './system/log.js';
import { printMessage } from './system/printable.js';
import { leaveOutBaselineCode, raiseInliningBudget } from './system/program/compiler.js';
import { licences } from './system/program/program-files.js';
import { stackTrace } from './system/program/stack-trace.js';
import { VERSION } from './system/version.js';

raiseInliningBudget();

/** A command's program is loaded when it runs: the web server and the exporters of `run` alone take 0.2 s. */
const IMPLEMENTATIONS: Readonly<Record<CommandName, () => Promise<(invocation: Invocation) => Promise<void>>>> = {
  run: async () => (await import('./commands/run.js')).run,
  top: async () => (await import('./commands/top/top.js')).top,
  stat: async () => (await import('./commands/live/stat.js')).stat,
  report: async () => (await import('./commands/report.js')).report,
  record: async () => (await import('./commands/record.js')).record,
  check: async () => (await import('./commands/check/check.js')).check,
  events: async () => (await import('./commands/events.js')).events,
  qemu: async () => (await import('./commands/qemu.js')).qemu,
  demo: async () => (await import('./commands/demo.js')).demo,
  healthcheck: async () => (await import('./commands/healthcheck.js')).healthcheck,
  completion: async () => (await import('./commands/completion.js')).completion,
};

/** Commands that run for days. */
const LASTING: ReadonlySet<CommandName> = new Set(['run', 'demo']);

// The name in ps and top, which would be that of a thread of Node.js.
process.title = ['kvm-exit-exporter', ...process.argv.slice(2)].join(' ');

async function main(argv: readonly string[]): Promise<void> {
  const invocation = parseCommandLine(argv);
  const { command, get, operands } = invocation;
  setLog({ level: get('log.level'), format: get('log.format') });
  if (command === 'help') process.stdout.write(helpText(operands[0]));
  else if (command === 'version') process.stdout.write(`kvm-exit-exporter ${VERSION}\n`);
  else if (command === 'licenses') process.stdout.write(licences());
  else {
    if (LASTING.has(command)) {
      leaveOutBaselineCode();
      limitYoungGeneration();
    }
    const run = await IMPLEMENTATIONS[command]();
    await run(invocation);
  }
}

// A reader that closes the pipe early (head, less) is not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  printMessage(fileError('standard output', error).message);
  process.exit(2);
});

// The log's reader has ended, or its disk is full: counting goes on without a log.
process.stderr.on('error', () => {});

closeDebugger();

// A bug: Node.js would print the stack as it is, and its message may contain what came from outside.
process.on('uncaughtException', (error: unknown) => {
  printMessage(stackTrace(error));
  process.exit(1);
});

// Exit codes: 0 success, 1 a bug, 2 a problem that the user can solve, 3 a figure that rose above --fail-above.
main(process.argv.slice(2)).catch((error: unknown) => {
  if (!(error instanceof AgentError)) throw error;
  printMessage(error.message);
  // Docker reserves exit code 2 of a health check.
  process.exitCode = process.argv[2] === 'healthcheck' ? 1 : 2;
});
