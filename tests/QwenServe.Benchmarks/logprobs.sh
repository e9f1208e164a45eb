#!/bin/bash
# The engine's log-probs on a GPU beside those of transformers, for the 0.5B and 7B geometries and small models with the family's other turns.
#
#     bash tests/QwenServe.Benchmarks/logprobs.sh BENCH OUT
#
# BENCH: the folder of qwenserve-bench.dll. OUT: takes logprobs.md and the logs. Wants python3 with torch, NumPy and transformers 5, and 20 GB in ${TMPDIR:-/tmp}.
# DEVICE=cpu and MODELS="small-moe yarn" narrow it. Exits with 1 when a bound is missed.
set -u
bench=$1 out=$2 here=$(cd "$(dirname "$0")" && pwd)
work=${TMPDIR:-/tmp}/qwenserve-logprobs device=${DEVICE:-cuda}
small="small-tied-64 small-untied-128 small-f16 small-window small-moe small-moe-mixed"
fixtures="dense-untied-128 yarn dense-tied-64 dense-f16 yarn-old-spelling sliding-window moe moe-mixed"
models=${MODELS:-0.5b 7b $small $fixtures}
mkdir -p "$work" "$out"
export HF_HUB_OFFLINE=1

# 32 prompts that are longer than what is decoded of them, counting a fixture's own, and some that are not.
some=25,31,32,33,40,47,48,49,57,63,64,65,66,80,90,96,97,111,112,113,120,127,128,129,130,131,144,159
many=2,3,9,16,17,$some,200,257,511,1500

checkpoint() {
    local geometry=$1 type=bf16
    if [ "$1" = small-f16 ]; then geometry=small-tied-64 type=f16; fi
    dotnet "$bench/qwenserve-bench.dll" random-checkpoint --geometry "$geometry" --type "$type" --out "$work/$1"
}

compute() {
    local begun=$SECONDS name=$1
    shift
    timeout 300 dotnet "$bench/qwenserve-bench.dll" logprobs --device "$device" --out "$work/run-$name" "$@" >"$out/logprobs-$name.log" 2>&1
    echo "$name: $? after $((SECONDS - begun)) s"
    tail -n 1 "$out/logprobs-$name.log"
}

one() {
    local name=$1 prompts=$here/../QwenServe.Tests/Fixtures/$1
    if [ -d "$prompts" ]; then
        compute "$name" --model "$prompts" --ids "$prompts/tokens.json" --lengths "2,9,$some,150,155,160"
    else
        [ -e "$work/$name/model.safetensors" ] || checkpoint "$name"
        compute "$name" --model "$work/$name" --lengths "$many"
    fi
}

wanted() { case " $models " in *" $1 "*) return 0 ;; *) return 1 ;; esac }

rm -rf "$work"/run-*
writing=
for name in 0.5b 7b; do
    if wanted $name && ! [ -e "$work/$name/written" ]; then
        { checkpoint $name && touch "$work/$name/written"; } &
        writing="$writing $!"
    fi
done
running=
for name in $small $fixtures; do
    wanted "$name" || continue
    one "$name" &
    running="$running $!"
    # The first compiles the kernels that all share.
    [ "$running" = " $!" ] && wait "$!"
    sleep 0.2
done
for job in $running $writing; do wait "$job"; done
for name in 0.5b 7b; do wanted $name && compute $name --model "$work/$name" --lengths "$many"; done

runs=
for name in $models; do [ -e "$work/run-$name/run.json" ] && runs="$runs $work/run-$name" || { echo "$name: no figures"; missing=1; }; done
begun=$SECONDS
python3 "$here/logprobs.py" --device "$device" --out "$out/logprobs.md" $runs >"$out/logprobs-compare.log" 2>&1
kept=$?
cat "$out/logprobs.md"
echo "compared in $((SECONDS - begun)) s, all of it took $SECONDS s"
[ "$kept" = 0 ] && [ -z "${missing:-}" ]
