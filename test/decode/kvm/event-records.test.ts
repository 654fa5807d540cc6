import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type PayloadField, payload } from '../../support/trace/page-builder.js';
import {
  decodeFields,
  decodeRecord,
  idOf,
  recordedFormat,
  TID,
  TIME,
  WHERE,
} from '../../support/trace/record-calls.js';

describe('entries', () => {
  it('name the vCPU on x86', () => {
    const format = recordedFormat('kvm_entry');
    assert.deepEqual(decodeRecord(format, payload(idOf(format), TID, [[8, 4, 6]], { size: 28 })), [
      `vmEntry ${WHERE} 6`,
    ]);
  });

  for (const event of ['kvm_entry', 'kvm_enter', 'kvm_reenter']) {
    it(`need not name a vCPU: ${event}`, () => {
      assert.deepEqual(decodeFields(event, [['unsigned long pc', 8, 8, 0]]), [`vmEntry ${WHERE} -1`]);
    });
  }
});

describe('kvm_userspace_exit', () => {
  const format = recordedFormat('kvm_userspace_exit');

  for (const [reason, errno, label] of [
    [2, 0, 'KVM_EXIT_IO'],
    [6, 0, 'KVM_EXIT_MMIO'],
    [39, 0, 'KVM_EXIT_MEMORY_FAULT'], // the kernel's own names end at 30
    [44, 0, '44'],
    [2, -4, 'restart'],
    [10, -11, 'error'],
    [39, -14, 'error'],
    [5, 1, 'KVM_EXIT_HLT'],
  ] as const) {
    it(`reports ${label} for reason ${reason}, errno ${errno}`, () => {
      const record = payload(idOf(format), TID, [
        [8, 4, reason],
        [12, 4, errno],
      ]);
      assert.deepEqual(decodeRecord(format, record), [`userspaceExit ${WHERE} ${label}`]);
    });
  }
});

describe('I/O events', () => {
  it('report port writes and reads', () => {
    const format = recordedFormat('kvm_pio');
    const pio = (rw: number): string[] =>
      decodeRecord(
        format,
        payload(
          idOf(format),
          TID,
          [
            [8, 4, rw],
            [12, 4, 0x402],
            [16, 4, 2],
          ],
          { size: 28 },
        ),
      );
    assert.deepEqual(pio(1), [`portIo ${WHERE} true ${0x402} 2`]);
    assert.deepEqual(pio(0), [`portIo ${WHERE} false ${0x402} 2`]);
  });

  it('report three kinds of MMIO access; any other kind is malformed', () => {
    const format = recordedFormat('kvm_mmio');
    const mmio = (type: number): string[] =>
      decodeRecord(
        format,
        payload(
          idOf(format),
          TID,
          [
            [8, 4, type],
            [16, 8, 0xfee000b0n],
          ],
          { size: 32 },
        ),
      );
    for (const type of [0, 1, 2]) assert.deepEqual(mmio(type), [`mmio ${WHERE} ${type} ${0xfee000b0}`]);
    for (const type of [3, 0xffffffff]) assert.deepEqual(mmio(type), ['malformed record']);
  });

  it('report fast MMIO', () => {
    const format = recordedFormat('kvm_fast_mmio');
    const record = payload(idOf(format), TID, [[8, 8, 0x10_fe00_0000n]]);
    assert.deepEqual(decodeRecord(format, record), [`fastMmio ${WHERE} ${0x10_fe00_0000}`]);
  });
});

describe("QEMU's markers", () => {
  const format = recordedFormat('print', 'exact/e2-mix');

  for (const [what, text, calls] of [
    [
      'padded',
      'kvm_run_exit cpu_index 0, reason 2\n\0\0\0',
      [`qemuEvent ${TIME} ${TID} kvm_run_exit`, `qemuRunExit ${TIME} ${TID} 0 KVM_EXIT_IO`],
    ],
    [
      'with old bytes behind the NUL',
      'kvm_run_exit cpu_index 1, reason 6\n\0x7',
      [`qemuEvent ${TIME} ${TID} kvm_run_exit`, `qemuRunExit ${TIME} ${TID} 1 KVM_EXIT_MMIO`],
    ],
    [
      'of another event',
      'virtio_queue_notify vdev 0x1 n 0 vq 0x2\n\0',
      [`qemuEvent ${TIME} ${TID} virtio_queue_notify`, `qemuSignal ${TIME} ${TID} 0 0x1`],
    ],
    ['without a NUL', 'load_file name 0x123456', [`qemuEvent ${TIME} ${TID} load_file`]],
    ['empty', '', []],
    ['written by another program', '!!\n\0', []],
  ] as const) {
    it(`are read: ${what}`, () => {
      const record = payload(idOf(format), TID, [[8, 8, 0xffffffff81000000n]], { size: 16 + text.length });
      record.set(Buffer.from(text, 'latin1'), 16);
      assert.deepEqual(decodeRecord(format, record).sort(), [...calls].sort());
    });
  }
});

describe('short records', () => {
  for (const [event, enough] of [
    ['kvm_exit', 60],
    ['kvm_entry', 12],
    ['kvm_userspace_exit', 16],
    ['kvm_pio', 20],
    ['kvm_mmio', 24],
    ['kvm_fast_mmio', 16],
  ] as const) {
    it(`count as a tracepoint and as malformed: ${event} of less than ${enough} bytes`, () => {
      const format = recordedFormat(event);
      for (let size = 8; size < enough; size++) {
        assert.deepEqual(decodeRecord(format, payload(idOf(format), TID, [], { size })), ['malformed record']);
      }
      assert.doesNotMatch(decodeRecord(format, payload(idOf(format), TID, [], { size: enough })).join(), /malformed/);
    });
  }
});

describe('sched_process_exit', () => {
  it('reports the thread that ends, which is the one that raises the event', () => {
    const fields = [
      ['pid_t pid', 24, 4, 1],
      ['int prio', 28, 4, 1],
    ] as const;
    assert.deepEqual(decodeFields('sched_process_exit', fields), [`threadExit ${WHERE}`]);
  });
});

describe('task_newtask', () => {
  it('reports a new thread of the process, and no new process', () => {
    // events/task/task_newtask/format of Linux 6.18; the flags are those that strace shows of pthread_create and fork.
    const start = (flags: number) =>
      decodeFields('task_newtask', [
        ['pid_t pid', 8, 4, 190],
        ['u64 clone_flags', 32, 8, flags],
      ] as const);
    assert.deepEqual(start(0x3d0f00), [`threadStart ${WHERE} 190`]);
    assert.deepEqual(start(0x1200000 + 0x11), []);
  });
});

describe('other records', () => {
  it('count as a tracepoint alone', () => {
    assert.deepEqual(decodeFields('kvm_fpu', [['u32 load', 8, 4, 1]]), []);
  });

  it('are not read if fields are missing', () => {
    for (const event of ['kvm_userspace_exit', 'kvm_pio', 'kvm_mmio', 'kvm_fast_mmio', 'print', 'kvm_s390_sie_exit']) {
      assert.deepEqual(decodeFields(event, [['u32 other', 8, 4, 1]]), [], event);
    }
  });

  it('are not read if a field is not a number', () => {
    const fields = [
      ['u8 reason[4]', 8, 4, 1],
      ['int errno', 12, 4, 0],
    ] as const;
    assert.deepEqual(decodeFields('kvm_userspace_exit', fields), []);
  });
});

describe('what an exit was for', () => {
  const read = (event: string, recording: string, ...values: readonly PayloadField[]) => {
    const format = recordedFormat(event, recording);
    return decodeRecord(format, payload(idOf(format), TID, values, { size: 80 }));
  };
  const VMX = 'vmx/two-vms-6.1';

  it('is the register of kvm_msr', () => {
    assert.deepEqual(read('kvm_msr', VMX, [8, 4, 0], [12, 4, 0x1b]), [`index ${WHERE} 0 0x1b`]);
    assert.deepEqual(read('kvm_msr', VMX, [8, 4, 1], [12, 4, 0xc0011029]), [`index ${WHERE} 1 0xc0011029`]);
  });

  it('is the leaf of kvm_cpuid, the number of kvm_hypercall, the code of kvm_page_fault', () => {
    assert.deepEqual(read('kvm_cpuid', VMX, [8, 4, 0x40000001]), [`index ${WHERE} 2 0x40000001`]);
    assert.deepEqual(read('kvm_hypercall', VMX, [8, 4, 0x63]), [`index ${WHERE} 3 0x63`]);
    assert.deepEqual(read('kvm_page_fault', VMX, [32, 4, 0x184]), [`index ${WHERE} 6 0x184`]);
  });

  it('is the reason of a nested exit, for SVM and VMX', () => {
    const nested = (isa: number, reason: number) =>
      decodeFields('kvm_nested_vmexit', [
        ['unsigned int exit_reason', 8, 4, reason],
        ['unsigned long guest_rip', 16, 8, 0],
        ['u32 isa', 24, 4, isa],
        ['u64 info1', 32, 8, 0],
        ['u64 info2', 40, 8, 0],
        ['unsigned int vcpu_id', 56, 4, 1],
      ]);
    assert.deepEqual(nested(2, 0x400), [`index ${WHERE} 7 npf`]);
    assert.deepEqual(nested(1, 48), [`index ${WHERE} 7 EPT_VIOLATION`]);
    const before510 = decodeFields('kvm_nested_vmexit', [
      ['__u32 exit_code', 16, 4, 0x400],
      ['__u32 isa', 20, 4, 2],
    ]);
    assert.deepEqual(before510, [`index ${WHERE} 7 npf`]);
  });

  it('is the exit code of kvm_vmgexit_enter', () => {
    const fields = (reason: number | bigint) =>
      decodeFields('kvm_vmgexit_enter', [
        ['unsigned int vcpu_id', 8, 4, 0],
        ['u64 exit_reason', 16, 8, reason],
      ]);
    assert.deepEqual(fields(0x7b), [`index ${WHERE} 8 io`]);
    assert.deepEqual(fields(0x80000011), [`index ${WHERE} 8 vmgexit_guest_request`]);
  });

  it('is the request of kvm_vmgexit_msr_protocol_enter, in the low 12 bits', () => {
    const fields = (value: bigint) =>
      decodeFields('kvm_vmgexit_msr_protocol_enter', [
        ['unsigned int vcpu_id', 8, 4, 0],
        ['u64 ghcb_gpa', 16, 8, value],
      ]);
    // CPUID leaf 0x8000001f, register EAX; a page at 2^51 becomes private.
    assert.deepEqual(fields(0x8000001f_00000004n), [`index ${WHERE} 8 msr_cpuid`]);
    assert.deepEqual(fields(0x0018000000001014n), [`index ${WHERE} 8 msr_page_state_change`]);
    assert.deepEqual(fields(0xfffn), [`index ${WHERE} 8 unknown`]);
  });

  it('is the reason of kvm_apicv_inhibit_changed, by the list of the kernel', () => {
    const list = ['DISABLED', 'HYPERV', 'ABSENT'].map(
      (name) => `{ ((((1UL))) << (APICV_INHIBIT_REASON_${name})), "${name}" }`,
    );
    const printFmt = `"%s reason=%u, inhibits=0x%lx%s%s", __print_flags(REC->inhibits, "|", ${list.join(', ')})`;
    const change = (reason: number, set: number, fmt?: string) =>
      decodeFields(
        'kvm_apicv_inhibit_changed',
        [
          ['int reason', 8, 4, reason],
          ['bool set', 12, 1, set],
          ['unsigned long inhibits', 16, 8, 0],
        ],
        fmt === undefined ? {} : { printFmt: fmt },
      );
    assert.deepEqual(change(1, 1, printFmt), [`apicvInhibit ${WHERE} HYPERV true`]);
    assert.deepEqual(change(2, 0, printFmt), [`apicvInhibit ${WHERE} ABSENT false`]);
    assert.deepEqual(change(9, 1), [`apicvInhibit ${WHERE} 9 true`]);
  });
});
