# shellcheck shell=bash disable=SC2034
# Names, addresses and folders of the cluster, and the few functions that every script here needs.
# Sourced, never run; it changes nothing on the machine.

# No script ends in silence.
set -E
trap '[ "$BASH_SUBSHELL" -gt 0 ] || echo "$(basename "$0"): this command failed, at line $LINENO of ${BASH_SOURCE[0]##*/}: $BASH_COMMAND" >&2' ERR

cluster_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# One name for everything that the kernel shows of the cluster: bridge, nft table, cgroup, CNI network.
NAME=av1-cluster
NODE=node1
GATEWAY=10.244.0.1
POD_CIDR=10.244.0.0/24
SERVICE_CIDR=10.96.0.0/16
API_PORT=6443
API=https://127.0.0.1:$API_PORT
PAUSE_IMAGE=registry.local/pause:1

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/av1-operator
STATE=$(realpath -m -- "${AV1_CLUSTER_STATE:-${XDG_STATE_HOME:-$HOME/.local/state}/av1-operator/cluster}")
# Only a folder with this file in it is ever wiped.
STATE_MARK=$STATE/.$NAME-state
CONTAINERD_SOCKET=$STATE/ctd/containerd.sock
CONTAINERD_SHIM_SOCKETS=/run/containerd/s
ADMIN_CONF=$STATE/admin.conf
SAVED_SYSCTLS=$STATE/sysctls.saved
# What kubelet, kube-proxy and the CNI plugins change and nobody restores.
SYSCTLS='net/ipv4/ip_forward net/bridge/bridge-nf-call-iptables vm/overcommit_memory vm/panic_on_oom
  kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes'

# The binaries stand in a folder named after all that they are built from.
tools_key() {
  (cd "$cluster_dir" && sha256sum go/go.mod go/go.sum go/*/*.go) | sha256sum | cut -c1-12
}
BIN=$CACHE/bin/$(tools_key)
export PATH=$BIN:$PATH

CPUS=$(getconf _NPROCESSORS_ONLN)
# CPU 0 is for the servers and for pods without CPUs of their own; the others can be had whole.
on_reserved_cpu=()
if [ "$CPUS" -ge 2 ]; then on_reserved_cpu=(taskset -c 0); fi

fail() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

# step TEXT COMMAND...: runs the command, and says in one line what was done and how long it took.
step() {
  local text=$1 start=$EPOCHREALTIME
  shift
  "$@"
  awk -v text="$text" -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%7.1f s  %s\n", b - a, text }'
}

# wait_for SECONDS TEXT COMMAND...: until the command succeeds.
wait_for() {
  local end=$((SECONDS + $1)) text=$2 limit=$1
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || fail "$text: not so within $limit s; the logs are in $STATE/log"
    sleep 0.1
  done
}

require_safe_state_path() {
  [[ $STATE =~ ^/[A-Za-z0-9._/-]+$ && ${#STATE} -ge 6 ]] ||
    fail "the state folder $STATE has characters that mount tables and kubelet don't carry well; set AV1_CLUSTER_STATE to a plain path"
  [ ${#CONTAINERD_SOCKET} -le 90 ] ||
    fail "the state folder $STATE is too long a path for a Unix socket; set AV1_CLUSTER_STATE to a shorter one"
}

require_tools() {
  [ -e "$BIN/pause.tar" ] || fail "the cluster's programs are not built from the go folder as it is now; run tests/cluster/tools"
}

require_root() {
  [ "$(id -u)" = 0 ] || fail "this needs root, for it makes network devices, cgroups and mounts"
}

# Every mount target under the state folder, deepest first.
state_mounts() {
  awk -v p="$STATE/" 'index($5, p) == 1 { print $5 }' /proc/self/mountinfo | sort -r
}

# The cgroup hierarchies that exist: one on version 2, one per controller on version 1.
cgroup_roots() {
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    echo /sys/fs/cgroup
  else
    local h
    for h in /sys/fs/cgroup/*/; do
      if [ -e "$h/cgroup.procs" ]; then echo "${h%/}"; fi
    done
  fi
}

# "PID ARGUMENTS" of the processes that run from the built binaries for this state folder,
# the user's own kubectl and helm left out.
cluster_processes() {
  local exe pid
  { find /proc/[0-9]*/exe -maxdepth 0 \( -lname "*/av1-operator/bin/*/kubernetes*" -o -lname "*/av1-operator/bin/*/coredns*" \
    -o -lname "*/av1-operator/bin/*/containerd*" \) 2>/dev/null || true; } | while read -r exe; do
    pid=${exe#/proc/} pid=${pid%/exe}
    if grep -qF -- "$STATE/" "/proc/$pid/cmdline" 2>/dev/null; then
      { echo "$pid $(tr '\0' ' ' <"/proc/$pid/cmdline")"; } 2>/dev/null || true
    fi
  done
}

container_pids() {
  local root
  for root in $(cgroup_roots); do
    if [ -d "$root/$NAME" ]; then find "$root/$NAME" -name cgroup.procs -exec cat {} + 2>/dev/null || true; fi
  done | sort -un
}

# server_pid SERVER: prints the process id if that server lives and is ours.
server_pid() {
  local pid
  pid=$(cat "$STATE/run/$1.pid" 2>/dev/null) && [ -n "$pid" ] || return 1
  grep -qF -- "$STATE/" "/proc/$pid/cmdline" 2>/dev/null || return 1
  echo "$pid"
}
