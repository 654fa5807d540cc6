#!/bin/bash
# Runs inside an emulated Debian with KVM, as the service of test/packaging/emulated-debian.test.ts: installs the
# package in /test, runs a VM, asks the service for its exits, and purges the package. What it writes goes to the second
# serial port.
cd /test || exit
at() { echo "$(cut -d ' ' -f 1 /proc/uptime) s: $1"; }
get() { exec 3<>/dev/tcp/127.0.0.1/10586 && printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$1" >&3 && cat <&3; }
modprobe kvm_amd
exec >/dev/ttyS1 2>&1
at 'install'
apt-get install -y ./package.deb
at 'installed'
for _ in {1..600}; do get /-/ready | grep -q '^HTTP/1.1 200' && break; sleep 0.2; done
at 'ready'
LD_LIBRARY_PATH=/test/qemu /test/qemu/qemu-system-x86_64 -L /test/qemu -accel kvm -machine pc -m 16 -display none -vga none \
  -nodefaults -no-user-config -no-reboot -name guest=exact,debug-threads=on -bios guest.rom -device isa-debug-exit,iobase=0x501,iosize=1
echo "QEMU: $?"
for _ in {1..600}; do get /metrics | grep -q '^kvm_exits_total{vm="exact".*layer="qemu"' && break; sleep 0.2; done
# What is counted must not grow.
sleep 2
echo METRICS
get /metrics | sed '1,/^\r*$/d'
echo END
echo "state: $(systemctl is-active kvm-exit-exporter)"
at 'counted'
systemctl stop kvm-exit-exporter
echo "instances after stop: $(ls /sys/kernel/tracing/instances)"
# As an agent leaves it that was killed.
mkdir /sys/kernel/tracing/instances/kvm-exit-exporter
dpkg --purge kvm-exit-exporter
echo "instances after purge: $(ls /sys/kernel/tracing/instances)"
at 'purged'
journalctl -u kvm-exit-exporter -o cat
sync
systemctl poweroff --force
