/*
 * The other side of many RTP streams, in C, so that what is measured is not the measuring.
 *
 *   rtp_peer receive FIRST_PORT STREAMS SECONDS
 *       Binds STREAMS even ports of 127.0.0.1 from FIRST_PORT on. Prints "ready", then listens
 *       until SECONDS have passed or SIGTERM comes. It answers each stream that it hears with a
 *       stream of its own (PCMU silence, 20 ms, spread evenly over the 20 ms), as telephones do.
 *       Prints one JSON object: for each stream its packets, those with sound, those lost by
 *       sequence number, and the gaps between arrivals by the kernel's time stamps.
 *
 *   rtp_peer send FIRST_PORT STREAMS SECONDS
 *       The floor: sends STREAMS streams of noise to those ports, all of them in one burst every
 *       20 ms, and reads what comes back. Nothing else. Prints its CPU seconds as JSON.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { PACKET = 172, HEADER = 12, BATCH = 32, MAX_STREAMS = 4000 };
static const double GAP_SECONDS = 0.030;

struct stream {
    int socket;
    int known;                      /* whether `far` is */
    struct sockaddr_in far;
    uint16_t sent_sequence;
    uint32_t sent_timestamp;
    long packets, sound, lost, gaps;
    uint16_t sequence;
    double first, last, longest;    /* seconds */
};

static struct stream streams[MAX_STREAMS];
static volatile sig_atomic_t stopped;

static void stop(int number) { (void)number; stopped = 1; }

static void die(const char *what) { perror(what); exit(2); }

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static int open_port(int port)
{
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), on = 1;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (s < 0 || setsockopt(s, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on)) die("socket");
    if (bind(s, (struct sockaddr *)&a, sizeof a)) die("bind");
    return s;
}

static int ticking(long nanoseconds)
{
    struct itimerspec every = {{0, nanoseconds}, {0, nanoseconds}};
    int t = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    if (t < 0 || timerfd_settime(t, 0, &every, NULL)) die("timerfd");
    return t;
}

static void send_packet(struct stream *s, const uint8_t *payload, int payload_size)
{
    uint8_t packet[PACKET] = {0x80, 0};
    uint16_t sequence = htons(s->sent_sequence++);
    uint32_t timestamp = htonl(s->sent_timestamp), ssrc = htonl(0x10000000u + (s - streams));
    memcpy(packet + 2, &sequence, 2);
    memcpy(packet + 4, &timestamp, 4);
    memcpy(packet + 8, &ssrc, 4);
    memcpy(packet + HEADER, payload, payload_size);
    s->sent_timestamp += payload_size;
    (void)!sendto(s->socket, packet, HEADER + payload_size, 0, (struct sockaddr *)&s->far,
                  sizeof s->far);
}

/* Whether a payload is louder than silence: mean magnitude over about -56 dBFS. */
static int has_sound(const uint8_t *payload, int size, int a_law)
{
    long total = 0;
    for (int i = 0; i < size; i++) {
        int code = a_law ? payload[i] ^ 0x55 : ~payload[i] & 0xFF;
        int exponent = code >> 4 & 7, mantissa = code & 15;
        total += a_law ? (exponent ? (mantissa * 16 + 264) << (exponent - 1) : mantissa * 16 + 8)
                       : ((mantissa * 8 + 132) << exponent) - 132;
    }
    return size > 0 && total / size > 50;
}

static void note(struct stream *s, const uint8_t *packet, int size, double at)
{
    int type = packet[1] & 0x7F;
    uint16_t sequence = (uint16_t)(packet[2] << 8 | packet[3]);
    if (size <= HEADER || (packet[0] & 0xC0) != 0x80 || (type != 0 && type != 8)) return;
    if (s->packets) {
        double gap = at - s->last;
        uint16_t missed = (uint16_t)(sequence - s->sequence - 1);
        if (gap > GAP_SECONDS) s->gaps++;
        if (gap > s->longest) s->longest = gap;
        if (missed < 0x8000) s->lost += missed;
    } else {
        s->first = at;
    }
    s->packets++;
    s->sound += has_sound(packet + HEADER, size - HEADER, type == 8);
    s->sequence = sequence;
    s->last = at;
}

static void read_all(struct stream *s)
{
    static uint8_t data[BATCH][2048];
    static char control[BATCH][64];
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    struct sockaddr_in from[BATCH];
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            parts[i] = (struct iovec){data[i], sizeof data[i]};
            messages[i].msg_hdr = (struct msghdr){&from[i],   sizeof from[i],    &parts[i], 1,
                                                  control[i], sizeof control[i], 0};
        }
        int count = recvmmsg(s->socket, messages, BATCH, MSG_DONTWAIT, NULL);
        if (count <= 0) return;
        for (int i = 0; i < count; i++) {
            struct msghdr *header = &messages[i].msg_hdr;
            struct cmsghdr *c = CMSG_FIRSTHDR(header);
            struct timespec t = {0};
            if (c && c->cmsg_type == SO_TIMESTAMPNS) memcpy(&t, CMSG_DATA(c), sizeof t);
            s->far = from[i];
            s->known = 1;
            note(s, data[i], (int)messages[i].msg_len, t.tv_sec + t.tv_nsec * 1e-9);
        }
        if (count < BATCH) return;
    }
}

static void listen_all(int poll, double until_next)
{
    struct epoll_event events[256];
    int count = epoll_wait(poll, events, 256, (int)(until_next * 1000));
    for (int i = 0; i < count; i++)
        if (events[i].data.u32 < MAX_STREAMS) read_all(&streams[events[i].data.u32]);
}

static int watch_all(int count, int timer)
{
    int poll = epoll_create1(0);
    struct epoll_event tick = {EPOLLIN, {.u32 = MAX_STREAMS}};
    if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, timer, &tick)) die("epoll");
    for (int i = 0; i < count; i++) {
        struct epoll_event e = {EPOLLIN, {.u32 = (uint32_t)i}};
        if (epoll_ctl(poll, EPOLL_CTL_ADD, streams[i].socket, &e)) die("epoll");
    }
    return poll;
}

static void receive(int first, int count, double seconds)
{
    uint8_t silence[160];
    memset(silence, 0xFF, sizeof silence);
    for (int i = 0; i < count; i++) streams[i].socket = open_port(first + 2 * i);
    int timer = ticking(1000000), poll = watch_all(count, timer);
    double end = now() + seconds;
    uint64_t passed, slot = 0;
    printf("ready\n");
    fflush(stdout);
    while (!stopped && now() < end) {
        listen_all(poll, 0.1);
        if (read(timer, &passed, sizeof passed) != sizeof passed) continue;
        for (; passed; passed--, slot++)
            for (int i = (int)(slot % 20); i < count; i += 20)
                if (streams[i].known) send_packet(&streams[i], silence, sizeof silence);
    }
    printf("{\"streams\": [");
    for (int i = 0; i < count; i++) {
        struct stream *s = &streams[i];
        printf("%s\n {\"port\": %d, \"packets\": %ld, \"sound\": %ld, \"lost\": %ld, \"gaps\": %ld,"
               " \"longest_ms\": %.2f, \"seconds\": %.3f}",
               i ? "," : "", first + 2 * i, s->packets, s->sound, s->lost, s->gaps,
               s->longest * 1000, s->packets ? s->last - s->first : 0);
    }
    printf("\n]}\n");
}

static void send_all(int first, int count, double seconds)
{
    uint8_t noise[160];
    struct rusage used;
    for (int i = 0; i < (int)sizeof noise; i++) noise[i] = (uint8_t)(0x10 + rand() % 0x30);
    for (int i = 0; i < count; i++) {
        struct stream *s = &streams[i];
        s->socket = open_port(0);
        s->far = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(first + 2 * i)};
        s->far.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    int timer = ticking(20000000), poll = watch_all(count, timer);
    double end = now() + seconds;
    uint64_t passed;
    while (!stopped && now() < end) {
        listen_all(poll, 0.1);
        if (read(timer, &passed, sizeof passed) != sizeof passed) continue;
        for (; passed; passed--)
            for (int i = 0; i < count; i++) send_packet(&streams[i], noise, sizeof noise);
    }
    getrusage(RUSAGE_SELF, &used);
    printf("{\"cpu_seconds\": %.3f}\n",
           used.ru_utime.tv_sec + used.ru_utime.tv_usec * 1e-6 + used.ru_stime.tv_sec +
               used.ru_stime.tv_usec * 1e-6);
}

static int bad_usage(const char *program)
{
    fprintf(stderr, "usage: %s receive|send FIRST_PORT STREAMS SECONDS\n", program);
    return 2;
}

int main(int count, char **arguments)
{
    if (count != 5) return bad_usage(arguments[0]);
    int first = atoi(arguments[2]), number = atoi(arguments[3]);
    double seconds = atof(arguments[4]);
    if (number < 1 || number > MAX_STREAMS || first < 1024 || first + 2 * number > 65536) {
        fprintf(stderr, "expected 1-%d streams on ports below 65536\n", MAX_STREAMS);
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    if (!strcmp(arguments[1], "receive"))
        receive(first, number, seconds);
    else if (!strcmp(arguments[1], "send"))
        send_all(first, number, seconds);
    else
        return bad_usage(arguments[0]);
    return 0;
}
