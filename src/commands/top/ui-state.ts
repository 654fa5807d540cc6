/** What `top` shows, and what the keys change about it (PURE). */
import type { VmRow } from '../../rates/vm-row.js';
import { vmName } from './columns.js';
import { SORT_NAMES, type Sort, sorted } from './sort.js';

export interface UiState {
  readonly view: 'list' | 'detail' | 'help';
  readonly sort: Sort;
  readonly isReversed: boolean;
  /** Part of a name; '' for all VMs. */
  readonly filter: string;
  /** True while the filter is typed. */
  readonly isTyping: boolean;
  readonly isPaused: boolean;
  readonly intervalMs: number;
  /** Name of the VM that the bar is on; undefined for the first one. */
  readonly selected: string | undefined;
  /** First line of the detail or of the help that is shown. */
  readonly scroll: number;
  readonly hasEnded: boolean;
}

export function newState(sort: Sort, intervalMs: number): UiState {
  return {
    view: 'list',
    sort,
    isReversed: false,
    filter: '',
    isTyping: false,
    isPaused: false,
    intervalMs,
    selected: undefined,
    scroll: 0,
    hasEnded: false,
  };
}

const INTERVALS_MS = [500, 1000, 2000, 5000, 10_000, 30_000, 60_000];
const MAX_FILTER_LENGTH = 60;

/** The VMs of the list, in its order. */
export function shownRows(rows: readonly VmRow[], { filter, sort, isReversed }: UiState): VmRow[] {
  const wanted = filter.toLowerCase();
  const matching = wanted === '' ? rows : rows.filter(({ vm }) => vmName(vm).toLowerCase().includes(wanted));
  return sorted(matching, sort, isReversed);
}

/** Index of the bar among the rows that are shown. */
export function selectedIndex(shown: readonly VmRow[], { selected }: UiState): number {
  return Math.max(
    0,
    shown.findIndex(({ vm }) => vm === selected),
  );
}

/**
 * The state after a key.
 * @param rows all VMs
 * @param pageRows rows that fit on the screen
 */
export function afterKey(
  state: UiState,
  key: { readonly name: string; readonly text: string },
  rows: readonly VmRow[],
  pageRows: number,
): UiState {
  if (state.isTyping) return afterTyping(state, key);
  const change = COMMON_KEYS[key.text] ?? COMMON_KEYS[key.name];
  if (change !== undefined) return { ...state, ...change(state) };
  const lines = MOVES[key.name] ?? MOVES[key.text];
  const move = lines === undefined ? 0 : Number.isFinite(lines) ? lines : Math.sign(lines) * Number.MAX_SAFE_INTEGER;
  const distance = PAGE_KEYS.has(key.name) ? move * Math.max(1, pageRows - 1) : move;
  if (state.view !== 'list') {
    if (BACK_KEYS.has(key.name)) return { ...state, view: 'list', scroll: 0 };
    return distance === 0 ? state : { ...state, scroll: Math.max(0, state.scroll + distance) };
  }
  const shown = shownRows(rows, state);
  const index = selectedIndex(shown, state);
  if (OPEN_KEYS.has(key.name)) {
    const vm = shown[index]?.vm;
    return vm === undefined ? state : { ...state, view: 'detail', selected: vm, scroll: 0 };
  }
  if (key.name === 'escape') return { ...state, filter: '' };
  if (distance === 0) return state;
  const target = Math.min(shown.length - 1, Math.max(0, index + distance));
  return { ...state, selected: shown[target]?.vm };
}

const OPEN_KEYS: ReadonlySet<string> = new Set(['return', 'enter', 'right']);
const BACK_KEYS: ReadonlySet<string> = new Set(['escape', 'left', 'backspace', 'return']);
const PAGE_KEYS: ReadonlySet<string> = new Set(['pageup', 'pagedown', 'space']);
const MOVES: Readonly<Record<string, number>> = {
  up: -1,
  k: -1,
  down: 1,
  j: 1,
  pageup: -1,
  pagedown: 1,
  space: 1,
  home: Number.NEGATIVE_INFINITY,
  g: Number.NEGATIVE_INFINITY,
  end: Number.POSITIVE_INFINITY,
  G: Number.POSITIVE_INFINITY,
};

type Change = (state: UiState) => Partial<UiState>;

const COMMON_KEYS: Readonly<Record<string, Change>> = {
  q: () => ({ hasEnded: true }),
  p: ({ isPaused }) => ({ isPaused: !isPaused }),
  s: ({ sort }) => ({ sort: next(SORT_NAMES, sort, 1), selected: undefined }),
  S: ({ sort }) => ({ sort: next(SORT_NAMES, sort, -1), selected: undefined }),
  r: ({ isReversed }) => ({ isReversed: !isReversed, selected: undefined }),
  '+': ({ intervalMs }) => ({ intervalMs: INTERVALS_MS.find((each) => each > intervalMs) ?? intervalMs }),
  '-': ({ intervalMs }) => ({ intervalMs: INTERVALS_MS.findLast((each) => each < intervalMs) ?? intervalMs }),
  '/': () => ({ isTyping: true, view: 'list', filter: '' }),
  h: ({ view }) => ({ view: view === 'help' ? 'list' : 'help', scroll: 0 }),
  '?': ({ view }) => ({ view: view === 'help' ? 'list' : 'help', scroll: 0 }),
};

function next<Name>(names: readonly Name[], name: Name, step: number): Name {
  return names[(names.indexOf(name) + step + names.length) % names.length] ?? name;
}

function afterTyping(state: UiState, { name, text }: { readonly name: string; readonly text: string }): UiState {
  if (name === 'return' || name === 'enter') return { ...state, isTyping: false };
  if (name === 'escape') return { ...state, isTyping: false, filter: '' };
  if (name === 'backspace') return { ...state, filter: [...state.filter].slice(0, -1).join('') };
  const isText = text !== '' && !/\p{C}/u.test(text) && state.filter.length < MAX_FILTER_LENGTH;
  return isText ? { ...state, filter: state.filter + text, selected: undefined } : state;
}
