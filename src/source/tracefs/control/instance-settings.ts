/**
 * The settings of a tracing instance, and how each is set back after another program changed it:
 *
 *   trace_clock               [local] global counter mono ...       written: local
 *   trace_options             overwrite, nopause-on-trace ...       written: each line that is missing
 *   set_event_pid             empty                                 truncated
 *   set_event                 kvm:kvm_exit ...                      written: !EVENT for each event that is new
 *   events/S/E/filter         none                                  written: 0
 *   events/S/E/trigger        lines with # only                     written: !TRIGGER for each trigger
 *   events/S/E/enable         1, or 0 between two windows           written: 1 or 0
 *   tracing_on                1                                     written: 1, last of all
 *
 * Each of these can keep events out of the buffers, empty the buffers, or spoil the times in them, and no counter of
 * the kernel shows it.
 *
 * Source: kernel/trace/trace.c, trace_events.c, trace_events_filter.c and trace_events_trigger.c (Linux 6.18).
 */
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isOutOfFiles } from '../../../system/errors.js';
import { tryWriteControl } from './tracefs-files.js';

/** Returns what to write to a file so that its content `now` becomes `before` again; nothing if it is intact. */
type Corrections = (now: string, before: string) => readonly string[];

/** Writing nothing truncates the file. */
const TRUNCATE = '';

const text: Corrections = (now, before) => (now === before ? [] : [before]);
const clock: Corrections = (now, before) => (now === before ? [] : [/\[(\S+)\]/.exec(before)?.[1] ?? before]);
const pids: Corrections = (now) => (now === '' ? [] : [TRUNCATE]);
const options: Corrections = (now, before) => {
  const lines = new Set(now.split('\n'));
  return before.split('\n').filter((line) => !lines.has(line) && !SHARED_OPTIONS.has(line.replace(/^no/, '')));
};
const newEvents: Corrections = (now, before) => {
  const lines = new Set(before.split('\n'));
  return now
    .split('\n')
    .filter((line) => !lines.has(line))
    .map((line) => `!${line}`);
};
const one: Corrections = (now) => (now === '1' ? [] : ['1']);
const filter: Corrections = (now) => (now === 'none' ? [] : ['0']);
const triggers: Corrections = (now) => {
  const lines = now.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  // Truncating removes hist triggers. The kernel removes any other kind by name, without its count and condition.
  const names = lines.map((line) => line.replace(/ (if|\[).*$/, '').replace(/:(unlimited|count=\d+)$/, ''));
  return lines.length === 0 ? [] : [TRUNCATE, ...names.map((name) => `!${name}`)];
};

/** Options that the kernel clears in one instance when another one asks for them. */
const SHARED_OPTIONS: ReadonlySet<string> = new Set(['copy_trace_marker', 'trace_printk_dest']);

/** Another value of this gives the buffers pages of another size, which the reader does not expect. */
export const PAGE_SIZE_FILE = 'buffer_subbuf_size_kb';

/** In the order in which they are set back: the clock and the size of pages empty the buffers. */
const INSTANCE_FILES: readonly (readonly [file: string, corrections: Corrections])[] = [
  ['current_tracer', text],
  ['trace_options', options],
  ['trace_clock', clock],
  [PAGE_SIZE_FILE, text],
  ['buffer_size_kb', text],
  ['tracing_cpumask', text],
  ['set_event_pid', pids],
  ['set_event_notrace_pid', pids],
];

const ENABLE = 'enable';
const SET_EVENT = 'set_event';
const TRACING_ON = 'tracing_on';
/** Files of which every folder with settings has one. */
const LASTING: ReadonlySet<string> = new Set([ENABLE, TRACING_ON]);

const EVENT_FILES: readonly (readonly [file: string, corrections: Corrections])[] = [
  ['trigger', triggers],
  ['filter', filter],
  [ENABLE, text],
];

interface Setting {
  /** Path in the instance. */
  readonly file: string;
  before: string;
  readonly corrections: Corrections;
}

export class InstanceSettings {
  readonly #instance: string;
  readonly #settings: readonly Setting[];

  /**
   * Remembers the settings as they are now.
   * @param events the events that are recorded, as `system:name`: they should be on, until {@link expect} is called
   */
  constructor(instance: string, events: readonly string[]) {
    this.#instance = instance;
    const files = [
      ...INSTANCE_FILES,
      ...events.flatMap((event) =>
        EVENT_FILES.map(([file, corrections]) => [`${eventFolder(event)}/${file}`, corrections] as const),
      ),
      [SET_EVENT, newEvents] as const,
      [TRACING_ON, one] as const,
    ];
    // A kernel that lacks a file lacks the setting.
    this.#settings = files.flatMap(([file, corrections]) => {
      const before = this.#read(file);
      if (before === undefined || before === UNKNOWN) return [];
      // Which of the events are on is a matter of their own files.
      return [{ file, before: file === SET_EVENT ? [before, ...events].join('\n') : before, corrections }];
    });
    this.expect(events, true);
  }

  /** From now on, these events should be on, or off. */
  expect(events: readonly string[], on: boolean): void {
    const files = new Set(events.map(enableFile));
    for (const setting of this.#settings) if (files.has(setting.file)) setting.before = on ? '1' : '0';
  }

  /** Paths in the instance of the files whose setting is another one now. */
  changed(): string[] {
    return this.#settings.filter((setting) => this.#corrections(setting).length > 0).map(({ file }) => file);
  }

  /** Path of a file that does not exist any more; undefined if all do. */
  missing(): string | undefined {
    // The files of a folder come and go together, so one of each is enough.
    return this.#settings.find(({ file }) => LASTING.has(basename(file)) && !existsSync(join(this.#instance, file)))
      ?.file;
  }

  /**
   * Sets everything back as far as the kernel lets it; {@link changed} shows whether it did. Returns the paths in the
   * instance of the files that it wrote to.
   */
  revert(): string[] {
    return this.#settings
      .filter((setting) => {
        const corrections = this.#corrections(setting);
        for (const value of corrections) tryWriteControl(this.#instance, setting.file, value);
        return corrections.length > 0;
      })
      .map(({ file }) => file);
  }

  #corrections({ file, before, corrections }: Setting): readonly string[] {
    const now = this.#read(file);
    return now === undefined || now === UNKNOWN ? [] : corrections(now, before);
  }

  /** {@link UNKNOWN} if too many files are open; undefined if there is no such file. */
  #read(file: string): string | typeof UNKNOWN | undefined {
    try {
      return readFileSync(join(this.#instance, file), 'utf8').trim();
    } catch (error) {
      return isOutOfFiles(error) ? UNKNOWN : undefined;
    }
  }
}

/** Path in an instance of the file that switches an event (`system:name`) on and off. */
export function enableFile(event: string): string {
  return `${eventFolder(event)}/${ENABLE}`;
}

function eventFolder(event: string): string {
  return `events/${event.replace(':', '/')}`;
}

const UNKNOWN = Symbol('unknown');
