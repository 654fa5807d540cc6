import { AgentError } from '../system/errors.js';
import { checkValue } from './option-types.js';
import type { Option } from './options.js';

/** What one of the sources - command line, environment, file - says, checked against the table. */
export class Given {
  /** By flag, all that was said. */
  readonly values = new Map<string, string[]>();
  /** All that is wrong, a line each. */
  readonly problems: string[] = [];

  /** `where`: the name under which it was given, for what is said about it. */
  add(option: Option, value: string, where: string): void {
    const problem = problemOf(option, value, where);
    if (problem !== undefined) this.problems.push(problem);
    else this.values.set(option.flag, [...(this.values.get(option.flag) ?? []), value]);
  }
}

function problemOf(option: Option, value: string, where: string): string | undefined {
  if (option.type === 'boolean')
    return value === 'true' || value === 'false' ? undefined : `${where}=${value}: expected true or false`;
  if (value === '') return `${where} needs a value: ${option.value}`;
  try {
    checkValue(option, where, value);
    return undefined;
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    return error.message;
  }
}
