# shellcheck shell=bash
# Ends the cluster's processes and takes its traces off the machine, one function per kind.
# Sourced after paths.sh and network.sh. Each step works on what it finds, so a half-dead or half-removed cluster is no special case.
# It must never delete through a mounted volume: wipe_state refuses while a mount is left under $STATE.

# end_servers SERVER...: TERM, and KILL after 10 s.
end_servers() {
  local server pid pids=() end=$((SECONDS + 10))
  for server in "$@"; do
    if pid=$(server_pid "$server"); then pids+=("$pid"); fi
  done
  [ ${#pids[@]} -gt 0 ] || return 0
  kill -TERM "${pids[@]}" 2>/dev/null || true
  while any_lives "${pids[@]}" && [ $SECONDS -lt $end ]; do sleep 0.1; done
  if any_lives "${pids[@]}"; then kill -9 "${pids[@]}" 2>/dev/null || true; fi
}

# A process that has ended but was not waited for has no command line any more.
any_lives() {
  local pid
  for pid in "$@"; do
    if [ -n "$(tr -d '\0' 2>/dev/null <"/proc/$pid/cmdline")" ]; then return 0; fi
  done 2>/dev/null
  return 1
}

stop_servers() {
  end_servers kubelet kube-proxy coredns kube-scheduler kube-controller-manager
  end_servers kube-apiserver
  end_servers etcd containerd
}

# Shims first, or they would report the deaths of their containers to nobody.
kill_containers() {
  local pids end=$((SECONDS + 30))
  while
    pids=$(cluster_processes | awk '/containerd-shim/ { print $1 }'; container_pids)
    [ -n "$pids" ]
  do
    [ $SECONDS -lt $end ] || fail "these processes outlive kill -9: ${pids//$'\n'/ }"
    # shellcheck disable=SC2086
    kill -9 $pids 2>/dev/null || true
    sleep 0.05
  done
}

# Processes that no pid file names, as after a kill between a start and its note.
kill_strays() {
  local pids
  pids=$(cluster_processes | awk '{ print $1 }')
  # shellcheck disable=SC2086
  [ -z "$pids" ] || kill -9 $pids 2>/dev/null || true
  rm -f "$STATE"/run/*.pid
}

unmount_all() {
  local target
  # First made private, so that no unmount spreads to the user's own mounts below a volume.
  for target in $(state_mounts); do mount --make-private "$target" 2>/dev/null || true; done
  for target in $(state_mounts); do umount -l "$target" 2>/dev/null || true; done
}

remove_cgroups() {
  local root
  for root in $(cgroup_roots); do
    if [ -d "$root/$NAME" ]; then find "$root/$NAME" -depth -type d -exec rmdir {} + 2>/dev/null || true; fi
  done
}

remove_network() {
  local table
  if [ -e "/sys/class/net/$NAME" ]; then ip link del "$NAME"; fi
  for table in "inet $NAME" 'ip kube-proxy' 'ip6 kube-proxy'; do
    # shellcheck disable=SC2086
    nft delete table $table 2>/dev/null || true
  done
}

restore_sysctls() {
  local key value
  [ -e "$SAVED_SYSCTLS" ] || return 0
  while read -r key value; do echo "$value" >"/proc/sys/$key"; done <"$SAVED_SYSCTLS"
  rm "$SAVED_SYSCTLS"
}

# The paths outside $STATE that the programs don't let one choose. traces.sh lists the same.
remove_outside_files() {
  local path
  rm -f /var/lib/cni/results/"$NAME"-*
  find /var/log/containers -maxdepth 1 -lname "$STATE/*" -delete 2>/dev/null || true
  # Alone in its folder it is of a kubelet whose root is elsewhere: ours.
  if [ "$(ls -A /var/lib/kubelet 2>/dev/null)" = device-plugins ]; then rm -rf --one-file-system /var/lib/kubelet/device-plugins; fi
  for path in $(dead_shim_sockets); do rm -f "$path"; done
  # Left by the image builder.
  rm -f /etc/cni/net.d/cni.lock /etc/containers/networks/netavark.lock
  rmdir /var/lib/cni/results /var/lib/cni /var/log/containers /var/lib/kubelet "$CONTAINERD_SHIM_SOCKETS" /run/containerd \
    /etc/cni/net.d /etc/cni /etc/containers/networks 2>/dev/null || true
}

# Sockets of shims that nobody holds open any more.
dead_shim_sockets() {
  local path
  for path in "$CONTAINERD_SHIM_SOCKETS"/*; do
    if [ -S "$path" ] && ! grep -qF "$path" /proc/net/unix; then echo "$path"; fi
  done
}

wipe_state() {
  [ -e "$STATE" ] || return 0
  [ -e "$STATE_MARK" ] || fail "$STATE was not made by this cluster, so it is left alone"
  [ -z "$(state_mounts)" ] || fail "still mounted, so nothing is deleted: $(state_mounts)"
  [ -z "$(cluster_processes)" ] || fail "still running, so nothing is deleted: $(cluster_processes)"
  # The mark goes last: a wipe that is cut short can be finished.
  find "$STATE" -mindepth 1 -maxdepth 1 ! -path "$STATE_MARK" -exec rm -rf --one-file-system {} +
  rm -rf --one-file-system "$STATE"
  rmdir "$(dirname "$STATE")" 2>/dev/null || true
}
