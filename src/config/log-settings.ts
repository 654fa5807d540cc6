import type { LogSettings } from '../system/log.js';
import { parseChoice } from './option-types.js';
import type { Invocation } from './parse-command-line.js';

/** Commands without these options say what there is to say in logfmt. */
export function logSettings(get: Invocation['get']): LogSettings {
  return {
    level: parseChoice('log.level', get('log.level') ?? 'info', ['debug', 'info', 'warn', 'error']),
    format: parseChoice('log.format', get('log.format') ?? 'logfmt', ['logfmt', 'json']),
  };
}
