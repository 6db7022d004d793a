#!/bin/sh
# Builds mlv from this checkout and installs it. See usage() below.
set -eu

usage() {
    cat <<'EOF'
Build mlv from this checkout and install it

usage: ./install.sh [--to DIR] [--demo]

  --to DIR   install into DIR
             (default: $CARGO_HOME/bin if CARGO_HOME is set, else ~/.local/bin)
  --demo     then run `mlv demo` in a temporary folder
  --help     show this text

Needs git, a Rust toolchain and the C compiler that one links with; the demo also needs python3. Running it again
replaces the installed program. Nothing else is changed: to uninstall, delete the
file `mlv` from that folder.
EOF
}

main() {
    to=
    demo=no
    parse_arguments "$@"

    source=$(cd "$(dirname "$0")" && pwd -P)
    [ -f "$source/Cargo.toml" ] || err "no Cargo.toml beside install.sh: run it from a checkout"

    need_cmd git "install it with your package manager, e.g. apt-get install git"
    need_rust
    need_cmd "${CC:-cc}" "zstd is built with a C compiler, e.g. apt-get install build-essential"
    if [ "$demo" = yes ]; then
        need_cmd python3 "the demo's pipeline runs on it, e.g. apt-get install python3"
    fi
    [ -n "$to" ] || to=$(default_folder)

    say "building mlv (some minutes the first time)"
    target=${CARGO_TARGET_DIR:-$source/target}
    # A target triple from the user's environment would move the result elsewhere.
    (unset CARGO_BUILD_TARGET && cd "$source" &&
        cargo build --release --locked --bin mlv --target-dir "$target") ||
        err "the build failed: see above"
    put "$target/release/mlv"
    [ "$demo" = no ] || run_demo
}

parse_arguments() {
    while [ $# -gt 0 ]; do
        case "$1" in
        --to)
            [ $# -ge 2 ] && [ -n "$2" ] || err "--to needs a folder"
            to=$2
            shift
            ;;
        --to=?*) to=${1#--to=} ;;
        --demo) demo=yes ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) err "unknown argument \`$1\`: see ./install.sh --help" ;;
        esac
        shift
    done
}

# CARGO_HOME only where it is set: a folder that cargo would invent is in nobody's PATH.
default_folder() {
    if [ -n "${CARGO_HOME:-}" ]; then
        echo "$CARGO_HOME/bin"
    elif [ -n "${HOME:-}" ]; then
        echo "$HOME/.local/bin"
    else
        err "HOME is not set: say where to install with --to DIR"
    fi
}

need_rust() {
    need_cmd cargo "install Rust from https://rustup.rs"
    find_toolchains
    version=$(cd "$source" && rustc --version 2>/dev/null) ||
        err "\`rustc\` does not run" "rustup default stable"
    version=${version#rustc }
    version=${version%%[ -]*}
    wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$source/Cargo.toml")
    at_least "$version" "$wanted" ||
        err "rustc $version is too old: mlv needs $wanted or newer" "rustup update stable"
}

# With a HOME that is not the one Rust was installed under, rustup does not find its
# toolchains, although its programs are in PATH: they lie beside the folder of those.
find_toolchains() {
    [ -z "${RUSTUP_HOME:-}" ] || return 0
    cargo --version >/dev/null 2>&1 && return 0
    beside=$(dirname "$(dirname "$(dirname "$(command -v cargo)")")")/.rustup
    [ -d "$beside" ] || return 0
    RUSTUP_HOME=$beside
    export RUSTUP_HOME
}

# at_least VERSION WANTED: compares the first two numbers.
at_least() {
    major=${1%%.*} wanted_major=${2%%.*}
    minor=${1#*.} wanted_minor=${2#*.}
    minor=${minor%%.*} wanted_minor=${wanted_minor%%.*}
    [ "$major" -gt "$wanted_major" ] ||
        { [ "$major" -eq "$wanted_major" ] && [ "$minor" -ge "$wanted_minor" ]; }
}

# Copied under a name of its own, then renamed: an mlv that is running goes on with the old file.
put() {
    [ -f "$1" ] || err "the build left no program at $1"
    ensure mkdir -p "$to"
    to=$(cd "$to" && pwd -P)
    new=$to/.mlv.new.$$
    trap 'rm -f "$new"' EXIT
    ensure cp "$1" "$new"
    ensure chmod 755 "$new"
    ensure mv -f "$new" "$to/mlv"
    say "installed $("$to/mlv" --version) as $to/mlv"
    case ":${PATH:-}:" in
    *":$to:"*) ;;
    *) say "note: $to is not in PATH; add it: export PATH=\"$to:\$PATH\"" ;;
    esac
}

run_demo() {
    folder=$(mktemp -d "${TMPDIR:-/tmp}/mlv-demo.XXXXXX") || err "cannot make a temporary folder"
    "$to/mlv" demo "$folder/mlv-demo" || err "the demo failed; its files are in $folder/mlv-demo"
}

say() {
    printf '%s\n' "$*" >&2
}

# err MESSAGE [COMMAND]: COMMAND is what mends it.
err() {
    say "install.sh: error: $1"
    [ -z "${2:-}" ] || say "hint: $2"
    exit 1
}

need_cmd() {
    command -v "$1" >/dev/null 2>&1 || err "\`$1\` is not here" "$2"
}

ensure() {
    "$@" || err "command failed: $*"
}

main "$@"
