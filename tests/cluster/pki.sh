# shellcheck shell=bash disable=SC2153,SC2154
# The cluster's certificate authority, certificates and kubeconfig files, made once per state folder.
# Sourced after paths.sh; writes only under $STATE.

pki=$STATE/pki

# certificate NAME SUBJECT [NAMES]: a key and a certificate for client and server use.
certificate() {
  local name=$1 subject=$2 alternatives=${3:-}
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$pki/$name.key" -subj "$subject" -out "$pki/$name.csr" 2>/dev/null
  # Python 3.13 and newer refuse a leaf without both key identifiers.
  {
    [ -z "$alternatives" ] || echo "subjectAltName=$alternatives"
    echo basicConstraints=critical,CA:FALSE
    echo keyUsage=critical,digitalSignature
    echo extendedKeyUsage=clientAuth,serverAuth
    echo subjectKeyIdentifier=hash
    echo authorityKeyIdentifier=keyid
  } >"$pki/$name.ext"
  openssl x509 -req -in "$pki/$name.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 3650 \
    -extfile "$pki/$name.ext" -out "$pki/$name.crt" 2>/dev/null
  rm "$pki/$name.csr" "$pki/$name.ext"
}

# kubeconfig NAME: $STATE/NAME.conf with that certificate.
kubeconfig() {
  local name=$1
  (
    umask 077
    cat >"$STATE/$name.conf" <<YAML
apiVersion: v1
kind: Config
clusters:
  - name: $NAME
    cluster:
      server: $API
      certificate-authority-data: $(base64 -w0 "$pki/ca.crt")
users:
  - name: $name
    user:
      client-certificate-data: $(base64 -w0 "$pki/$name.crt")
      client-key-data: $(base64 -w0 "$pki/$name.key")
contexts:
  - name: $NAME
    context: {cluster: $NAME, user: $name}
current-context: $NAME
YAML
  )
}

# The whole set or nothing: a half-made one of a killed run is made anew.
make_pki() {
  [ ! -e "$pki/complete" ] || return 0
  rm -rf "$pki"
  (umask 077 && mkdir -p "$pki")
  # Python 3.13 and newer refuse an authority without keyUsage.
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$pki/ca.key" -subj "/CN=$NAME-ca" -days 3650 \
    -addext keyUsage=critical,keyCertSign,cRLSign -out "$pki/ca.crt" 2>/dev/null
  openssl ecparam -genkey -name prime256v1 -noout -out "$pki/sa.key"
  openssl ec -in "$pki/sa.key" -pubout -out "$pki/sa.pub" 2>/dev/null

  local api_names="IP:$GATEWAY,IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default"
  api_names+=",DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
  certificate apiserver /CN=kube-apiserver "$api_names"
  certificate kubelet-server "/CN=$NODE" "DNS:$NODE,IP:$GATEWAY"
  certificate front-proxy /CN=front-proxy
  certificate admin /O=system:masters/CN=admin
  certificate controller-manager /CN=system:kube-controller-manager
  certificate scheduler /CN=system:kube-scheduler
  certificate kubelet "/O=system:nodes/CN=system:node:$NODE"
  certificate proxy /CN=system:kube-proxy
  certificate coredns /CN=system:coredns
  local name
  for name in admin controller-manager scheduler kubelet proxy coredns; do kubeconfig "$name"; done
  touch "$pki/complete"
}
