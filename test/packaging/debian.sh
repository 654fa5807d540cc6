#!/bin/bash
# Runs inside a Debian that systemd has booted, as the service of test/packaging/debian.test.ts: installs the package
# in /test, uses, upgrades and purges it. Each step writes a line to /test/steps: its name and what it saw.
cd /test || exit
step() { printf '%s\t%s\n' "$1" "$2" >>steps; }
files() { find / -xdev \( -path /test -o -path /tmp -o -path /run -o -path /proc -o -path /sys -o -path /tracefs -o -path /var/log \
  -o -path /var/cache -o -path /var/lib/dpkg -o -path /var/lib/apt \) -prune -o -print | sort; }
get() { exec 3<>/dev/tcp/127.0.0.1/10586 && printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$1" >&3 && cat <&3; }
unit() { systemctl show --property="$1" --value kvm-exit-exporter; }
# An own name for the tracing instance, since the host's other agents share tracefs with this root.
instances() { find /sys/kernel/tracing/instances -mindepth 1 -maxdepth 1 -name "$INSTANCE" -printf '%f\n'; }
install() { apt-get install -y -o Dpkg::Options::=--force-confold "$1" >>apt.log 2>&1; echo $?; }
export DEBIAN_FRONTEND=noninteractive
# systemd-nspawn mounts /sys/kernel over a tracefs that is bound there.
mount --bind /tracefs /sys/kernel/tracing

files >before
echo "KVM_EXIT_EXPORTER_TRACEFS_INSTANCE=$INSTANCE" >/etc/default/kvm-exit-exporter
step 'install of an older version' "$(install ./old.deb)"
step 'state' "$(systemctl is-active kvm-exit-exporter) $(systemctl is-enabled kvm-exit-exporter)"
step 'metrics' "$(get /metrics | grep -c '^kvm_exit_exporter_build_info')"
step 'healthcheck' "$(kvm-exit-exporter healthcheck 2>&1; echo $?)"
step 'instance' "$(instances)"
step 'user and capabilities' "$(grep -hE '^(Uid|CapEff)' "/proc/$(unit MainPID)/status" | tr -s '\t\n' ' ')"
step 'exposure' "$(systemd-analyze security --no-pager kvm-exit-exporter | sed -n 's/.*exposure level for.*: \([0-9.]*\).*/\1/p')"
step 'completion' "$(bash -c 'source /usr/share/bash-completion/completions/kvm-exit-exporter && complete -p kvm-exit-exporter')"

sed -i 's/level: info/level: debug/' /etc/kvm-exit-exporter/config.yml
pid=$(unit MainPID)
systemctl reload kvm-exit-exporter
reloaded() { journalctl -u kvm-exit-exporter -o cat | grep -o 'msg="configuration reloaded".*'; }
for _ in {1..100}; do [[ $(reloaded) ]] && break; sleep 0.1; done
step 'reload' "$(reloaded)"
step 'the same process after reload' "$([[ $(unit MainPID) == "$pid" ]] && echo yes)"

began=${EPOCHREALTIME/./}
step 'upgrade' "$(install ./new.deb)"
step 'milliseconds of the upgrade' $(((${EPOCHREALTIME/./} - began) / 1000))
step 'state after upgrade' "$(systemctl is-active kvm-exit-exporter)"
step 'another process after upgrade' "$([[ $(unit MainPID) != "$pid" ]] && echo yes)"
step 'configuration after upgrade' "$(grep -o 'level: .*' /etc/kvm-exit-exporter/config.yml)"
step 'metrics after upgrade' "$(get /metrics | grep -c '^kvm_exit_exporter_build_info')"

apt-get remove -y kvm-exit-exporter >>apt.log 2>&1
step 'configuration after remove' "$(grep -o 'level: .*' /etc/kvm-exit-exporter/config.yml)"
step 'program after remove' "$(command -v kvm-exit-exporter)"
step 'instance after remove' "$(instances)"
apt-get purge -y kvm-exit-exporter >>apt.log 2>&1
files >after
step 'files after purge' "$(diff before after)"
journalctl -u kvm-exit-exporter >journal
systemctl exit
