/** The rule files of deploy/prometheus, with recording rules that are evaluated every second. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../paths.js';

/** Writes copies into `folder`. Returns their paths. */
export function writeQuickRules(folder: string, files: readonly string[] = ['rules.yml', 'alerts.yml']): string[] {
  return files.map((file) => {
    const text = readFileSync(join(ROOT, 'deploy/prometheus', file), 'utf8').replace(
      /^ {4}interval: .*$/gm,
      '    interval: 1s',
    );
    const copy = join(folder, file.replaceAll('/', '-'));
    writeFileSync(copy, text);
    return copy;
  });
}
