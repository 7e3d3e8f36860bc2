# shellcheck shell=bash
# The configuration files of containerd, its network plugins, kubelet and CoreDNS.
# Sourced after paths.sh; writes only under $STATE, and the same files each time.

write_config() {
  mkdir -p "$STATE"/{ctd,cni/conf,log,run,kubelet,helm}
  containerd_config
  cni_config
  kubelet_config
  audit_config
  coredns_config
}

containerd_config() {
  # Containers must not inherit the one CPU that containerd itself is held to: the kernel keeps such a wish across cpusets.
  local runc
  runc=$(command -v runc)
  cat >"$STATE/ctd/runc-on-all-cpus" <<SH
#!/bin/sh
exec taskset -c 0-$((CPUS - 1)) $runc "\$@"
SH
  chmod 755 "$STATE/ctd/runc-on-all-cpus"
  cat >"$STATE/ctd/config.toml" <<TOML
version = 3
root = '$STATE/ctd/root'
state = '$STATE/ctd/state'
[grpc]
address = '$CONTAINERD_SOCKET'
[plugins.'io.containerd.internal.v1.opt']
path = '$STATE/ctd/opt'
[plugins.'io.containerd.nri.v1.nri']
disable = true
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = '$PAUSE_IMAGE'
[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = true
disable_hugetlb_controller = true
tolerate_missing_hugetlb_controller = true
netns_mounts_under_state_dir = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ['/usr/lib/cni']
conf_dir = '$STATE/cni/conf'
use_internal_loopback = true
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
BinaryName = '$STATE/ctd/runc-on-all-cpus'
SystemdCgroup = false
Root = '$STATE/ctd/runc'
TOML
}

# No masquerade and no port mapping, so that no iptables chains come to be: pods reach the host and each other, not the outside.
cni_config() {
  cat >"$STATE/cni/conf/10-$NAME.conflist" <<JSON
{
  "cniVersion": "1.0.0",
  "name": "$NAME",
  "plugins": [{
    "type": "bridge", "bridge": "$NAME", "isGateway": true, "hairpinMode": true, "ipMasq": false,
    "ipam": {
      "type": "host-local", "dataDir": "$STATE/cni/ipam",
      "ranges": [[{"subnet": "$POD_CIDR"}]], "routes": [{"dst": "0.0.0.0/0"}]
    }
  }]
}
JSON
}

kubelet_config() {
  # One CPU alone can't be had whole: then there is nothing to reserve.
  local cpu_policy='cpuManagerPolicy: none'
  if [ "$CPUS" -ge 2 ]; then cpu_policy=$'cpuManagerPolicy: static\nreservedSystemCPUs: "0"'; fi
  : >"$STATE/resolv.conf" # empty: keeps the host's search domains out of pods
  cat >"$STATE/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $GATEWAY
healthzBindAddress: 127.0.0.1
failCgroupV1: false
failSwapOn: false
cgroupDriver: cgroupfs
cgroupRoot: /$NAME
cgroupsPerQOS: true
enforceNodeAllocatable: [pods]
$cpu_policy
containerRuntimeEndpoint: unix://$CONTAINERD_SOCKET
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $STATE/pki/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: $STATE/pki/kubelet-server.crt
tlsPrivateKeyFile: $STATE/pki/kubelet-server.key
clusterDomain: cluster.local
clusterDNS: [$GATEWAY]
resolvConf: $STATE/resolv.conf
makeIPTablesUtilChains: false
# At 100 nothing is collected: images here can't be pulled again.
imageGCHighThresholdPercent: 100
evictionHard:
  memory.available: 200Mi
  nodefs.available: 1%
  imagefs.available: 1%
podLogsDir: $STATE/pod-logs
volumePluginDir: $STATE/volumeplugins
oomScoreAdj: 0
YAML
}

# What controllers that users install ask for is recorded, without its content.
audit_config() {
  cat >"$STATE/audit.yaml" <<'YAML'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    userGroups: ["system:serviceaccounts:kube-system"]
  - level: Metadata
    userGroups: ["system:serviceaccounts"]
YAML
}

coredns_config() {
  cat >"$STATE/Corefile" <<COREFILE
cluster.local:53 in-addr.arpa:53 {
    bind $GATEWAY
    errors
    kubernetes cluster.local in-addr.arpa {
        kubeconfig $STATE/coredns.conf
        pods insecure
        ttl 5
    }
    cache 5
}
COREFILE
}

# What the servers that are not part of the API server's own bootstrap policy may do.
rbac() {
  cat <<'YAML'
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: node-proxier}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:node-proxier}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: system:kube-proxy}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: coredns}
rules:
  - {apiGroups: [""], resources: [services, pods, namespaces, endpoints], verbs: [list, watch]}
  - {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: coredns}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: coredns}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: system:coredns}]
YAML
}
