/**
 * Finds the pages of a version 7 file whose last options are missing. Sections follow each other without a gap, so they
 * can be walked. In a section of pages, each CPU begins at a multiple of the page size:
 *
 *   packed    chunks as in trace-dat.ts; where they end, the next CPU begins
 *   plain     pages; a CPU begins where the time of a page steps back
 *
 * The numbers of the CPUs are not known; they are counted from 0.
 */
import type { ByteSource } from './byte-source.js';
import { type CpuPlace, MAX_PLACES } from './options.js';
import type { Section, Sections } from './sections.js';

/** Ten pages in what trace-cmd writes. */
export const MAX_CHUNK_PAGES = 64;

export function findPages(source: ByteSource, sections: Sections, section: Section, pageSize: number): CpuPlace[] {
  const end = section.size === 0 ? source.size : Math.min(section.start + section.size, source.size);
  const find = section.isPacked ? findPacked : findPlain;
  return find(sections, alignedTo(pageSize, section.start), end, pageSize);
}

function findPacked(sections: Sections, start: number, end: number, pageSize: number): CpuPlace[] {
  const places: CpuPlace[] = [];
  for (let offset = start; offset < end && places.length < MAX_PLACES; ) {
    const next = endOfChunks(sections, offset, end, pageSize);
    if (next === offset) break;
    places.push({ cpu: places.length, offset, size: next - offset });
    offset = alignedTo(pageSize, next);
  }
  return places;
}

/** The position behind the chunks of a CPU; `offset` if there are none. */
function endOfChunks(sections: Sections, offset: number, end: number, pageSize: number): number {
  const reader = sections.reader(offset);
  if (offset + 4 > end) return offset;
  for (let chunks = reader.u32(); chunks > 0; chunks--) {
    if (reader.at + 8 > end) return end;
    const [packed, unpacked] = [reader.u32(), reader.u32()];
    if (packed === 0 || unpacked % pageSize !== 0 || unpacked / pageSize > MAX_CHUNK_PAGES) return offset;
    if (reader.at + packed > end) return end;
    reader.skip(packed);
  }
  return reader.at > offset + 4 ? reader.at : offset;
}

function findPlain(sections: Sections, start: number, end: number, pageSize: number): CpuPlace[] {
  const places: CpuPlace[] = [];
  const reader = sections.reader(start);
  let offset = start;
  let before = Number.NEGATIVE_INFINITY;
  while (reader.at + pageSize <= end && places.length < MAX_PLACES) {
    const page = reader.at;
    // The time of a page, which is its first field in every kernel.
    const time = reader.u64();
    if (time < before) {
      places.push({ cpu: places.length, offset, size: page - offset });
      offset = page;
    }
    before = time;
    reader.skip(pageSize - 8);
  }
  if (end > offset) places.push({ cpu: places.length, offset, size: end - offset });
  return places;
}

function alignedTo(pageSize: number, offset: number): number {
  return Math.ceil(offset / pageSize) * pageSize;
}
