import assert from 'node:assert/strict';
import { test } from 'node:test';
import { vcpuOfComm, vmPidOfKernelThread } from '../../../src/vm/identify/comm.js';

const VCPUS: readonly [comm: string, vcpu: number][] = [
  ['CPU 0/KVM', 0],
  ['CPU 12/KVM', 12],
  ['CPU 1023/KVM', 1023],
  ['CPU 3/TCG', 3],
  ['CPU 0/KV', 0], // ftrace's latency format shows 8 characters
  ['CPU 10/K', 10],
  ['CPU 100/', 100],
  ['fc_vcpu 0', 0],
  ['fc_vcpu 31', 31],
  ['vcpu0', 0],
  ['vcpu17', 17],
  ['crosvm_vcpu0', 0],
  ['crosvm_vcpu100', 100],
  ['kvm-vcpu-0', 0],
  ['kvm-vcpu-7', 7],
  ['db_vcpu2', 2],
  ['vcpu_3', 3], // alioth
  ['vcpu-0', 0],
  ['vcpu-12', 12],
  ['EMT-0', 0], // VirtualBox with several vCPUs
  ['EMT-7', 7],
  ['EMT', -1],
  ['vcpu--1', -1],
  ['vcpu-', -1],
  ['ALL CPUs/TCG', -1],
  ['CPU 1000', -1], // cut before the end of the number
  ['CPU /KVM', -1],
  ['qemu-system-x86', -1],
  ['IO iothread1', -1],
  ['kvm-nx-lpage-re', -1],
  ['fc_vcpu', -1],
  ['vcpu0x', -1],
  ['my vcpu0', -1],
  ['<...>', -1],
  ['', -1],
];

test('vcpuOfComm reads the number that each VMM puts into the name', () => {
  for (const [comm, vcpu] of VCPUS) assert.equal(vcpuOfComm(comm), vcpu, comm);
});

const KERNEL_THREADS: readonly [comm: string, pid: number][] = [
  ['kvm-pit/1234', 1234],
  ['kvm-pit/4194304', 4194304], // the largest process id: 15 characters
  ['vhost-1234', 1234],
  ['vhost-4194304', 4194304],
  ['kvm-nx-lpage-re', -1],
  ['kvm-pit/', -1],
  ['kvm-pit-wq', -1],
  ['vhost-vsock', -1],
  ['vhost-12-34', -1],
  ['kworker/0:1-kvm', -1],
  ['', -1],
];

test('vmPidOfKernelThread reads the VMM that a kernel thread works for', () => {
  for (const [comm, pid] of KERNEL_THREADS) assert.equal(vmPidOfKernelThread(comm), pid, comm);
});
