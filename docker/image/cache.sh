# Where images are kept and how a build shows what it does. Sourced by the scripts in docker/;
# defines functions and paths only. Writes nowhere but under $cache (and never in the checkout).
# shellcheck shell=bash disable=SC2034

cache="${XDG_CACHE_HOME:-$HOME/.cache}/av1-operator/images"
repo="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
storage="$cache/storage"
registry=av1-operator.local
mkdir -p "$cache/logs"

say() { printf '%s\n' "$*"; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# step NAME COMMAND...: runs it with its output in a log, prints one line with the time it took,
# and the end of the log if it failed. Never call it in a condition: there a shell overlooks the
# failures inside.
step() {
  local name=$1 log start=$EPOCHREALTIME code
  shift
  log="$cache/logs/${name// /-}.log"
  printf '%-34s' "$name"
  set +e
  (set -e; "$@") >"$log" 2>&1 </dev/null
  code=$?
  set -e
  if [ "$code" -eq 0 ]; then
    LC_ALL=C awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%7.1f s\n", b - a }'
  else
    printf ' failed, the end of %s:\n' "$log"
    tail -n 25 "$log" >&2
    exit 1
  fi
}

# Hash of what is read from stdin, short enough for a name.
key() { sha256sum | cut -c1-16; }

# buildah with its images in the cache and nowhere else.
build_ah() {
  command buildah --root "$storage/root" --runroot "$storage/run" --storage-driver "$(driver)" "$@"
}

# overlay shares layers; vfs, for kernels or file systems without it, copies them.
driver() {
  [ -e "$storage/driver" ] && cat "$storage/driver" && return
  local probe="$storage/probe" found=vfs
  mkdir -p "$probe"/{lower,upper,work,merged}
  if mount -t overlay overlay -o "lowerdir=$probe/lower,upperdir=$probe/upper,workdir=$probe/work" \
    "$probe/merged" 2>/dev/null; then
    umount "$probe/merged"
    found=overlay
  fi
  rm -rf "$probe"
  echo "$found" | tee "$storage/driver"
}

# need COMMAND=PACKAGE...: installs by apt the packages whose command is not there.
need() {
  local pair missing=()
  for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
  done
  [ ${#missing[@]} -eq 0 ] && return
  [ "$(id -u)" -eq 0 ] || die "missing: ${missing[*]}. Install them, or run this as root."
  step "apt install ${missing[*]}" install_packages "${missing[@]}"
}

install_packages() {
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "$@"
}
