#!/usr/bin/env bash
# Builds the wheel, installs it alone into an empty environment and lets it serve the demo, away from the checkout.
#
#   bash tests/packaging/wheel.sh [FOLDER FOR THE WHEEL]
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
goal=$((40 * 1000 * 1000))
# Missed since the default network is in it in int8 too, which takes 60 % of the time: not a byte more than that.
limit=$((42 * 1000 * 1000))
work=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill -KILL "$server" 2> /dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

"$python" -m venv "$work/env"
"$work/env/bin/python" -m pip wheel -qq --disable-pip-version-check --no-deps --wheel-dir "$work/dist" .
wheel=$(echo "$work"/dist/lookout_camera-*.whl)
bytes=$(stat -c %s "$wheel")
echo "$(basename "$wheel"): $(awk "BEGIN { printf \"%.1f\", $bytes / 1e6 }") MB (goal: at most $((goal / 1000000)) MB)"
[ "$bytes" -le $goal ] || echo "the wheel misses its goal"
[ "$bytes" -le $limit ] || { echo "the wheel is above its limit of $((limit / 1000000)) MB"; exit 1; }
listing=$("$work/env/bin/python" -m zipfile -l "$wheel")
for wanted in lookout/static/index.html lookout/systemd/install.sh lookout/models/cat-dog-lite0/fp32.onnx lookout/models/cat-dog-lite0/int8.onnx lookout/models/cat-dog-resnet18/card.json; do
    grep -q "^$wanted " <<< "$listing" || { echo "the wheel lacks $wanted"; exit 1; }
done
if grep -E '^(tests|models|static|service)/' <<< "$listing"; then echo "the wheel installs more than the package lookout"; exit 1; fi

"$work/env/bin/python" -m pip install -qq --disable-pip-version-check "$wheel"
if [ $# -gt 0 ]; then mkdir -p "$1" && cp "$wheel" "$1"; fi

# Away from the checkout, with a home of its own: what is found is what was installed.
mkdir "$work/home"
cd "$work/home"
clean=(env -i "HOME=$work/home" PATH=/usr/bin:/bin LANG=C.UTF-8)
"${clean[@]}" "$work/env/bin/lookout" --help > /dev/null
"${clean[@]}" "$work/env/bin/lookout" demo --server.port 0 > "$work/log" 2>&1 &
server=$!
address=
for _ in $(seq 120); do
    address=$(grep -oE 'http://127\.0\.0\.1:[0-9]+/' "$work/log" | head -1 || true)
    [ -z "$address" ] || break
    kill -0 $server 2> /dev/null || break
    sleep 0.5
done
[ -n "$address" ] || { cat "$work/log"; echo "the demo named no address"; exit 1; }
state=
for _ in $(seq 60); do
    state=$(curl -sf -m 5 "${address}api/state" || true)
    case $state in *'"status":"ok"'*) break ;; esac
    sleep 0.5
done
case $state in
    *'"status":"ok"'*) echo "the demo answers: $(head -c 160 <<< "$state") ..." ;;
    *) cat "$work/log"; echo "no answer: ${state:-nothing}"; exit 1 ;;
esac
page=$(curl -sf -m 5 "$address")
grep -qi '<title' <<< "$page" || { echo "no dashboard"; exit 1; }
# Every file that the page names comes from the wheel.
grep -oE '(src|href)="[^"#:]+"' <<< "$page" | cut -d'"' -f2 | while read -r file; do
    curl -sf -m 5 -o /dev/null "$address$file" || { echo "the page names $file, which is not served"; exit 1; }
done

began=$(date +%s%N)
kill -TERM $server
code=0
wait $server || code=$?
server=
took=$(($(($(date +%s%N) - began)) / 1000000))
echo "stopped $took ms after SIGTERM, exit status $code"
[ $code = 0 ] && [ $took -lt 5000 ]
echo "wheel ok"
