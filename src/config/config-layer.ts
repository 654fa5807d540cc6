import { redactCredentials } from '../system/redact.js';
import { url } from './option-types.js';
import type { Option } from './options.js';

/** The options that one of the layers - command line, environment, file - sets, checked against their types. */
export class ConfigLayer {
  /** Flag -> every value given, in order. */
  readonly values = new Map<string, unknown[]>();
  /** Mistakes, one line each. */
  readonly problems: string[] = [];

  /** @param where the option as the user wrote it, for messages: `--log.level`, `config.yml:3: log.level` */
  add({ flag, type }: Option, text: string, where: string): void {
    const value = text === '' ? undefined : type.read(text);
    if (value !== undefined) {
      const values = this.values.get(flag);
      if (values === undefined) this.values.set(flag, [value]);
      else values.push(value);
    } else if (text === '') this.problems.push(`${where} needs a value: ${type.placeholder}`);
    else this.problems.push(`${where}=${type === url ? redactCredentials(text) : text}: expected ${type.expected}`);
  }
}
