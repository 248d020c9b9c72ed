#!/bin/sh
# A stand-in for penstock-card in tests of the lab itself: all its ports are on one bridge, as of a plain switch.
set -e
# A real card's interfaces go with it; those of one that was killed are removed here.
ip link del brstand 2>/dev/null || true
for n in 1 2 3 4 5 6 7 8; do ip link del "p$n" 2>/dev/null || true; done
n=0
ip link add brstand type bridge forward_delay 0
ip link set brstand up
while [ $# -gt 0 ]; do
  if [ "$1" = --port ]; then
    name=${2##*:}
    n=$((n + 1))
    ip link add "$name" type veth peer name "p$n"
    ip link set "p$n" master brstand up
    ip link set "$name" up
    shift
  fi
  shift
done
echo ready
exec sleep 100000
