# shellcheck shell=bash disable=SC2153,SC2154
# Starts the servers with their flags and waits until they answer. A server that lives is left alone.
# Sourced after paths.sh; $STATE must hold the certificates and the configuration already.

# start SERVER ARGUMENTS...: in a session of its own, with its output in $STATE/log/SERVER.log.
start() {
  local server=$1
  shift
  ! server_pid "$server" >/dev/null || return 0
  setsid "${on_reserved_cpu[@]}" "$BIN/$server" "$@" >>"$STATE/log/$server.log" 2>&1 </dev/null 9>&- &
  echo $! >"$STATE/run/$server.pid"
}

# await SERVER COMMAND...: until the command succeeds; the end of the server's log if it dies meanwhile.
await() {
  local server=$1 end=$((SECONDS + 120))
  shift
  until "$@" >/dev/null 2>&1; do
    if ! server_pid "$server" >/dev/null; then
      tail -n 15 "$STATE/log/$server.log" >&2
      fail "$server ended; its log is $STATE/log/$server.log. If its data are damaged: tests/cluster/down, and up again"
    fi
    [ $SECONDS -lt $end ] || fail "$server does not answer after 120 s; its log is $STATE/log/$server.log"
    sleep 0.1
  done
}

start_etcd() {
  start etcd --data-dir "$STATE/etcd" --unsafe-no-fsync --auto-compaction-retention=1h \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
}

start_apiserver() {
  local pki=$STATE/pki
  start kube-apiserver --etcd-servers=http://127.0.0.1:2379 --allow-privileged \
    --bind-address=0.0.0.0 --secure-port="$API_PORT" --advertise-address="$GATEWAY" --service-cluster-ip-range="$SERVICE_CIDR" \
    --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" --client-ca-file="$pki/ca.crt" \
    --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file="$pki/sa.pub" --service-account-signing-key-file="$pki/sa.key" \
    --audit-policy-file="$STATE/audit.yaml" --audit-log-path="$STATE/log/audit.log" \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --kubelet-certificate-authority="$pki/ca.crt" --kubelet-client-certificate="$pki/admin.crt" \
    --kubelet-client-key="$pki/admin.key" --kubelet-preferred-address-types=InternalIP \
    --requestheader-client-ca-file="$pki/ca.crt" --requestheader-allowed-names=front-proxy \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --proxy-client-cert-file="$pki/front-proxy.crt" --proxy-client-key-file="$pki/front-proxy.key"
}

start_containerd() {
  start containerd --config "$STATE/ctd/config.toml"
}

start_controllers() {
  local pki=$STATE/pki conf=$STATE/controller-manager.conf
  # The default limit of 20 requests a second would be the brake of a thousand Jobs.
  start kube-controller-manager --kubeconfig="$conf" --authentication-kubeconfig="$conf" --authorization-kubeconfig="$conf" \
    --service-account-private-key-file="$pki/sa.key" --root-ca-file="$pki/ca.crt" --use-service-account-credentials \
    --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
    --leader-elect=false --bind-address=127.0.0.1 --flex-volume-plugin-dir="$STATE/volumeplugins" \
    --kube-api-qps=500 --kube-api-burst=1000 --concurrent-job-syncs=20
  conf=$STATE/scheduler.conf
  start kube-scheduler --kubeconfig="$conf" --authentication-kubeconfig="$conf" --authorization-kubeconfig="$conf" \
    --leader-elect=false --bind-address=127.0.0.1 --kube-api-qps=500 --kube-api-burst=1000
}

start_node() {
  start kubelet --config="$STATE/kubelet.yaml" --kubeconfig="$STATE/kubelet.conf" \
    --hostname-override="$NODE" --node-ip="$GATEWAY" --root-dir="$STATE/kubelet"
  start kube-proxy --kubeconfig="$STATE/proxy.conf" --proxy-mode=nftables --hostname-override="$NODE" \
    --cluster-cidr="$POD_CIDR" --nodeport-addresses="$GATEWAY/32" \
    --healthz-bind-address=127.0.0.1:10256 --metrics-bind-address=127.0.0.1:10249 \
    --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0s --conntrack-tcp-timeout-close-wait=0s
  start coredns -conf "$STATE/Corefile"
}

SERVERS='etcd kube-apiserver containerd kube-controller-manager kube-scheduler kubelet kube-proxy coredns'

every_server_lives() {
  local server
  for server in $SERVERS; do server_pid "$server" >/dev/null || return 1; done
}

api_ready() { curl -sf --max-time 5 --cacert "$STATE/pki/ca.crt" "$API/readyz"; }
containerd_ready() { ctr_here version; }
kubelet_healthy() { curl -sf --max-time 5 http://127.0.0.1:10248/healthz; }
node_ready() {
  [ "$(kubectl_here get node "$NODE" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" = True ]
}
default_account_exists() { kubectl_here -n default get serviceaccount default; }

kubectl_here() { "$BIN/kubectl" --kubeconfig "$ADMIN_CONF" --request-timeout=10s "$@"; }
ctr_here() { CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS=1 "$BIN/ctr" --address "$CONTAINERD_SOCKET" --namespace k8s.io "$@"; }
