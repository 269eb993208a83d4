/* Options of networks: where cards land, what they are connected to; each refusal names the option. */
#include "cli/options.h"
#include "machine/pcap.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_MAX 16

static struct options o;
static struct err e;

/* Parses "a b c" split at spaces. */
static bool parse(const char *text)
{
    static char buf[1024];
    char *argv[ARGS_MAX + 1] = {"tandem"};
    int argc = 1;
    snprintf(buf, sizeof buf, "%s", text);
    for (char *p = strtok(buf, " "); p && argc < ARGS_MAX; p = strtok(NULL, " "))
        argv[argc++] = p;
    e.text[0] = '\0';
    options_free(&o);
    return options_parse(&o, argc, argv, &e);
}

Test(nets, no_card_unless_asked_for)
{
    static const char *const none[] = {"", "-nic none", "-net none", "-net none -nic none"};
    for (unsigned i = 0; i < 4; i++) {
        cr_assert(parse(none[i]), "%s", e.text);
        cr_expect_eq(o.nnics, 0);
    }
}

Test(nets, cards_and_their_networks)
{
    cr_assert(
        parse("-netdev user,id=a,restrict=on -device virtio-net-pci,netdev=a,romfile= -nic user,model=e1000 "
              "-nic none,mac=52:00:00:00:00:01"),
        "%s", e.text);
    cr_assert_eq(o.nnics, 3);
    cr_expect(o.nic[0].port == PC_PORT_NIC0 && o.nic[0].model == NIC_VIRTIO && o.nic[0].net->user.restricted);
    cr_expect_str_eq(o.nic[0].id, "a");
    cr_expect_str_eq(o.nic[0].romfile, "");
    cr_expect_eq(memcmp(o.nic[0].mac, "\x52\x54\0\x12\x34\x56", 6), 0);
    cr_expect(o.nic[1].port == PC_PORT_NIC0 + 1 && o.nic[1].model == NIC_E1000 &&
              o.nic[1].net->kind == NET_USER);
    cr_expect_eq(memcmp(o.nic[1].mac, "\x52\x54\0\x12\x34\x57", 6), 0);
    cr_expect(!o.nic[1].net->user.restricted && !net_is_computed(o.nic[1].net) &&
              net_is_computed(o.nic[0].net));
    cr_expect_null(o.nic[2].net);
    cr_expect_eq(memcmp(o.nic[2].mac, "\x52\0\0\0\0\1", 6), 0);
}

Test(nets, the_old_form)
{
    cr_assert(parse("-net user,restrict=on -net nic,model=virtio,macaddr=52:00:00:00:00:07"), "%s", e.text);
    cr_assert_eq(o.nnics, 1);
    cr_expect(o.nic[0].model == NIC_VIRTIO && o.nic[0].net->user.restricted && o.nic[0].mac[5] == 7);
    cr_assert(parse("-net nic"), "%s", e.text);
    cr_expect(o.nnics == 1 && !o.nic[0].net);
}

Test(nets, user_settings)
{
    cr_assert(
        parse("-nic user,net=192.168.9.0/24,hostfwd=tcp::2222-:22,hostfwd=udp:0.0.0.0:53-192.168.9.40:53,"
              "tftp=/srv,bootfile=x,hostname=h,dns=192.168.9.9,guestfwd=tcp:192.168.9.100:80-cmd:cat"),
        "%s", e.text);
    const struct net_user *u = &o.nic[0].net->user;
    cr_expect(u->host == 0xC0A80902 && u->dns == 0xC0A80909 && u->dhcp_start == 0xC0A8090F &&
              u->nforwards == 2 && u->nguest_forwards == 1);
    cr_expect(u->forward[0].host.address == NETADDR_LOOPBACK && u->forward[1].host.address == 0);
    cr_expect_str_eq(u->tftp, "/srv");
}

Test(nets, sockets_taps_and_dumps)
{
    cr_assert(
        parse(
            "-nic socket,listen=:1234,id=s -object filter-dump,id=d,netdev=s,file=f,maxlen=100 "
            "-nic socket,mcast=230.0.0.1:5000 -nic socket,udp=:5,localaddr=:6 -nic tap,ifname=t0,script=no"),
        "%s", e.text);
    cr_expect(o.nic[0].net->socket.kind == NET_LISTEN &&
              o.nic[0].net->socket.remote.address == NETADDR_LOOPBACK);
    cr_expect(o.ndumps == 1 && o.dump[0].nic == 0 && o.dump[0].max_bytes == 100);
    cr_expect(o.nic[1].net->socket.local.address == NETADDR_LOOPBACK);
    cr_expect(o.nic[2].net->socket.kind == NET_UDP && o.nic[2].net->socket.local.port == 6);
    cr_expect_str_eq(o.nic[3].net->ifname, "t0");
}

Test(nets, refusals_name_the_option)
{
    static const char *const bad[][2] = {
        {"-nic vde", "-nic vde: no network is called \"vde\"; user, socket, tap or none is accepted"},
        {"-nic user,model=rtl8139", "-nic: model=rtl8139: bad value; e1000|virtio-net-pci is accepted"},
        {"-nic user,smb=/x", "-nic: unknown setting \"smb\"; accepted: "},
        {"-nic tap,restrict=on", "-nic: unknown setting \"restrict\"; accepted: "},
        {"-nic user,mac=1:2:3", "-nic: mac=1:2:3: bad value; "},
        {"-nic user,hostfwd=tcp::22", "-nic: hostfwd=tcp::22: bad value; [tcp|udp]:[HOSTADDR]:HOSTPORT-"},
        {"-nic user,restrict=maybe", "-nic: restrict=maybe: bad value; on|off is accepted"},
        {"-nic user,host=10.9.9.9",
         "-nic user,host=10.9.9.9: host, dns and dhcpstart: three different addresses"},
        {"-nic user,dns=10.0.2.2",
         "-nic user,dns=10.0.2.2: host, dns and dhcpstart: three different addresses"},
        {"-nic socket", "-nic socket: one of listen="},
        {"-nic socket,listen=:1,connect=:2", "-nic socket,listen=:1,connect=:2: one of listen="},
        {"-nic socket,udp=:1", "-nic socket,udp=:1: udp=ADDR:PORT,localaddr="},
        {"-nic socket,mcast=10.0.0.1:5", "-nic: mcast=10.0.0.1:5: bad value; "},
        {"-nic tap,script=/etc/qemu-ifup", "-nic: script=/etc/qemu-ifup: bad value; no is accepted"},
        {"-nic tap,ifname=a123456789012345", "-nic: ifname=a123456789012345: bad value; "},
        {"-netdev user", "-netdev user: id=NAME is needed"},
        {"-netdev user,id=a", "-netdev user,id=a: no card has this network; "},
        {"-net user", "-net user: no card has this network; -net nic"},
        {"-device e1000,netdev=a", "-device e1000,netdev=a: no -netdev has id=a"},
        {"-netdev user,id=a -device e1000,netdev=a -device e1000,netdev=a",
         "-device e1000,netdev=a: another card"},
        {"-nic user,id=a -nic user,id=a", "-nic user,id=a: there is a network with id=a already"},
        {"-nic none,mac=52:00:00:00:00:01 -nic user -nic user -nic user -nic user",
         "-nic user: the machine has "},
        {"-object filter-dump,id=f,netdev=x,file=y", "-object filter-dump: netdev=x: no network has that id"},
        {"-object filter-dump,netdev=x",
         "-object filter-dump,netdev=x: filter-dump,id=NAME,netdev=ID,file=FILE"},
        {"-object rng-random,id=r", "-object: qom-type=rng-random: bad value; filter-dump is accepted"},
        {"-nic", "-nic: needs a value"},
        {"-nic user,,model=e1000", "-nic: unknown setting \"user,model\"; accepted: "},
    };
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect_not(parse(bad[i][0]), "%s", bad[i][0]);
        cr_expect_eq(strncmp(e.text, bad[i][1], strlen(bad[i][1])), 0, "%s: %s", bad[i][0], e.text);
    }
}

/* Pieces of options, in any order and cut anywhere: accepted or refused. */
Test(nets, hostile_options)
{
    static const char *const piece[] = {
        "user",       ",id=a",     ",restrict=on", ",",           "=",       "socket",
        ",listen=:1", ",hostfwd=", "tcp::1-:2",    ",net=10.0.",  ",mac=52", ",model=e1000",
        ",mcast=",    "none",      "nic",          ",netdev=a,,", "%s%n",    ",guestfwd=tcp:"};
    static const char *const option[] = {"-nic", "-netdev", "-net", "-device", "-object"};
    char text[512];
    uint32_t seed = 1;
    for (unsigned i = 0; i < 20000; i++) {
        size_t used = (size_t)snprintf(text, sizeof text, "%s ", option[i % 5]);
        for (unsigned k = (seed >> 28) + 1; k && used < 300; k--) {
            seed = seed * 1664525 + 1013904223;
            used += (size_t)snprintf(text + used, sizeof text - used, "%s", piece[(seed >> 8) % 18]);
        }
        if (!parse(text))
            cr_assert_neq(e.text[0], 0);
    }
    options_free(&o);
}
