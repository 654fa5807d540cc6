import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type HostNameFiles, machineNames } from '../../src/system/host-names.js';

const FILES: readonly { name: string; files: HostNameFiles; want: string[] }[] = [
  {
    name: 'Debian: /etc/hosts has the full name, the resolver a domain',
    files: {
      hostname: 'kvm-1',
      hosts:
        '127.0.0.1\tlocalhost\n127.0.1.1\tkvm-1.Example.org\tkvm-1\n192.0.2.9 other.example\n# 1.1.1.1 kvm-1 no.example\n',
      resolv: 'nameserver 192.0.2.53\nsearch lan.example. corp.example\n',
    },
    want: ['kvm-1', 'kvm-1.corp.example', 'kvm-1.example.org', 'kvm-1.lan.example'],
  },
  {
    name: 'a pod: the resolver searches the domains of its cluster',
    files: {
      hostname: 'agent-x2k9p',
      hosts: '# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n10.244.0.7\tagent-x2k9p\n',
      resolv: 'search monitoring.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n',
    },
    want: ['agent-x2k9p', 'agent-x2k9p.monitoring.svc.cluster.local', 'agent-x2k9p.svc.cluster.local'],
  },
  {
    name: 'a full host name; a list of advertisers in /etc/hosts',
    files: {
      hostname: 'KVM-2.example.net',
      hosts: '127.0.0.1 localhost\n127.0.0.1 ads.example\n0.0.0.0 evil.example\n',
      resolv: 'search .\ndomain\n',
    },
    want: ['kvm-2', 'kvm-2.example.net'],
  },
  { name: 'nothing', files: { hostname: '', hosts: ' \n\n', resolv: '' }, want: [] },
];

for (const { name, files, want } of FILES)
  test(`names of the machine: ${name}`, () => assert.deepEqual(machineNames(files).sort(), want));
