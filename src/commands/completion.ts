import { COMPLETIONS } from '../config/completion/completion.js';
import type { Invocation } from '../config/parse-command-line.js';
import { unknownName } from '../system/did-you-mean.js';
import { AgentError } from '../system/errors.js';

/** Prints the completion script of a shell. */
export async function completion({ operands }: Invocation): Promise<void> {
  const [shell = '', ...more] = operands;
  if (more.length > 0) throw new AgentError(`completion takes one shell, but got ${operands.join(' ')}`);
  const script = Object.hasOwn(COMPLETIONS, shell) ? COMPLETIONS[shell] : undefined;
  if (script === undefined) throw new AgentError(unknownName('shell', shell, Object.keys(COMPLETIONS)));
  process.stdout.write(script());
}
