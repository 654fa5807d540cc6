/** A host with many VMs that never existed, as ring-buffer pages, and the ledger that counts them. */
import { Ledger } from '../../../src/count/ledger.js';
import { readEventFormats } from '../../../src/decode/format/event-format.js';
import { PageCursor } from '../../../src/decode/ftrace/page-cursor.js';
import { RecordDecoder } from '../../../src/decode/ftrace/record-decoder.js';
import type { VmInfo } from '../../../src/snapshot/tables/vms.js';
import { vmInfo } from '../../support/agent/vm-info.js';
import { formatText, headerPageText, PageBuilder, payload } from '../../support/trace/page-builder.js';

export const VCPUS = 8;
export const REASONS = 20;
/** Bytes for records in a page. */
const PAGE_DATA_BYTES = 4080;
/** Upper limit of the size of a record. */
const RECORD_BYTES = 32;

const EXIT = 1;
const USERSPACE_EXIT = 2;
const ENTRY = 3;
/** Reasons that KVM handles. The remaining ones reach userspace. */
const KVM_REASONS = 12;

const names = Array.from({ length: KVM_REASONS }, (_, reason) => `{ ${reason}, "EXIT_REASON_${reason}" }`).join(', ');
const FORMATS = [
  formatText(
    'kvm_exit',
    EXIT,
    [
      ['unsigned int exit_reason', 8, 4],
      ['unsigned long guest_rip', 16, 8],
      ['u32 isa', 24, 4],
      ['unsigned int vcpu_id', 28, 4],
    ],
    `"reason %s", __print_symbolic(REC->exit_reason, ${names})`,
  ),
  formatText('kvm_userspace_exit', USERSPACE_EXIT, [
    ['__u32 reason', 8, 4],
    ['int errno', 12, 4],
  ]),
  formatText('kvm_entry', ENTRY, [['unsigned int vcpu_id', 8, 4]]),
];

export interface Size {
  readonly vms: number;
  /** The pages contain entries, so that each exit has a duration. That makes three times as many series. */
  readonly durations: boolean;
}

/** Pages in which every thread exits once for each reason. The threads take turns. */
export function* pagesOf({ vms, durations }: Size, pass: number): Generator<Uint8Array, void, undefined> {
  let timeNs = 1_000_000_000n + BigInt(pass) * 60_000_000_000n;
  let page = new PageBuilder(timeNs);
  let used = 0;
  for (let reason = 0; reason < REASONS; reason++)
    for (let tid = FIRST_TID; tid < FIRST_TID + vms * VCPUS; tid++) {
      if (used + 2 * (RECORD_BYTES + 4) > PAGE_DATA_BYTES) {
        yield page.build();
        page = new PageBuilder(timeNs);
        used = 0;
      }
      timeNs += 500n;
      page.event(500, reason < KVM_REASONS ? exit(tid, reason) : userspaceExit(tid, reason - KVM_REASONS));
      used += RECORD_BYTES + 4;
      if (!durations) continue;
      page.event(500, payload(ENTRY, tid, [[8, 4, (tid - FIRST_TID) % VCPUS]]));
      timeNs += 500n;
      used += RECORD_BYTES + 4;
    }
  yield page.build();
}

const FIRST_TID = 10_000;

function exit(tid: number, reason: number): Uint8Array {
  return payload(EXIT, tid, [
    [8, 4, reason],
    [24, 4, 1],
    [28, 4, (tid - FIRST_TID) % VCPUS],
  ]);
}

function userspaceExit(tid: number, reason: number): Uint8Array {
  return payload(USERSPACE_EXIT, tid, [
    [8, 4, reason],
    [12, 4, 0],
  ]);
}

export function vmInfos(vms: number): VmInfo[] {
  const label = (vm: number) => `instance-${String(vm).padStart(8, '0')}`;
  return Array.from({ length: vms }, (_, vm) => vmInfo({ vm: label(vm), pid: String(vm), vcpus: VCPUS }));
}

export function newLedger(infos: readonly VmInfo[]): Ledger {
  const identities = infos.map(({ vm }) => ({ label: vm }));
  return new Ledger({
    ownerOf: (tid) => {
      const index = tid - FIRST_TID;
      return { vm: identities[Math.floor(index / VCPUS)], vcpu: String(index % VCPUS) };
    },
  });
}

/** Decodes pages into a source of the ledger. */
export function cursorOf(ledger: Ledger, counts: ReturnType<Ledger['kernelSource']>): PageCursor {
  const read = readEventFormats(headerPageText(), FORMATS);
  if ('problem' in read) throw new Error(read.problem);
  const { formats, problems } = read;
  if (problems.length > 0) throw new Error(problems.join());
  return new PageCursor(new RecordDecoder({ formats, vocabulary: ledger.vocabulary, sink: counts }), 0);
}
