#!/bin/sh
# Measures the engine against OpenSSH and Packer, where they are installed, in one run, and prints ratios. A row is the
# fastest of several runs, the peers taking turns with the engine. Nothing here fails on a time.
set -eu
cd "$(dirname "$0")/.."
root=$(pwd)
CARGO=${CARGO:-cargo}
$CARGO build --quiet --release --locked -p fornax
fornax=$root/target/release/fornax
# Memory where there is enough: a disk would be measured in place of the programs.
place=${TMPDIR:-/tmp}
[ "$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)" -lt 6000000 ] 2>/dev/null || place=/dev/shm
work=$(mktemp -d -p "$place")
sshd_pid=""
trap '[ -z "$sshd_pid" ] || kill "$sshd_pid"; rm -rf "$work"' EXIT
cd "$work"
export FORNAX_STATE_DIR="$work/state" CHECKPOINT_DISABLE=1
export ARM_CLIENT_ID=11111111-2222-4333-8444-555555555555 ARM_CLIENT_SECRET=bench-secret
export ARM_TENANT_ID=$ARM_CLIENT_ID ARM_SUBSCRIPTION_ID=$ARM_CLIENT_ID

echo "machine: $(nproc) cores, $(uname -sr); rustc $(rustc --version | cut -d' ' -f2); $(ssh -V 2>&1 | cut -d, -f1)"
command -v packer >/dev/null && echo "peer: $(packer version | head -n 1)"
printf '%-39s %10s   %-22s %10s   %s\n' row "fornax ms" peer "peer ms" ratio

ms() { # COMMAND...: milliseconds of one run
    start=$(date +%s%N); "$@" >run.log 2>&1 || { cat run.log >&2; echo "bench: a run failed: $*" >&2; exit 1; }
    end=$(date +%s%N); echo $(((end - start) / 1000000))
}
less() { if [ -z "$1" ] || [ "$2" -lt "$1" ]; then echo "$2"; else echo "$1"; fi; }
compare() { # ROW ROUNDS OURS PEER-NAME PEER, the two commands as words of sh
    ours=""; peer=""
    for _ in $(seq "$2"); do
        ours=$(less "$ours" "$(ms sh -c "$3")")
        [ -z "$5" ] || peer=$(less "$peer" "$(ms sh -c "$5")")
    done
    ratio=-; [ -z "$peer" ] || ratio=$(awk "BEGIN { printf \"%.3f\", $ours / ($peer ? $peer : 1) }")
    printf '%-39s %10s   %-22s %10s   %s\n' "$1" "$ours" "$4" "${peer:--}" "$ratio"
}

# --- without a machine
sed '/_comment/d' "$root/examples/nginx/second.json" >azure.json
"$fornax" validate azure.json >/dev/null
packer_validate=""; command -v packer >/dev/null && packer_validate="packer validate azure.json"
compare "validate azure-arm, warm" 9 "$fornax validate azure.json" packer "$packer_validate"
compare "whole build, simulated, record" 5 "$fornax build --simulate --machine record azure.json" - ""

# --- templates of many sources: SOURCES LANGUAGE on standard output, each with what real ones have
many() {
    awk -v n="$1" -v language="$2" 'BEGIN {
        if (language == "json") {
            print "{\n  \"variables\": {\n    \"owner\": \"team\","
            for (i = 0; i < n; i++) printf "    \"size%d\": \"%d\",\n    \"path%d\": \"/tmp/{{user `owner`}}-%d\",\n", i, i, i, i
            print "    \"token\": \"not-a-real-token\"\n  },\n  \"sensitive-variables\": [\"token\"],\n  \"builders\": ["
            for (i = 0; i < n; i++) printf "    {\n      \"type\": \"file\",\n      \"name\": \"s%d\",\n      \"target\": \"{{user `path%d`}}/out\",\n      \"content\": \"{{user `size%d`}} {{build_name}} {{isotime}}\"\n    }%s\n", i, i, i, i < n - 1 ? "," : ""
            print "  ],\n  \"provisioners\": ["
            for (i = 0; i < n; i++) printf "    {\n      \"type\": \"shell-local\",\n      \"only\": [\"s%d\"],\n      \"environment_vars\": [\"SIZE={{user `size%d`}}\"],\n      \"inline\": [\n        \"echo {{build `ID`}}\",\n        \"echo {{user `path%d`}}\"\n      ]\n    }%s\n", i, i, i, i < n - 1 ? "," : ""
            print "  ],\n  \"post-processors\": [\"manifest\"]\n}"
            exit
        }
        print "variable \"token\" {\n  type      = string\n  sensitive = true\n  default   = \"not-a-real-token\"\n}\n"
        for (i = 0; i < n; i++) {
            printf "variable \"size%d\" {\n  type    = number\n  default = %d\n}\n\n", i, i
            printf "locals {\n  path%d = \"/tmp/${var.size%d}\"\n}\n\n", i, i
            printf "source \"file\" \"s%d\" {\n  target  = \"${local.path%d}/out\"\n  content = \"${upper(local.path%d)} {{ isotime }}\"\n}\n\n", i, i, i
            printf "build {\n  name    = \"b%d\"\n  sources = [\"source.file.s%d\"]\n\n", i, i
            printf "  provisioner \"shell-local\" {\n    environment_vars = [\"SIZE=${var.size%d}\"]\n    inline = [\n      \"echo ${build.ID} ${source.name}\",\n      \"echo ${local.path%d}\",\n    ]\n  }\n\n", i, i
            print "  post-processor \"manifest\" {}\n}\n"
        }
    }'
}
for n in 100 200 400 800; do
    many $n hcl >many$n.pkr.hcl; many $n json >many$n.json
    for file in many$n.pkr.hcl many$n.json; do
        "$fornax" validate $file >/dev/null
        compare "validate $n sources, $(wc -l <$file) lines, ${file##*.}" 5 "$fornax validate $file" - ""
    done
done

# --- against a real sshd on loopback
if [ ! -x /usr/sbin/sshd ] || ! command -v ssh >/dev/null; then
    echo "the rows over SSH need openssh-server and openssh-client"; exit 0
fi
mkdir -p home store; ssh-keygen -q -t ed25519 -N '' -f key; ssh-keygen -q -t ed25519 -N '' -f host
port=$(awk 'BEGIN { srand(); print 20000 + int(rand() * 20000) }')
# The login shell's own start-up files would be measured with every command otherwise.
cat >sshd.conf <<CONF
Port $port
ListenAddress 127.0.0.1
HostKey $work/host
AuthorizedKeysFile $work/key.pub
StrictModes no
UsePAM no
PidFile none
PermitRootLogin yes
Subsystem sftp internal-sftp
SetEnv HOME=$work/home
CONF
[ "$(id -u)" != 0 ] || mkdir -p /run/sshd
/usr/sbin/sshd -D -f "$work/sshd.conf" 2>sshd.log &
sshd_pid=$!
user=$(id -un)
ssh="ssh -q -p $port -i $work/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes"
for _ in $(seq 50); do $ssh "$user@127.0.0.1" true 2>/dev/null && break; sleep 0.1; done
mux="$ssh -o ControlPath=$work/mux"

template() { # FILE PROVISIONERS [extra builders]
    cat >"$1" <<JSON
{"builders": [{"type": "null", "ssh_host": "127.0.0.1", "ssh_port": $port, "ssh_username": "$user", "ssh_private_key_file": "$work/key"}],
 "provisioners": [$2]}
JSON
}
step='{"type": "shell", "inline": ["true"]}'
steps=$step; for _ in $(seq 29); do steps="$steps, $step"; done
template steps.json "$steps"
template lines.json '{"type": "shell", "inline": ["seq 100000"]}'
head -c 1073741824 /dev/urandom >big
template big.json "{\"type\": \"file\", \"source\": \"$work/big\", \"destination\": \"$work/store/big\"}"
mkdir many; for d in $(seq 100); do mkdir "many/$d"; for f in $(seq 100); do head -c 6000 big >"many/$d/$f"; done; done
template many.json "{\"type\": \"file\", \"source\": \"$work/many/\", \"destination\": \"$work/store/many\"}"

same="t=\$(mktemp); cat >\$t; chmod 755 \$t; \$t; rm \$t"
compare "30 shell provisioners" 5 "$fornax build steps.json" "ssh mux, the same" \
    "$mux -fNM $user@127.0.0.1; for i in \$(seq 30); do echo true | $mux $user@127.0.0.1 '$same' || exit 1; done; $mux -O exit $user@127.0.0.1"
compare "30 shell provisioners" 5 "$fornax build steps.json" "ssh mux, 30 x true" \
    "$mux -fNM $user@127.0.0.1; for i in \$(seq 30); do $mux $user@127.0.0.1 true || exit 1; done; $mux -O exit $user@127.0.0.1"
compare "100,000 lines" 5 "$fornax build lines.json" ssh "$ssh $user@127.0.0.1 seq 100000"
compare "upload 1 GiB" 5 "$fornax build big.json" "cat | ssh" "$ssh $user@127.0.0.1 'cat >$work/store/peer' <big"
compare "upload 10,000 files" 3 "$fornax build many.json" "tar | ssh tar" \
    "mkdir -p store/peers; tar -C many -cf - . | $ssh $user@127.0.0.1 'tar -xf - -C $work/store/peers'"
if command -v packer >/dev/null; then
    compare "30 shell provisioners" 2 "$fornax build steps.json" packer "packer build steps.json"
    compare "upload 1 GiB" 1 "$fornax build big.json" packer "packer build big.json"
fi

# --- many at once: nine more builders beside the first one
builders=""
for i in $(seq 10); do
    builders="$builders${builders:+, }{\"name\": \"b$i\", \"type\": \"null\", \"ssh_host\": \"127.0.0.1\", \"ssh_port\": $port, \"ssh_username\": \"$user\", \"ssh_private_key_file\": \"$work/key\"}"
done
sleep1='{"type": "shell", "inline": ["sleep 1"]}'
echo "{\"builders\": [$builders], \"provisioners\": [$sleep1, $sleep1, $sleep1]}" >ten.json
compare "10 builders x 3 sleep 1" 4 "$fornax build ten.json" "ideal" "sleep 3"
if [ -x /usr/bin/time ]; then
    for n in 100 200 400 800; do
        for file in many$n.pkr.hcl many$n.json; do
            /usr/bin/time -f %M -o rss "$fornax" validate $file >/dev/null 2>&1 && echo "peak memory of validate $file: $(($(cat rss) / 1024)) MiB"
        done
    done
    for name in validate build; do
        target=azure.json; [ $name = validate ] || target=ten.json
        /usr/bin/time -f %M -o rss "$fornax" $name $target >/dev/null 2>&1 && echo "peak memory of $name $target: $(($(cat rss) / 1024)) MiB"
    done
fi
