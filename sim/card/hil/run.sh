#!/bin/sh
# Hardware in the loop, without hardware: a Debian kernel in QEMU binds the simulated card to vfio-pci behind an emulated IOMMU, and the
# driver's conformance program runs in there through /dev/vfio. Exit code 0 only if it passed.
#
# QEMU >= 10.1 is needed for its device `vfio-user-pci`. It is unpacked into .tools/qemu from the next Debian release's backports, from the
# same mirror as the machine's own packages; the machine itself is not changed. Emulation is by TCG, so no /dev/kvm is needed.
set -eu

root=$(cd "$(dirname "$0")/../../.." && pwd)
tools=$root/.tools/qemu
work=$(mktemp -d)
card=
cleanup() {
  [ -z "$card" ] || kill "$card" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT INT TERM

mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/*.sources 2>/dev/null | head -1)
[ -n "$mirror" ] || mirror=$(sed -n 's/^deb *\(\[.*\]\)* *\([^ ]*\).*/\2/p' /etc/apt/sources.list | head -1)

setup() {
  rm -rf "$tools.new"
  mkdir -p "$tools.new/apt/state/lists/partial" "$tools.new/apt/cache/archives/partial" "$tools.new/root" "$tools.new/guest" "$tools.new/debs"
  key=/usr/share/keyrings/debian-archive-keyring.gpg
  for suite in trixie trixie-backports; do
    echo "deb [signed-by=$key] $mirror $suite main"
  done > "$tools.new/apt/sources.list"
  : > "$tools.new/apt/status"
  cat > "$tools.new/apt.conf" <<CONF
Dir::Etc::sourcelist "$tools.new/apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::State "$tools.new/apt/state";
Dir::State::status "$tools.new/apt/status";
Dir::Cache "$tools.new/apt/cache";
APT::Architectures {"amd64";};
APT::Sandbox::User "root";
CONF
  APT_CONFIG=$tools.new/apt.conf apt-get -qq update -o Acquire::Languages=none
  APT_CONFIG=$tools.new/apt.conf apt-get -qq install -y --no-install-recommends --download-only -t trixie-backports qemu-system-x86 > /dev/null
  for deb in "$tools.new"/apt/cache/archives/*.deb; do dpkg-deb -x "$deb" "$tools.new/root"; done
  kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: *\(linux-image-[0-9].*\)/\1/p' | head -1)
  (cd "$tools.new/debs" && apt-get -qq download "$kernel" busybox-static cpio 2>/dev/null)
  for deb in "$tools.new"/debs/*.deb; do dpkg-deb -x "$deb" "$tools.new/guest"; done
  rm -rf "$tools.new/apt" "$tools.new/debs" "$tools"
  mv "$tools.new" "$tools"
}

qemu() {
  QEMU_MODULE_DIR=$tools/root/usr/lib/x86_64-linux-gnu/qemu timeout 180 \
    "$tools/root/usr/lib64/ld-linux-x86-64.so.2" --library-path "$tools/root/usr/lib/x86_64-linux-gnu" \
    "$tools/root/usr/bin/qemu-system-x86_64" -L "$tools/root/usr/share/qemu" -L "$tools/root/usr/share/seabios" "$@"
}

[ -d "$tools" ] || setup
qemu -device vfio-user-pci,help > /dev/null || { echo "this QEMU has no vfio-user-pci; remove $tools and try again" >&2; exit 1; }

cd "$root"
cargo build --quiet -p penstock-card
cargo build --quiet -p penstock-device --example conformance
program=target/debug/examples/conformance

# The guest: busybox, the VFIO modules, the program and its libraries.
guest=$work/guest
modules=$(echo "$tools"/guest/lib/modules/*/kernel)
mkdir -p "$guest/bin" "$guest/m" "$guest/proc" "$guest/sys" "$guest/dev"
cp "$tools/guest/bin/busybox" "$guest/bin/"
for module in virt/lib/irqbypass drivers/vfio/vfio_virqfd drivers/vfio/vfio drivers/vfio/vfio_iommu_type1 drivers/vfio/pci/vfio-pci-core drivers/vfio/pci/vfio-pci; do
  cp "$modules/$module.ko" "$guest/m/"
done
cp "$program" "$guest/bin/conformance"
for library in $(ldd "$program" | grep -o '/[^ ]*'); do
  mkdir -p "$guest$(dirname "$library")"
  cp -L "$library" "$guest$library"
done
cat > "$guest/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in irqbypass vfio_virqfd vfio vfio_iommu_type1 vfio-pci-core vfio-pci; do insmod /m/$module.ko; done
function=0000:01:00.0
echo vfio-pci > /sys/bus/pci/devices/$function/driver_override
echo $function > /sys/bus/pci/drivers_probe
conformance pci:$function
poweroff -f
INIT
chmod +x "$guest/init"
(cd "$guest" && find . | "$tools/guest/bin/cpio" --quiet -o -H newc) | gzip -1 > "$work/initrd.gz"

target/debug/penstock-card --socket "$work/card.sock" > "$work/card.log" 2>&1 &
card=$!
for _ in $(seq 300); do
  grep -q ready "$work/card.log" && break
  sleep 0.1
done

# intel-iommu before the function; memory shared, or the card would write to other pages; caching-mode, or mapping is not seen.
qemu -M q35,accel=tcg,kernel-irqchip=split,memory-backend=mem -cpu max -smp 1 -m 512 \
  -object memory-backend-memfd,id=mem,size=512M,share=on \
  -nodefaults -display none -serial stdio -no-reboot \
  -device intel-iommu,intremap=on,caching-mode=on \
  -device pcie-root-port,id=rp1,chassis=1,slot=1 \
  -device "{\"driver\":\"vfio-user-pci\",\"bus\":\"rp1\",\"socket\":{\"path\":\"$work/card.sock\",\"type\":\"unix\"}}" \
  -kernel "$tools"/guest/boot/vmlinuz-* -initrd "$work/initrd.gz" \
  -append "console=ttyS0 panic=-1 quiet intel_iommu=on" < /dev/null > "$work/serial.log" 2>&1 || true
tr -d '\r' < "$work/serial.log" | sed -n 's/^\([a-z A-Z]*: \(ok\|FAIL\).*\|CONFORMANCE.*\)$/  \1/p'
if ! grep -q 'CONFORMANCE PASS' "$work/serial.log"; then
  tail -30 "$work/serial.log" >&2
  exit 1
fi
kill "$card"
wait "$card"
card=
echo "hardware in the loop: passed"
