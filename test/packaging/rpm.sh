#!/bin/bash
# Runs inside a Debian that systemd has booted, as the service of test/packaging/rpm.test.ts: installs the .rpm in /test
# with the host's rpm, uses, upgrades and erases it. Each step writes a line to /test/steps: its name and what it saw.
cd /test || exit
step() { printf '%s\t%s\n' "$1" "$2" >>steps; }
files() { find / -xdev \( -path /test -o -path /tmp -o -path /run -o -path /proc -o -path /sys -o -path /tracefs -o -path /var/log \) -prune \
  -o -print | sort; }
get() { exec 3<>/dev/tcp/127.0.0.1/10586 && printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$1" >&3 && cat <&3; }
unit() { systemctl show --property="$1" --value kvm-exit-exporter; }
instances() { find /sys/kernel/tracing/instances -mindepth 1 -maxdepth 1 -name "$INSTANCE" -printf '%f\n'; }
# Debian's packages are not in rpm's database, so that it would miss what ours needs.
erpeem() {
  RPM_CONFIGDIR=/test/rpm/conf LD_LIBRARY_PATH=/test/rpm/lib /test/rpm/rpm --dbpath=/test/rpm/db "$@" >>rpm.log 2>&1
  echo $?
}
started() {
  for _ in {1..600}; do get /-/ready 2>/dev/null | grep -q '^HTTP.* 200' && break; sleep 0.2; done
  systemctl is-active kvm-exit-exporter
}
# systemd-nspawn mounts /sys/kernel over a tracefs that is bound there.
mount --bind /tracefs /sys/kernel/tracing
echo "KVM_EXIT_EXPORTER_TRACEFS_INSTANCE=$INSTANCE" >/etc/default/kvm-exit-exporter

files >before
step 'install of an older version' "$(erpeem --install --nodeps old.rpm)"
systemctl enable --now kvm-exit-exporter
step 'state' "$(started) $(systemctl is-enabled kvm-exit-exporter)"
step 'metrics' "$(get /metrics | grep -c '^kvm_exit_exporter_build_info')"
step 'instance' "$(instances)"
sed -i 's/level: info/level: debug/' /etc/kvm-exit-exporter/config.yml
pid=$(unit MainPID)
step 'upgrade' "$(erpeem --upgrade --nodeps new.rpm)"
step 'state after upgrade' "$(started)"
step 'another process after upgrade' "$([[ $(unit MainPID) != "$pid" ]] && echo yes)"
step 'configuration after upgrade' "$(grep -o 'level: .*' /etc/kvm-exit-exporter/config.yml)"
step 'new configuration beside it' "$(grep -o 'level: .*' /etc/kvm-exit-exporter/config.yml.rpmnew)"
step 'erase' "$(erpeem --erase kvm-exit-exporter)"
step 'state after erase' "$(systemctl is-active kvm-exit-exporter)"
step 'instance after erase' "$(instances)"
files >after
step 'files after erase' "$(diff before after | grep '^[<>]')"

rm -rf /etc/kvm-exit-exporter
step 'second install' "$(erpeem --install --nodeps new.rpm)"
systemctl enable --now kvm-exit-exporter
step 'state after second install' "$(started)"
step 'second erase' "$(erpeem --erase kvm-exit-exporter)"
files >after
step 'files after second erase' "$(diff before after)"
journalctl -u kvm-exit-exporter >journal
systemctl exit
