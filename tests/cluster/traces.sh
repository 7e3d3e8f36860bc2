# shellcheck shell=bash
# Finds every trace of a cluster on this machine. Sourced after paths.sh and teardown.sh; only looks.

# list_traces [--keep]: one line a trace, "KIND what"; with --keep the state folder is none.
list_traces() {
  local root table path
  cluster_processes | sed 's/^/process /'
  container_pids | sed 's/^/process of a container /'
  state_mounts | sed 's/^/mount /'
  for root in $(cgroup_roots); do
    if [ -d "$root/$NAME" ]; then echo "cgroup $root/$NAME"; fi
  done
  if [ -e "/sys/class/net/$NAME" ]; then echo "link $NAME"; fi
  ip netns list 2>/dev/null | awk '/^cni-/ { print "netns " $1 }'
  ip -o link show type veth | awk -F': ' '$2 ~ /^veth[0-9a-f]{8}@/ { print "link " $2 }'
  ip route show table all | awk -v a="$POD_CIDR" -v b="$SERVICE_CIDR" '$1 == a || $1 == b { print "route " $0 }'
  if command -v nft >/dev/null; then
    for table in "inet $NAME" 'ip kube-proxy' 'ip6 kube-proxy'; do
      # shellcheck disable=SC2086
      if nft list table $table >/dev/null 2>&1; then echo "nft table $table"; fi
    done
    nft list ruleset | awk '/^\tchain (KUBE|CNI)-/ { print "nft chain " $2 }'
  fi
  for path in /var/lib/cni/results/"$NAME"-* /etc/cni/net.d/cni.lock /etc/containers/networks/netavark.lock; do
    if [ -e "$path" ]; then echo "file $path"; fi
  done
  find /var/log/containers -maxdepth 1 -lname "$STATE/*" -printf 'file %p\n' 2>/dev/null || true
  if [ "$(ls -A /var/lib/kubelet 2>/dev/null)" = device-plugins ]; then echo "file /var/lib/kubelet/device-plugins"; fi
  dead_shim_sockets | sed 's/^/file /'
  if [ -e "$SAVED_SYSCTLS" ]; then echo "sysctls not restored: $SAVED_SYSCTLS"; fi
  if [ "${1:-}" != --keep ] && [ -e "$STATE" ]; then echo "file $STATE"; fi
}
