#!/usr/bin/env bash
# display.sh [BUILD [SECONDS]] - displays as people and hostile programs have them: VNC by a client of LibVNCClient's, curses
# by tmux; a typed session, recorded, replays in every mode, watched or not; SECONDS (default 3) of VNC clients that send anything.
set -u
. "$(dirname "$0")/lib.sh"
build=$(realpath "${1:-build}")
seconds=${2:-3}
dir=$(mktemp -d)
client=$build/tests/display/vnc_client
socket=$dir/vnc
trap 'kill $(jobs -p) 2>/dev/null; tm kill-server 2>/dev/null; rm -rf "$dir"' EXIT

# Every wait in here ends when what it waits for is there; its limit is for a host that is busy with other things and sanitizers in the code.
menu=(-m 32 -serial null -boot "menu=on,splash-time=65000" -no-reboot)
limit=600 # seconds that a machine runs at most

launch() { # option...: puts the machine's process number into pid
    rm -f "$socket"
    timeout "$limit" "$build/tandem" "${menu[@]}" "$@" </dev/null >"$dir/out" 2>"$dir/err" &
    pid=$!
}

start() { # option...: and waits until its socket is there
    launch "$@"
    for _ in {1..2000}; do
        [ -S "$socket" ] && return
        sleep 0.1
    done
}

vnc() { timeout 200 "$client" "$@"; }

finish() { # ends it, and waits
    kill -TERM "$pid" 2>/dev/null
    wait "$pid"
}

# --- a session is typed, with a client that watches, one that stops reading and one that talks nonsense ---
shows() { # text: is on the guest's screen, as its monitor has it
    for _ in {1..2000}; do
        echo "screendump $dir/now" | socat -t 5 - "unix:$dir/monitor" >/dev/null 2>&1
        grep -q "$1" "$dir/now" && return
        sleep 0.1
    done
    cat "$dir/now"
    return 1
}
until=(-screendump-at "62500000,file=$dir/NAME.half" -screendump-at "end,file=$dir/NAME.end")
session() { # start|launch name option...
    local how=$1 name=$2
    shift 2
    "$how" "${until[@]//NAME/$name}" -digest "file=$dir/$name.digest,every=10000000" "$@"
}
session start record -vnc "unix:$socket" -monitor "unix:$dir/monitor,server=on,wait=off" -icount "shift=3,rr=record,rrfile=$dir/log"
vnc "$socket" stall:3000 2>/dev/null &
"$build/tests/display/vnc_hostile" "$socket" 1 7 >/dev/null &
expect "the guest waits for a key" shows "Press ESC for boot menu"
expect "a client sees and types" vnc "$socket" until:720x400 wait:1500 "save:$dir/before.ppm" key:ff1b pointer:10,10,0 pointer:700,300,1 wait:1500 "save:$dir/after.ppm"
expect "the guest answers" shows "Select boot device"
finish
ended=$(awk '$2 == "end" { print $1 }' "$dir/log")
expect "the run ends when it is told to" grep -q "ended by a signal at tick $ended " "$dir/err"
expect "what was typed arrived" grep -q "Select boot device" "$dir/record.end"
expect "the picture has its size" grep -qaE '^720 400$' "$dir/after.ppm"

until+=(-until "tick=$ended")
replayed() { # name option...
    local name=$1
    session launch "$@" -icount "shift=3,sleep=off,rr=replay,rrfile=$dir/log"
    wait "$pid"
    expect "replay, $name: it gets to the end of the recording" grep -q "the tick of -until" "$dir/err"
    expect "replay, $name: one digest" cmp "$dir/record.digest" "$dir/$name.digest"
    expect "replay, $name: the same screen at half time" cmp "$dir/record.half" "$dir/$name.half"
    expect "replay, $name: the same screen at the end" cmp "$dir/record.end" "$dir/$name.end"
}
for mode in inline thread adaptive; do
    replayed "$mode" -devthread "mode=$mode"
    (while sleep 0.05; do vnc "$socket" wait:200 down:61 up:61; done) >/dev/null 2>&1 &
    watcher=$!
    replayed "$mode-watched" -devthread "mode=$mode" -vnc "unix:$socket"
    kill $watcher
done

# --- several at once; QMP tells who watches ---
port=$((5920 + RANDOM % 70))
launch -vnc "127.0.0.1:$((port - 5900))" -qmp "unix:$dir/qmp,server=on,wait=off"
sleep 0.5
watched() { # how many, sooner or later
    local clients
    for _ in {1..100}; do
        clients=$(printf '{"execute":"qmp_capabilities"}\n{"execute":"query-vnc"}\n' | socat -t 2 - "unix:$dir/qmp" |
            grep -o '"clients".*' | grep -o '"host": "127.0.0.1"[^}]*"family": "ipv4"\|"clients"' | sort -u | wc -l)
        [ "$clients" -eq $(($1 + 1)) ] && return # and the list itself
    done
    echo "$((clients - 1)) watch"
    return 1
}
expect "nobody watches" watched 0
"$client" "localhost:$port" wait:600000 &
one=$!
"$client" "localhost:$port" wait:600000 &
two=$!
expect "two watch" watched 2
expect "a third one has its pictures" vnc "localhost:$port" frames:500
kill $one
wait $one
expect "the first one leaves content" test $? = 0
expect "and one is left" watched 1
kill $two
expect "and none" watched 0
finish

echo secret >"$dir/password"
launch -vnc "127.0.0.1:$((port - 5900)),password=$dir/password" -qmp "unix:$dir/qmp,server=on,wait=off"
expect "QMP's events of viewers" timeout 60 python3 tests/qmp_client.py "$dir/qmp" viewers "$client" "$port" secret
wait "$pid"

# --- a machine that stands is seen ---
start -S -monitor "unix:$dir/monitor,server=on,wait=off" -vnc "unix:$socket"
expect "a picture under -S" vnc "$socket" wait:500 "save:$dir/still.ppm"
finish

# --- passwords, addresses ---
start -vnc "unix:$socket,password=$dir/password"
expect "the right password" vnc "$socket" -p secret wait:100
expect "the wrong password" bash -c "! '$client' '$socket' -p wrong wait:100 2>/dev/null"
finish
expect "the socket is gone" test ! -e "$socket"
refused() { # what text option...
    local what=$1 text=$2
    shift 2
    expect_text "$what" "$(timeout 20 "$build/tandem" "${menu[@]}" "$@" 2>&1 </dev/null)" "$text"
}
refused "no password in the file" "password=/dev/null" -vnc ":0,password=/dev/null"
refused "no such display" "curses are accepted" -display gtk
refused "no card" "no graphics card" -vga none -vnc "unix:$socket"
refused "curses without a terminal" "must be a terminal" -display curses

# --- a new mode while a viewer watches ---
seabios=("${menu[@]}")
menu=(-m 32 -vga std -serial null -kernel "$build/tests/guests/vga_vbe.elf" -append great=1)
start -S -monitor "unix:$dir/monitor,server=on,wait=off" -vnc "unix:$socket"
vnc "$socket" until:720x400 "save:$dir/first.ppm" until:1280x1024 wait:2000 "save:$dir/great.ppm" &
watcher=$!
for _ in {1..2000}; do
    [ -s "$dir/first.ppm" ] && break
    sleep 0.1
done
echo cont | socat -t 1 - "unix:$dir/monitor" >/dev/null
wait $watcher
expect "a viewer follows a new mode" test $? = 0
expect "and sees its picture" python3 tests/screens/scenes.py vbe-great "$dir/great.ppm"
expect "so does one that comes later" vnc "$socket" until:1280x1024 wait:500 "save:$dir/later.ppm"
expect "the same picture" cmp "$dir/great.ppm" "$dir/later.ppm"
finish

# --- the pointer is a PS/2 mouse: motions, a button, the wheel, as bytes that the guest gets ---
said() { # text: is in what the guest wrote to its serial port
    for _ in {1..2000}; do
        grep -q "$1" "$dir/serial" 2>/dev/null && return
        sleep 0.1
    done
}
menu=(-m 16 -vga std -serial "file:$dir/serial" -kernel "$build/tests/guests/ps2.elf" -append set=2)
start -vnc "unix:$socket"
said ready
expect "pointer and Escape" vnc "$socket" pointer:100,100,0 pointer:105,97,0 wait:500 pointer:105,97,1 wait:500 pointer:105,97,0 wait:500 \
    pointer:105,97,8 wait:500 pointer:105,97,0 wait:500 key:ff1b wait:200
said "^sum"
finish
expect_text "the mouse's bytes" "$(cat "$dir/serial")" "^mouse 8 5 3 0 9 0 0 0 8 0 0 0 8 0 0 f"

# --- keys of a German and a French keyboard in front of a guest with the same one, or with another ---
typed() { # what layout bytes action...: the bytes of set 1 that the guest gets
    local what=$1 layout=$2 bytes=$3
    shift 3
    menu=(-m 16 -vga std -serial "file:$dir/serial" -kernel "$build/tests/guests/ps2.elf" -append set=1 -k "$layout")
    rm -f "$dir/serial"
    start -vnc "unix:$socket"
    said ready
    expect "$what" vnc "$socket" "$@" key:ff1b wait:200
    said "^sum"
    finish
    expect_text "$what: the guest's bytes" "$(cat "$dir/serial")" "^keys $bytes 1 81\$"
}
typed "German: z y ss umlaut Umlaut" de "15 95 2c ac c 8c 1a 9a 2a 1a 9a aa" key:7a key:79 key:df key:fc key:dc
typed "German: AltGr" de "e0 38 10 90 e0 b8 e0 38 12 92 e0 b8" down:fe03 key:40 up:fe03 key:20ac
typed "German: dead keys" de "d 8d 12 92 29 a9 39 b9 2a d 8d aa 1e 9e" key:e9 key:5e key:e0
typed "French: a 1 e-acute m, e-circumflex" fr "10 90 2a 2 82 aa 3 83 27 a7 1a 9a 12 92" key:61 key:31 key:e9 key:6d key:ea
typed "Shift that the guest's keyboard does not need" us "2a aa 35 b5 2a aa 2a 8 88 aa" down:ffe1 key:2f up:ffe1 down:ffe1 key:26 up:ffe1
typed "AltGr that it does not need" us "e0 38 e0 b8 2a 3 83 aa e0 38 e0 b8" down:fe03 key:40 up:fe03
typed "Alt is meant" us "e0 38 1e 9e e0 b8" down:ffea key:61 up:ffea
typed "Caps Lock is the viewer's" us "2a 1e 9e aa 1e 9e" key:ffe5 key:41 key:61
typed "Shift stays with what is no character" us "2a 3b bb aa" down:ffe1 key:ffbe up:ffe1
# A key that one viewer holds while another one types does not stay down when the first one has gone.
menu=(-m 16 -vga std -serial "file:$dir/serial" -kernel "$build/tests/guests/ps2.elf" -append set=1)
rm -f "$dir/serial"
start -vnc "unix:$socket"
said ready
"$client" "$socket" down:ffe1 wait:500 "save:$dir/held.ppm" wait:600000 &
holder=$!
for _ in {1..2000}; do
    [ -s "$dir/held.ppm" ] && break
    sleep 0.1
done
vnc "$socket" key:61 wait:200
kill $holder
wait $holder
expect "a viewer behind one that held Shift" vnc "$socket" wait:500 key:ff1b wait:200
said "^sum"
finish
expect_text "its Shift is up: the guest's bytes" "$(cat "$dir/serial")" "^keys (2a )+aa 1e 9e 1 81\$"
menu=("${seabios[@]}")

# --- a viewer that others wrote ---
port=$((5920 + RANDOM % 70))
launch -vnc "127.0.0.1:$((port - 5900)),password=$dir/password"
for _ in {1..50}; do
    echo secret | timeout 20 vncsnapshot -quality 100 "127.0.0.1:$((port - 5900))" "$dir/snapshot.jpg" >"$dir/snapshot.log" 2>&1 && break
    sleep 0.2
done
expect_text "vncsnapshot, with a password" "$(cat "$dir/snapshot.log")" "720x400 screen"
expect "the wrong password" bash -c "! echo wrong | timeout 20 vncsnapshot 127.0.0.1:$((port - 5900)) $dir/none.jpg >/dev/null 2>&1"
finish

# --- clients that hold: 24 at once, each stops at another place, beside one that goes on ---
for where in "unix:$socket" "127.0.0.1:$((port - 5900))"; do
    at=$port
    if [[ $where = unix:* ]]; then
        at=$socket
        start -vnc "$where"
    else
        launch -vnc "$where"
        for _ in {1..2000}; do
            (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
            sleep 0.1
        done
    fi
    "$build/tests/display/vnc_stalls" "$at" 24 200 2>"$dir/stalls" &
    stalls=$!
    sleep 0.5
    expect "$where: pictures beside clients that hold" vnc "${at/#59/localhost:59}" frames:3000
    expect "$where: they are still there" kill -0 $stalls
    before=$(date +%s%N)
    finish
    ended_ms=$((($(date +%s%N) - before) / 1000000))
    expect "$where: the end waits for none of them: $ended_ms ms" test "$ended_ms" -lt 10000 # LibVNCServer would wait 20 s for one
    kill $stalls
done

# --- hostile clients ---
limit=$((seconds + 600))
menu=(-m 32 -serial null -boot "menu=on,splash-time=30000") # which resets a machine without disks each minute
start -vnc "unix:$socket"
seed=$RANDOM
expect "$seconds s of hostile clients, seed $seed" timeout $((seconds + 200)) "$build/tests/display/vnc_hostile" "$socket" "$seconds" "$seed"
expect "an honest client behind them" vnc "$socket" wait:300 "save:$dir/x.ppm"
finish
expect_text "it ran on until it was told to end" "$(cat "$dir/err")" 'tandem: ended by a signal'
menu=("${seabios[@]}")

# --- curses ---
terminals=0 # a tmux server each: one that ends is not gone at once
tm() { tmux -S "$dir/tmux$terminals" -f /dev/null "$@"; }
screen() { tm capture-pane -p "$@"; }
seen() { # text
    for _ in {1..2000}; do
        screen | grep -q "$1" && return
        sleep 0.1
    done
    screen
    return 1
}
in_tmux() { # a machine in a terminal of 90 x 30; what the terminal is like behind it
    tm kill-server 2>/dev/null
    terminals=$((terminals + 1))
    tm new-session -d -x 90 -y 30 "TERM=screen-256color; export TERM; $build/tandem ${menu[*]} -display curses 2>$dir/err; echo status=\$?; stty -a | tr ';' '\n' | grep -E 'icanon'; sleep 100"
}
in_tmux
expect "curses: text" seen "Press ESC for boot menu"
expect_text "curses: colours" "$(screen -e)" $'\033\\[37m\033\\[40mSeaBIOS'
tm resize-window -x 30 -y 6
expect "curses: a small terminal" seen "SeaBIOS"
tm resize-window -x 90 -y 30
tm send-keys Escape
expect "curses: keys" seen "Select boot device"
tm send-keys M-2
expect "curses: Alt-2 is the monitor" seen "^(tandem)"
tm send-keys "print 6*7" Enter
expect "curses: it answers" seen "^0x2a"
tm resize-window -x 60 -y 20
tm send-keys "print 6*70" BSpace BSpace "6" C-u Up BSpace 8 Enter
expect "curses: a line is edited, in a window of another size" seen "^0x30"
tm send-keys C-u "info re" Tab
expect "curses: Tab shows what there is to choose from" seen "^registers  replay"
tm send-keys "p" Tab Enter
expect "curses: and completes" seen "^no recording, tick"
tm send-keys C-u
tm send-keys -l "print 5ä"
tm send-keys BSpace "*5" Enter
expect "curses: a character beyond ASCII is one to rub out" seen "^0x19"
tm send-keys -l "paste äü"
tm send-keys Enter
expect "curses: and comes as UTF-8" seen "no key of the layout us makes 'ä'"
tm send-keys C-u "run-to 1" Enter "stop" Enter "print 9*9" Enter "print 8*7" BSpace BSpace
expect "curses: what is typed ahead stands behind the answers" seen "^(tandem) print 8$"
tm send-keys C-u "cont" Enter
tm send-keys help Enter "info mtree" Enter
expect "curses: a long answer scrolls away" seen "^03f8-03f8: com1"
for _ in {1..200}; do
    screen | grep -q '^info .SUBJECT.' && break
    tm send-keys PPage
    sleep 0.1
done
expect "curses: and is seen again" seen "^info .SUBJECT."
tm send-keys NPage PPage "print 7*7" Enter
expect "curses: the line that is typed is seen" seen "^0x31"
tm send-keys M-1
expect "curses: Alt-1 is the screen" seen "Select boot device"
tm send-keys C-a c
expect "curses: Ctrl-A c is the monitor, too" seen "^0x31"
tm resize-window -x 90 -y 30
tm send-keys "stop" Enter "info status" Enter
expect "curses: the machine stands" seen "VM status: paused"
tm send-keys "cont" Enter C-a c
expect "curses: and back" seen "Select boot device"
tm send-keys C-a x
expect "curses: Ctrl-A x" seen "status=0"
expect "curses: the terminal is as it was" seen '\(^\| \)icanon'
menu=(-m 32 -vga std -serial null -kernel "$build/tests/guests/vga_vbe.elf" -append great=1)
in_tmux
expect "curses: graphics are told as text" seen "1280 x 1024 graphics"
tm send-keys C-a x
expect "curses: and end" seen "status=0"
menu=("${seabios[@]}")
# Every character of code page 437 against Python's table of it (and IBM's pictures of the control codes).
menu=(-m 16 -vga std -serial null -kernel "$build/tests/guests/vga_text.elf" -append scene=0 -monitor none)
in_tmux
seen "ABCDEFGH" >/dev/null
screen >"$dir/cp437"
cp437() {
    python3 - "$dir/cp437" <<'END'
import sys
low = "\u0020\u263a\u263b\u2665\u2666\u2663\u2660\u2022\u25d8\u25cb\u25d9\u2642\u2640\u266a\u266b\u263c\u25ba\u25c4\u2195\u203c\u00b6\u00a7\u25ac\u21a8\u2191\u2193\u2192\u2190\u221f\u2194\u25b2\u25bc"
page = low + bytes(range(32, 256)).decode("cp437").replace("\x7f", "\u2302").replace("\xa0", " ")
lines = [line.rstrip("\n") for line in open(sys.argv[1], encoding="utf-8")][:25]
want = ["".join(page[(80 * y + x) % 256] for x in range(80)).rstrip() for y in range(25)]
for got, line in zip(lines, want):
    if got.rstrip() != line:
        sys.exit("%r\nnot\n%r" % (got, line))
END
}
expect "curses: code page 437" cp437
tm send-keys M-2
sleep 0.3
expect "curses: without a monitor Alt-2 is the guest's" seen "ABCDEFGH"
tm send-keys C-a x
menu=("${seabios[@]}")
tm kill-server 2>/dev/null
terminals=$((terminals + 1))
tm new-session -d -x 200 -y 30 "TERM=dumb $build/tandem ${menu[*]} -display curses; echo status=\$?; sleep 100"
expect "curses: a terminal that cannot do it is named" seen "TERM=dumb cannot place its cursor"
expect "curses: which is an error" seen "status=2"
for signal in TERM SEGV; do
    ASAN_OPTIONS=handle_segv=0 in_tmux # else a sanitizer's handler stays, which restores nothing
    seen "Press ESC" >/dev/null
    pkill -"$signal" -P "$(tm list-panes -F '#{pane_pid}')" -x tandem
    expect "curses: ended by $signal" seen "status=[1-9]"
    expect "curses: the terminal is as it was behind $signal" seen '\(^\| \)icanon'
done
summary display
