/**
 * A page looked over before it is decoded: whose records it has, and when the last of them was. It takes a tenth of the time that
 * decoding takes, and saves more: see {@link OpenPages}.
 *
 * Record by record as in ring-buffer-page.ts, but only what nearly all pages are made of: events, and time extends. Whatever else a page
 * has, or much of it, makes it {@link mixed}.
 */
import type { RecordPage } from './record-reader.js';

const TYPE_LEN_MAX = 28;
const TYPE_PADDING = 29;
const TYPE_TIME_EXTEND = 30;
const TWO_27 = 0x8000000;

/** More threads than a CPU runs in the time of a page, so that it does not take long. */
const MOST_THREADS = 64;

/** Where the fields are that all records have, from the start of a payload. */
export interface CommonFields {
  readonly littleEndian: boolean;
  /** common_type: two bytes, the event's ID. */
  readonly typeOffset: number;
  /** common_pid: four bytes, the thread's number. */
  readonly pidOffset: number;
  /** By event ID: 1 where it says something about other threads than its own. */
  readonly concernsOthers: Uint8Array;
}

export class PageSurvey {
  readonly tids: number[] = [];
  /** Time of its last record, on the trace's clock. */
  endNs = Number.NaN;
  /** It can't be told apart from other pages: it tells of other threads than those of its records, or of nobody knows whom. */
  mixed = false;

  /** The page is as good as {@link mixed}. */
  giveUp(): void {
    this.mixed = true;
    this.tids.length = 0;
  }

  /** @param at of the first record in `page`; the last ends at `end`. @param startNs time of the page */
  take({ view }: RecordPage, at: number, end: number, startNs: number, fields: CommonFields): void {
    this.mixed = false;
    this.tids.length = 0;
    const { littleEndian, typeOffset, pidOffset, concernsOthers } = fields;
    if (!littleEndian) return this.giveUp();
    const commonEnd = 4 + Math.max(typeOffset + 2, pidOffset + 4);
    let sinceStartNs = 0;
    let last = -1;
    while (at + commonEnd <= end) {
      const word = view.getUint32(at, true);
      const typeLen = word & 0x1f;
      if (typeLen > 0 && typeLen <= TYPE_LEN_MAX) {
        if (concernsOthers[view.getUint16(at + 4 + typeOffset, true)] === 1) return this.giveUp();
        const tid = view.getInt32(at + 4 + pidOffset, true);
        if (tid !== last) {
          last = tid;
          if (!this.#add(tid)) return this.giveUp();
        }
        sinceStartNs += word >>> 5;
        at += 4 + typeLen * 4;
      } else if (typeLen === TYPE_TIME_EXTEND) {
        sinceStartNs += view.getUint32(at + 4, true) * TWO_27 + (word >>> 5);
        at += 8;
      } else if (typeLen === TYPE_PADDING && word >>> 5 === 0) break;
      else return this.giveUp();
    }
    this.endNs = startNs + sinceStartNs;
  }

  #add(tid: number): boolean {
    if (!this.tids.includes(tid)) this.tids.push(tid);
    return this.tids.length <= MOST_THREADS;
  }
}
