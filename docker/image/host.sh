# What the build borrows from this host to reach the registries, and the proof that none of it stays.
# Sourced by the scripts in docker/. Reads the host's settings; writes only into the folder it is given.
# The settings go into build steps as secrets, never into a layer.
# shellcheck shell=bash disable=SC2154 # what cache.sh sets

# borrow FOLDER: puts the settings this host has into FOLDER as ca, apt, pip, cargo.
borrow() {
  local folder=$1 file
  for file in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt; do
    [ -s "$file" ] && cp "$file" "$folder/ca" && break
  done
  for file in "${PIP_CONFIG_FILE:-}" "${XDG_CONFIG_HOME:-$HOME/.config}/pip/pip.conf" /etc/pip.conf; do
    [ -s "$file" ] && cp "$file" "$folder/pip" && break
  done
  for file in "${CARGO_HOME:-$HOME/.cargo}/config.toml" "${CARGO_HOME:-$HOME/.cargo}/config"; do
    [ -s "$file" ] && cp "$file" "$folder/cargo" && break
  done
  apt_settings >"$folder/apt"
}

# with_settings COMMAND...: runs it with a folder of borrowed settings as its last argument, which is
# removed afterwards in any case.
with_settings() {
  borrowed=$(mktemp -d "$cache/borrowed.XXXXXX")
  trap 'rm -rf "$borrowed"' EXIT
  borrow "$borrowed"
  "$@" "$borrowed"
  rm -rf "$borrowed"
  trap - EXIT
}

# Proxies, time limits and date checks of the host's apt: a build inside has no other way to know them.
apt_settings() {
  command -v apt-config >/dev/null || return 0
  apt-config dump --no-empty --format '%F "%v";%n' |
    grep -E '^Acquire::(https?::.*|Check-Valid-Until|Check-Date|Retries|ForceIPv[46]) ' || true
}

# secrets FOLDER: the arguments that hand them to a build, one a line.
secrets() {
  local name
  for name in ca apt pip cargo; do
    [ -s "$1/$name" ] && printf '%s\n' "--secret=id=$name,src=$1/$name"
  done
  return 0
}

# check_traces ROOT FOLDER: fails, naming each, if anything borrowed is found under ROOT.
check_traces() {
  local root=$1 borrowed=$2 found=0 path
  for path in etc/pip.conf root/.pip root/.config root/.cargo root/.cache run/secrets/ca \
    etc/apt/apt.conf etc/apt/apt.conf.d/99mmdebstrap var/lib/apt/lists/lock; do
    [ -e "$root/$path" ] && say "trace of the build: /$path" && found=1
  done
  for path in etc/resolv.conf etc/hosts etc/hostname; do
    [ -s "$root/$path" ] && say "trace of the build: /$path is not empty" && found=1
  done
  host_lines "$root" "$borrowed" >"$borrowed/lines"
  if [ -s "$borrowed/lines" ] &&
    grep -rlFf "$borrowed/lines" --devices=skip "$root" 2>/dev/null; then
    say "trace of the build: the files above hold settings of this host"
    found=1
  fi
  say "looked for $(wc -l <"$borrowed/lines") lines of this host's settings"
  return $found
}

# host_lines ROOT FOLDER: lines by which the host's own settings can be known: its name servers, every
# setting of pip and cargo, and of each certificate that Debian does not ship one line.
host_lines() {
  local root=$1 borrowed=$2
  awk '$1 == "nameserver" && $2 !~ /^127\./ { print "nameserver " $2 }' /etc/resolv.conf
  cat "$borrowed/pip" "$borrowed/cargo" 2>/dev/null | grep -E '=.{6,}' || true
  [ -s "$borrowed/ca" ] || return 0
  cat "$root"/usr/share/ca-certificates/mozilla/*.crt 2>/dev/null | certificate_lines | sort -u >"$borrowed/known"
  certificate_lines <"$borrowed/ca" | sort -u | comm -23 - "$borrowed/known"
}

# The fourth line of each certificate in a bundle: past the names that certificates share.
certificate_lines() { awk '/BEGIN CERTIFICATE/ { n = 0 } { if (++n == 5) print }'; }
