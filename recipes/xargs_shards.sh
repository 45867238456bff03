#!/usr/bin/env bash
# Evaluates in several processes of one machine, and joins their shards:
#
#     recipes/xargs_shards.sh PROCESSES OUTPUT MODEL... --data DATA [options of rankscope evaluate]
#     recipes/xargs_shards.sh 4 runs/mine facebook/opt-125m --data dolly-15k --limit 5000
#
# Each process loads its own copy of a model, on a GPU of its own where there are as many. Without GPUs each gets its
# share of the cores. The same command again measures what is missing.
set -euo pipefail
if [ $# -lt 4 ]; then
    sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
processes=$1 output=$2
shift 2

gpus=$( (nvidia-smi --list-gpus 2>/dev/null || true) | wc -l)
if [ "$gpus" -eq 0 ]; then
    cores=$(nproc)
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((cores > processes ? cores / processes : 1))}
fi

shard() {
    number=$1 count=$2 gpus=$3
    shift 3
    if [ "$gpus" -gt 0 ]; then
        export CUDA_VISIBLE_DEVICES=$((number % gpus))
    fi
    exec rankscope evaluate "$@" --shard "$number/$count"
}
export -f shard

seq 0 $((processes - 1)) |
    xargs -P "$processes" -I SHARD bash -c 'shard "$@"' shard SHARD "$processes" "$gpus" "$@" --output "$output"
rankscope merge "$output" --output "$output"
