import assert from 'node:assert/strict';
import { test } from 'node:test';
import { afterKey, newState, shownRows, type UiState } from '../../../src/commands/top/ui-state.js';
import { manyVms, vmRowOf } from '../../support/agent/fake-agent.js';

const ROWS = manyVms(50);
const NAMED = ['up', 'down', 'pageup', 'pagedown', 'home', 'end', 'return', 'escape', 'backspace', 'space', 'left'];

/** The state after keys, on a screen of 10 rows. */
function after(keys: readonly string[], state: UiState = newState('qemu', 2000)): UiState {
  return keys.reduce((now, key) => {
    const pressed = NAMED.includes(key) ? { name: key, text: '' } : { name: key.toLowerCase(), text: key };
    return afterKey(now, pressed, ROWS, 10);
  }, state);
}

test('the bar moves, and stays within the list', () => {
  assert.equal(after(['down', 'down', 'up']).selected, 'vm-2');
  assert.equal(after(['up']).selected, 'vm-1');
  assert.equal(after(['pagedown']).selected, 'vm-10');
  assert.equal(after(['end', 'down']).selected, 'vm-50');
  assert.equal(after(['G', 'g']).selected, 'vm-1');
});

test('the bar stays on its VM when the order changes by itself', () => {
  const state = after(['down', 'down']);
  assert.equal(state.selected, 'vm-3');
  assert.equal(afterKey(state, { name: 'down', text: '' }, [...ROWS].reverse(), 10).selected, 'vm-4');
});

test('orders, reversed and back', () => {
  assert.equal(after(['s']).sort, 'time');
  assert.equal(after(['s', 'S']).sort, 'qemu');
  assert.equal(after(['S']).sort, 'name');
  assert.equal(shownRows(ROWS, after(['r']))[0]?.vm, 'vm-50');
});

test('what is not known comes last in every order', () => {
  const rows = [vmRowOf({ vm: 'unknown' }), vmRowOf({ vm: 'known', qemu_exits_per_second: 0 })];
  for (const keys of [[], ['r']])
    assert.deepEqual(
      shownRows(rows, after(keys)).map(({ vm }) => vm),
      ['known', 'unknown'],
    );
});

test('keys are text while a filter is typed, and none ends the program', () => {
  const state = after(['/', 'q', '4', 'backspace', 'backspace', '4', '2']);
  assert.deepEqual([state.filter, state.isTyping, state.hasEnded], ['42', true, false]);
  assert.deepEqual(
    shownRows(ROWS, after(['return'], state)).map(({ vm }) => vm),
    ['vm-42'],
  );
  assert.equal(after(['escape'], state).filter, '');
});

test('a control character is no text, and a filter has an end', () => {
  const typed = afterKey(after(['/']), { name: '', text: '\u001b]0;x' }, ROWS, 10);
  assert.equal(typed.filter, '');
  assert.equal(after(['/', ...'x'.repeat(500)]).filter.length, 60);
});

test('Enter opens the VM with the bar, Esc goes back, and the bar is where it was', () => {
  const opened = after(['down', 'return', 'pagedown']);
  assert.deepEqual([opened.view, opened.selected, opened.scroll], ['detail', 'vm-2', 9]);
  const back = after(['escape'], opened);
  assert.deepEqual([back.view, back.selected, back.scroll], ['list', 'vm-2', 0]);
});

test('a list without VMs has nothing to open', () => {
  assert.equal(afterKey(newState('qemu', 2000), { name: 'return', text: '\r' }, [], 10).view, 'list');
});

test('interval, pause, help, end', () => {
  assert.equal(after(['+']).intervalMs, 5000);
  assert.equal(after(['-', '-', '-', '-']).intervalMs, 500);
  assert.equal(after(['p']).isPaused, true);
  assert.equal(after(['p', 'p']).isPaused, false);
  assert.equal(after(['h']).view, 'help');
  assert.equal(after(['?', '?']).view, 'list');
  assert.equal(after(['q']).hasEnded, true);
});
