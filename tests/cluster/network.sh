# shellcheck shell=bash
# The bridge that carries the node's address, the route to Services, the guard against other interfaces, and the cgroups.
# Sourced after paths.sh. It saves the sysctls before anything of the cluster changes them; teardown.sh restores them.

save_sysctls() {
  [ ! -e "$SAVED_SYSCTLS" ] || return 0
  local key
  for key in $SYSCTLS; do
    if [ -e "/proc/sys/$key" ]; then echo "$key $(cat "/proc/sys/$key")"; fi
  done >"$SAVED_SYSCTLS.new"
  mv "$SAVED_SYSCTLS.new" "$SAVED_SYSCTLS"
}

# The bridge's alias says whose it is: its state folder.
bridge_owner() {
  cat "/sys/class/net/$NAME/ifalias" 2>/dev/null
}

make_network() {
  ip link show "$NAME" >/dev/null 2>&1 || ip link add "$NAME" type bridge
  ip link set "$NAME" alias "$STATE"
  ip addr replace "$GATEWAY/24" dev "$NAME"
  ip link set "$NAME" up
  # The host reaches ClusterIPs even without a default route.
  ip route replace "$SERVICE_CIDR" dev "$NAME" src "$GATEWAY"
  echo 1 >/proc/sys/net/ipv4/ip_forward
  # A pod that reaches a pod on the same bridge through a Service needs this one.
  if [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables; fi
  guard_network
}

# The API server listens on every address; only the host itself and the pods get through to it and to the cluster's addresses.
guard_network() {
  nft -f - <<NFT
table inet $NAME
delete table inet $NAME
table inet $NAME {
  chain prerouting {
    type filter hook prerouting priority raw; policy accept;
    iifname { "lo", "$NAME" } accept
    tcp dport $API_PORT fib daddr type local drop
    ip daddr { $POD_CIDR, $SERVICE_CIDR } drop
  }
}
NFT
}

# A cgroup of its own as the root of all pods makes it exact which processes are containers of this cluster.
make_cgroups() {
  local root controller
  for root in $(cgroup_roots); do
    mkdir -p "$root/$NAME"
    if [ -e "$root/cgroup.controllers" ]; then
      tr ' ' '\n' <"$root/cgroup.controllers" | while read -r controller; do
        echo "+$controller" >"$root/cgroup.subtree_control" 2>/dev/null || true
      done
    fi
  done
}
