# shellcheck shell=bash
# Shared by the scripts: where things are, what is said, and how something is installed once.
# Progress goes to stderr, so that stdout carries only a script's result (the path of a binary, for example).

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/promql-tenancy-filter
# shellcheck source=scripts/versions.env
source "$root/scripts/versions.env"

# Set here for every cargo that a script calls, so that they agree from whatever folder they are called.
CARGO_TARGET_DIR=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
export CARGO_TARGET_DIR

say() { printf '==> %s\n' "$*" >&2; }

# die MESSAGE: one line that says what is missing and what to do.
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# need COMMAND PACKAGE...: the Debian packages are installed where COMMAND is missing.
need() {
    command -v "$1" >/dev/null || {
        say "$1 is missing"
        apt_install "${@:2}"
    }
}

# at_least VERSION OLDEST: dotted numbers, compared as numbers.
at_least() { [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }

# quietly LABEL COMMAND...: runs a command that talks much; shows its output only when it fails.
quietly() {
    local label=$1 log status=0
    shift
    log=$(mktemp)
    "$@" >"$log" 2>&1 || status=$?
    if ((status != 0)); then tail -n 40 "$log" >&2; fi
    rm -f "$log"
    ((status == 0)) || die "$label failed (its last lines are above)"
}

# install_once NAME FILE COMMAND...: prints the path of FILE in the folder NAME of the cache. Where it is not there
# yet, COMMAND is run with an empty folder as its last argument, and has to put FILE into it. The folder gets its name
# only when that is done, and a lock makes a second installer wait instead of doing the same.
install_once() {
    local name=$1 file=$2 lock staging
    shift 2
    if [[ ! -x $cache/$name/$file ]]; then
        need flock util-linux
        mkdir -p "$cache" || die "can't write to $cache: set XDG_CACHE_HOME to a folder that can be written"
        exec {lock}>"$cache/.$name.lock"
        flock "$lock"
        if [[ ! -x $cache/$name/$file ]]; then
            staging=$cache/.$name.partial
            rm -rf "$staging" "${cache:?}/$name"
            mkdir "$staging"
            "$@" "$staging" >&2 {lock}>&-
            [[ -x $staging/$file ]] || die "installing $name did not give $file"
            mv "$staging" "$cache/$name"
        fi
        exec {lock}>&-
    fi
    printf '%s\n' "$cache/$name/$file"
}

# pip_install [OPTION...] REQUIREMENT FOLDER: a package from PyPI, without its dependencies, outside of any environment.
# --target needs no venv module, which Debian packages separately, and is allowed where the system's Python is managed.
pip_install() {
    local requirement=${*: -2:1} folder=${*: -1} options=("${@:1:$#-2}")
    need python3 python3
    if ! python3 -m pip --version >/dev/null 2>&1; then apt_install python3-pip; fi
    say "downloading $requirement from PyPI"
    quietly "pip install $requirement" python3 -m pip install --no-input --no-deps --only-binary :all: --no-compile \
        --disable-pip-version-check --root-user-action ignore "${options[@]}" --target "$folder" "$requirement"
}

# npm_of_node [NODE]: sets the array `npm` to the command for the npm of this Node, or of the one that scripts/install-node prints. The
# Node from PyPI has npm, but no command for it that works.
# shellcheck disable=SC2034 # who calls it uses it
npm_of_node() {
    local node=${1:-} cli
    [[ -n $node ]] || node=$("$root/scripts/install-node")
    prefer "$node"
    cli=${node%/*}/../lib/node_modules/npm/bin/npm-cli.js
    if [[ -f $cli ]]; then npm=("$node" "$cli"); else npm=(npm); fi
}

# apt_install PACKAGE...: only as root, and never by sudo: nobody wants a build script to do that.
apt_install() {
    command -v apt-get >/dev/null || die "missing: $*; install what your system calls these Debian packages"
    [[ $(id -u) == 0 ]] || die "missing: run 'sudo apt-get install $*', then this again"
    say "installing $* with apt-get"
    export DEBIAN_FRONTEND=noninteractive
    quietly "apt-get update" apt-get update
    quietly "apt-get install $*" apt-get install --yes --no-install-recommends --no-remove "$@"
}

# installed PACKAGE...: whether all of these Debian packages are.
installed() {
    (($(dpkg-query --show --showformat '${db:Status-Status}\n' "$@" 2>/dev/null | grep -cx installed) == $#))
}

need_rust() {
    command -v cargo >/dev/null || {
        local packages
        read -ra packages <<<"$DEBIAN_RUST_PACKAGES"
        say "cargo is missing: install Rust by https://rustup.rs, or use Debian's packages"
        apt_install "${packages[@]}"
    }
    # Procedural macros and tests are linked by it.
    need cc gcc libc6-dev
}

# prefer PROGRAM: puts its folder first on the PATH, unless the PATH leads to it as it is: in front, a folder like
# /usr/bin would hide other programs than this.
prefer() {
    [[ $(command -v "${1##*/}") == "$1" ]] || export PATH=${1%/*}:$PATH
}

# use_go OLDEST: puts a Go of at least that version first on the PATH.
use_go() {
    local go
    go=$("$root/scripts/install-go" "$1")
    unset GOROOT GOWORK
    export GOTOOLCHAIN=local
    prefer "$go"
}

# go_manifests: the go.mod of every Go program of this repository; go_of_tests: the Go that they need.
go_manifests() { find "$root/tests" -name go.mod; }
go_of_tests() { go_manifests | xargs --no-run-if-empty sed -n 's/^go //p' | sort -V | tail -n 1; }

# go_program NAME MODULE VERSION PACKAGE OLDEST_GO TAGS: prints the path of a program built from its Go module, with
# the checksums that Go's own database has for it.
go_program() { install_once "$1-$3${6:+-${6//,/-}}" "$1" go_build "$@"; }

go_build() {
    local name=$1 module=$2 version=$3 package=$4 tags=$6 folder=$7 manifest
    use_go "$5"
    unset GOFLAGS
    export CGO_ENABLED=0
    say "building $name $version from its Go module (a minute or more, once)"
    mkdir "$folder/src"
    cd "$folder/src" || die "can't enter $folder"
    printf 'module build\n' >go.mod
    manifest=$(go mod download -json "$module@$version" | sed -n 's/^.*"GoMod": "\(.*\)".*$/\1/p') ||
        die "Go can't download $module@$version: is its module proxy reachable?"
    # `go install module@version` refuses a module that has replace lines, so a module of our own repeats them.
    {
        printf 'module build\n\nrequire %s %s\n' "$module" "$version"
        sed -n '/^go /p' "$manifest"
        replacements "$manifest"
    } >go.mod
    quietly "go build $package" go build -mod=mod -trimpath -tags "$tags" -ldflags '-s -w' \
        -o "$folder/$name" "$package"
    cd "$root" || die "can't enter $root"
    rm -rf "$folder/src"
}

# replacements GO_MOD: its replace lines, each in the one-line form.
replacements() {
    awk '/^replace \(/ { block = 1; next }
         block && /^\)/ { block = 0 }
         block && /=>/ && !/^[ \t]*\/\// { print "replace", $0 }
         /^replace [^(]/ { print }' "$1"
}
