/* wsload - a small load generator for WebSockets and event streams (one thread, epoll, no libraries).
 *
 *   cc -O2 -o wsload wsload.c
 *
 *   wsload echo   -c CONNS -k INFLIGHT -s BYTES -d SECONDS        [options]
 *   wsload fanout -c SUBS  -w WINDOW -m BROADCASTS -d SECONDS -s BYTES --pub-path /pub [options]
 *   wsload hold   -c CONNS --rate PER_S -d SECONDS                [options]
 *   wsload burst  -c CONNS -s BYTES -d SECONDS                    [options]
 *
 * It prints one JSON line. Latencies are in microseconds unless the key says _ms.
 *
 * What it does not do: it offers no compression, sends only unfragmented text frames with one fixed
 * non-zero mask, and sends the same Sec-WebSocket-Key on every connection (so the expected
 * Sec-WebSocket-Accept is a constant, which it does check).
 *
 * echo is a closed loop: each connection keeps INFLIGHT messages under way, so the latency it shows
 * is that of a saturated server unless CONNS*INFLIGHT is small. --msg-rate R makes it open loop: R
 * messages a second in all, and the latency counts from when the message was due.
 *
 * burst sends one message on every connection at once and waits, SECONDS at most, until all are
 * answered.
 *
 * fanout: the payload is '#SSSSSSSS#xxxx...' where S is the sequence number; a subscriber may get it
 * inside other text (JSON and the like). A broadcast is over when every open subscriber has it, or,
 * as lost, when nothing at all has arrived for --bto seconds or it has taken --bmax seconds.
 *
 * With --events the connections of hold and fanout are event streams (a GET, answered with a chunked
 * text/event-stream) instead of WebSockets; the publisher stays what it is. It reads whole events only:
 * one that goes on in the next chunk is an error. Heartbeats are counted as pings.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WSKEY "dGhlIHNhbXBsZSBub25jZQ=="
#define WSACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum { S_NEW, S_TCP, S_HANDSHAKE, S_WAIT, S_OPEN, S_DEAD };

typedef struct {
    int fd;
    uint8_t state, is_pub, want_out;
    int ready_left;
    uint32_t last_seq;
    char *in;
    uint32_t ilen, icap;
    char *out;
    uint32_t olen, ooff, ocap;
    uint64_t *ts; /* send times of the messages under way, a ring of K */
    uint32_t th, tn;
    uint64_t t_start;
} conn_t;

/* ---- options */
static const char *host = "127.0.0.1", *path = "/", *origin = 0, *hosthdr = 0, *subproto = 0, *hello = 0;
static const char *pub_path = 0, *pub_http = 0, *pub_prefix = "", *pub_suffix = "", *pidlist = "";
static const char *extra_header = 0, *label = "", *hook = 0;
static int port = 8000, pub_port = 0, conns = 1, inflight = 1, msize = 32, window = 1, nbcast = 1000000, warm_b = 2;
static int npubs = 1, pending_max = 64, nports = 1, ready_n = 0, pub_ready = -1, eio = 0, spread = 0, events = 0;
static double dur = 5, rate = 0, warm = 0.5, settle = 0.3, bto = 3, bmax = 30, cto = 120, msg_rate = 0;
static enum { M_ECHO, M_FANOUT, M_HOLD, M_BURST } mode;

/* ---- state */
static conn_t *cs;
static int ep, ntot, nopened, npending, nready, nfail, nclosed, alive_subs;
static char rbuf[1 << 18];
static char *hsreq, *hsreq_pub;
static size_t hslen, hslen_pub;
static char *eframe;
static size_t eflen;
static int running, measuring;
static uint64_t t_meas0;
static uint64_t n_msgs, n_bytes, n_pings, n_closeframes, n_bad, n_unsol, err_hs, err_tcp, err_io;
static char first_err[200];
static struct sockaddr_in dst;
static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};

/* fanout */
static uint32_t seq_next, *got;
static uint64_t *t_sent, *t_last, n_deliv, n_late, n_ooo, n_gap, n_noseq, t_progress, t_first_pub, t_last_deliv;
static uint32_t under_way, done_b, full_b, lost_b, base_b;
static uint64_t lost_d;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + t.tv_nsec;
}
static void die(const char *f, ...) {
    va_list a;
    va_start(a, f);
    vfprintf(stderr, f, a);
    fputc('\n', stderr);
    exit(2);
}
static void note_err(const char *s) {
    if (!first_err[0]) {
        snprintf(first_err, sizeof first_err, "%s", s);
        for (char *p = first_err; *p; p++)
            if (*p == '"' || *p == '\\' || (unsigned char)*p < 32) *p = ' ';
    }
}

/* ---- log-linear histograms, 64 steps to the octave, in ns/256 */
#define HB (64 * 40)
typedef struct { uint64_t b[HB], n, max, sum; } hist_t;
static hist_t h_lat, h_deliv, h_hs;
static inline int hidx(uint64_t ns) {
    uint64_t v = ns >> 8;
    if (v < 64) return (int)v;
    int e = 63 - __builtin_clzll(v);
    int i = (e - 5) * 64 + (int)((v >> (e - 6)) & 63);
    return i < HB ? i : HB - 1;
}
static double hval(int i) {
    if (i < 64) return (i + .5) * 256 / 1000.;
    int e = i / 64 + 5;
    return ((64 + (i & 63)) + .5) * (double)(1ull << (e - 6)) * 256 / 1000.;
}
static inline void hadd(hist_t *h, uint64_t ns) {
    h->b[hidx(ns)]++;
    h->n++;
    h->sum += ns;
    if (ns > h->max) h->max = ns;
}
static double hq(hist_t *h, double q) {
    uint64_t want = (uint64_t)(q * h->n), c = 0;
    if (!h->n) return -1;
    for (int i = 0; i < HB; i++)
        if ((c += h->b[i]) > want) return hval(i);
    return h->max / 1000.;
}
static void hjson(const char *name, hist_t *h) {
    printf(",\"%s\":{\"n\":%llu,\"mean\":%.1f,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}", name,
           (unsigned long long)h->n, h->n ? h->sum / 1000. / h->n : -1, hq(h, .5), hq(h, .9), hq(h, .99), hq(h, .999),
           h->max / 1000.);
}

/* ---- the server's processes, as /proc shows them */
static int pids[256], npids;
static long rss_kb[256][5], threads[256][5];
static double cpu_s[256][2];
static void snap_status(int w) {
    char f[64], l[256];
    for (int i = 0; i < npids; i++) {
        rss_kb[i][w] = threads[i][w] = -1;
        snprintf(f, sizeof f, "/proc/%d/status", pids[i]);
        FILE *p = fopen(f, "r");
        if (!p) continue;
        while (fgets(l, sizeof l, p)) {
            sscanf(l, "VmRSS: %ld", &rss_kb[i][w]);
            sscanf(l, "Threads: %ld", &threads[i][w]);
        }
        fclose(p);
    }
}
static double read_cpu(int pid) {
    char f[64], l[1024], *s;
    unsigned long u, k;
    snprintf(f, sizeof f, "/proc/%d/stat", pid);
    FILE *p = fopen(f, "r");
    if (!p) return -1;
    s = fgets(l, sizeof l, p);
    fclose(p);
    if (!s || !(s = strrchr(l, ')'))) return -1;
    if (sscanf(s + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &u, &k) != 2) return -1;
    return (double)(u + k) / sysconf(_SC_CLK_TCK);
}
static void snap_cpu(int w) { for (int i = 0; i < npids; i++) cpu_s[i][w] = read_cpu(pids[i]); }
static void run_hook(const char *when) {
    char b[1024];
    if (!hook) return;
    snprintf(b, sizeof b, "%s %s", hook, when);
    if (system(b)) note_err("the hook failed");
}
static double self_cpu(void) {
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return r.ru_utime.tv_sec + r.ru_stime.tv_sec + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

/* ---- connections */
static void set_out(conn_t *c, int on) {
    if (c->want_out == on) return;
    c->want_out = on;
    struct epoll_event e = {.events = EPOLLIN | (on ? EPOLLOUT : 0), .data.u32 = (uint32_t)(c - cs)};
    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}
static void kill_conn(conn_t *c, const char *why) {
    if (c->state == S_DEAD || c->state == S_NEW) return;
    if (c->state == S_OPEN) {
        nclosed++;
        if (!c->is_pub) alive_subs--;
    } else {
        npending--;
        nfail++;
        if (c->state == S_TCP) err_tcp++; else err_hs++;
    }
    if (why) note_err(why);
    close(c->fd);
    c->fd = -1;
    c->state = S_DEAD;
    free(c->in);
    c->in = 0;
    c->ilen = c->icap = 0;
}
static void conn_send(conn_t *c, const char *p, size_t n) {
    if (c->state == S_DEAD) return;
    if (c->olen == c->ooff) {
        ssize_t r = send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (r == (ssize_t)n) return;
        if (r < 0) {
            if (errno != EAGAIN) {
                err_io++;
                kill_conn(c, strerror(errno));
                return;
            }
            r = 0;
        }
        p += r;
        n -= r;
        c->olen = c->ooff = 0;
    }
    if (c->olen + n > c->ocap) c->out = realloc(c->out, c->ocap = (c->olen + n) * 2);
    memcpy(c->out + c->olen, p, n);
    c->olen += n;
    set_out(c, 1);
}
static void conn_flush(conn_t *c) {
    while (c->ooff < c->olen) {
        ssize_t r = send(c->fd, c->out + c->ooff, c->olen - c->ooff, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (r < 0) {
            if (errno != EAGAIN) {
                err_io++;
                kill_conn(c, strerror(errno));
            }
            return;
        }
        c->ooff += r;
    }
    c->olen = c->ooff = 0;
    set_out(c, 0);
}
static size_t mkframe(char *o, int op, const char *p, size_t n) {
    size_t h = 2;
    o[0] = (char)(0x80 | op);
    if (n < 126) o[1] = (char)(0x80 | n);
    else if (n < 65536) {
        o[1] = (char)(0x80 | 126);
        o[2] = n >> 8;
        o[3] = n;
        h = 4;
    } else {
        o[1] = (char)(0x80 | 127);
        for (int i = 0; i < 8; i++) o[2 + i] = (char)((uint64_t)n >> (56 - 8 * i));
        h = 10;
    }
    memcpy(o + h, mask, 4);
    h += 4;
    for (size_t i = 0; i < n; i++) o[h + i] = p[i] ^ mask[i & 3];
    return h + n;
}
static void send_text(conn_t *c, const char *p, size_t n) {
    char b[256], *o = n + 16 > sizeof b ? malloc(n + 16) : b;
    conn_send(c, o, mkframe(o, 1, p, n));
    if (o != b) free(o);
}
static void open_conn(conn_t *c) {
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        nfail++;
        err_tcp++;
        note_err(strerror(errno));
        c->state = S_DEAD;
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (spread > 1) {
        struct sockaddr_in a = {.sin_family = AF_INET};
        a.sin_addr.s_addr = htonl(0x7f000001u + (uint32_t)((c - cs) % spread));
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(fd, (void *)&a, sizeof a)) note_err(strerror(errno));
    }
    struct sockaddr_in d = dst;
    if (!c->is_pub) d.sin_port = htons(port + (int)((c - cs) % nports));
    if (c->is_pub && pub_port) d.sin_port = htons(pub_port);
    c->fd = fd;
    c->t_start = now_ns();
    c->state = S_TCP;
    npending++;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.u32 = (uint32_t)(c - cs)};
    c->want_out = 1;
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
    if (connect(fd, (void *)&d, sizeof d) && errno != EINPROGRESS) kill_conn(c, strerror(errno));
}
static void become_open(conn_t *c) {
    c->state = S_OPEN;
    npending--;
    if (!c->is_pub) {
        nready++;
        alive_subs++;
        hadd(&h_hs, now_ns() - c->t_start);
    }
}

/* ---- modes */
static void echo_send(conn_t *c, uint64_t due) {
    c->ts[(c->th + c->tn) % inflight] = due;
    c->tn++;
    conn_send(c, eframe, eflen);
}
static int pubs_open(conn_t *pubs) {
    for (int i = 0; i < npubs; i++)
        if (pubs[i].state != S_OPEN) return 0;
    return 1;
}
static void publish(conn_t *p) {
    static char *b, *f, *pay;
    static size_t pre, suf;
    if (!b) {
        pre = strlen(pub_prefix);
        suf = strlen(pub_suffix);
        b = malloc(pre + suf + msize + 1024);
        f = malloc(pre + suf + msize + 1024);
        pay = b + pre;
        memcpy(b, pub_prefix, pre);
        memset(pay, 'x', msize);
        memcpy(pay + msize, pub_suffix, suf);
    }
    uint32_t s = seq_next++;
    char t[16];
    snprintf(t, sizeof t, "#%08u#", s);
    memcpy(pay, t, 10);
    t_sent[s] = now_ns();
    if (under_way == 0) t_progress = t_sent[s];
    under_way++;
    if (s == (uint32_t)warm_b) t_first_pub = t_sent[s];
    if (pub_http) { /* each on a connection of its own, which the server may close */
        static int ring[64], at;
        int n = sprintf(f, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", pub_http,
                        hosthdr ? hosthdr : host, pre + suf + msize);
        memcpy(f + n, b, pre + suf + msize);
        struct sockaddr_in d = dst;
        if (pub_port) d.sin_port = htons(pub_port);
        if (ring[at]) close(ring[at]);
        int fd = ring[at] = socket(AF_INET, SOCK_STREAM, 0);
        at = (at + 1) % 64;
        if (connect(fd, (void *)&d, sizeof d) || send(fd, f, n + pre + suf + msize, MSG_NOSIGNAL) < 0) {
            err_io++;
            note_err("could not publish by HTTP");
        }
    } else
        conn_send(p, f, mkframe(f, 1, b, pre + suf + msize));
}
static void on_text(conn_t *c, const char *p, size_t n) {
    if (eio && n == 1 && p[0] == '2') { /* an Engine.IO ping */
        send_text(c, "3", 1);
        return;
    }
    if (c->state == S_WAIT) {
        if (--c->ready_left <= 0) become_open(c);
        return;
    }
    if (mode == M_ECHO || mode == M_BURST) {
        if (!c->tn) {
            n_unsol++;
            return;
        }
        uint64_t t = now_ns(), s = c->ts[c->th];
        if (n != (size_t)msize) n_bad++;
        c->th = (c->th + 1) % inflight;
        c->tn--;
        if (measuring) {
            n_msgs++;
            n_bytes += n;
            hadd(&h_lat, t - s);
        }
        if (running && msg_rate <= 0) echo_send(c, t);
    } else if (mode == M_FANOUT && !c->is_pub) {
        const char *q = memchr(p, '#', n);
        if (!q || q + 10 > p + n || q[9] != '#') {
            n_noseq++;
            return;
        }
        uint32_t s = 0;
        for (int i = 1; i < 9; i++) s = s * 10 + (q[i] - '0');
        if (s >= seq_next) {
            n_noseq++;
            return;
        }
        uint64_t t = now_ns();
        t_progress = t;
        if (c->last_seq != UINT32_MAX && s <= c->last_seq) n_ooo++;
        else {
            if (s > c->last_seq + 1) n_gap += s - c->last_seq - 1;
            c->last_seq = s;
        }
        got[s]++;
        if (s < base_b || t_last[s]) { /* its broadcast was given up, or is over */
            n_late++;
            return;
        }
        if (s >= (uint32_t)warm_b) {
            n_deliv++;
            n_bytes += n;
            t_last_deliv = t;
            hadd(&h_deliv, t - t_sent[s]);
        }
        if (got[s] >= (uint32_t)alive_subs) {
            t_last[s] = t;
            under_way--;
            done_b++;
            if (s >= (uint32_t)warm_b) {
                full_b++;
                hadd(&h_lat, t - t_sent[s]);
            }
        }
    }
}
/* returns how many bytes of p it has used */
static size_t frames(conn_t *c, char *p, size_t n) {
    size_t u = 0;
    while (n - u >= 2 && c->state != S_DEAD) {
        uint8_t *q = (uint8_t *)p + u;
        uint64_t l = q[1] & 127;
        size_t h = 2;
        if (l == 126) {
            if (n - u < 4) break;
            l = q[2] << 8 | q[3];
            h = 4;
        } else if (l == 127) {
            if (n - u < 10) break;
            l = 0;
            for (int i = 0; i < 8; i++) l = l << 8 | q[2 + i];
            h = 10;
        }
        if (q[1] & 128) { /* a server must not mask */
            err_io++;
            kill_conn(c, "masked frame from the server");
            return n;
        }
        if (n - u < h + l) break;
        int op = q[0] & 15;
        char *pay = (char *)q + h, b[160];
        u += h + l;
        if (op == 1 || op == 2) on_text(c, pay, l);
        else if (op == 9) {
            n_pings++;
            conn_send(c, b, mkframe(b, 10, pay, l < 126 ? l : 125));
        } else if (op == 8) {
            n_closeframes++;
            char w[64];
            snprintf(w, sizeof w, "close frame, code %d", l >= 2 ? ((uint8_t)pay[0] << 8 | (uint8_t)pay[1]) : 0);
            conn_send(c, b, mkframe(b, 8, pay, l < 126 ? l : 125));
            kill_conn(c, w);
            return n;
        }
    }
    return u;
}
/* one event without its last line's end */
static void on_event_text(conn_t *c, const char *p, size_t n) {
    if (n >= 16 && !memcmp(p, "event: heartbeat", 16)) n_pings++;
    else if (n > 6 && !memcmp(p, "data: ", 6) && !memchr(p, '\n', n)) on_text(c, p + 6, n - 6);
    else if (n < 6 || memcmp(p, "retry:", 6)) n_noseq++;
}
/* returns how many bytes of p it has used: whole chunks of whole events */
static size_t chunks(conn_t *c, char *p, size_t n) {
    size_t u = 0;
    while (c->state != S_DEAD) {
        char *e = memmem(p + u, n - u, "\r\n", 2), *at;
        if (!e) break;
        size_t size = strtoul(p + u, &at, 16), begin = e + 2 - p;
        if (at == p + u || at > e || size == 0 || size > sizeof rbuf) {
            kill_conn(c, at > p + u && at <= e && size == 0 ? "the stream has ended" : "not a chunk");
            return n;
        }
        if (n - begin < size + 2) break;
        for (char *q = p + begin, *end = q + size, *stop; q < end; q = stop + 2) {
            stop = memmem(q, end - q, "\n\n", 2);
            if (!stop) {
                kill_conn(c, "an event goes on in the next chunk");
                return n;
            }
            on_event_text(c, q, stop - q);
            if (c->state == S_DEAD) return n;
        }
        u = begin + size + 2;
    }
    return u;
}
static int is_stream(const char *p, size_t n) {
    char head[2048];
    snprintf(head, sizeof head, "%.*s", (int)n, p);
    return !strncmp(head, "HTTP/1.1 200", 12) && strcasestr(head, "\r\ncontent-type: text/event-stream") &&
           strcasestr(head, "\r\ntransfer-encoding: chunked\r\n");
}
static size_t feed(conn_t *c, char *p, size_t n) {
    size_t u = 0;
    int stream = events && !c->is_pub;
    if (c->state == S_HANDSHAKE) {
        char *e = memmem(p, n, "\r\n\r\n", 4);
        if (!e) return 0;
        if (stream ? !is_stream(p, e - p + 4)
                   : n < 12 || memcmp(p, "HTTP/1.1 101", 12) || !memmem(p, e - p + 4, WSACCEPT, 28)) {
            char w[120];
            snprintf(w, sizeof w, "handshake: %.*s", (int)(n < 80 ? n : 80), p);
            kill_conn(c, w);
            return n;
        }
        u = e - p + 4;
        c->ready_left = c->is_pub && pub_ready >= 0 ? pub_ready : ready_n;
        c->state = S_WAIT;
        if (hello && !stream) send_text(c, hello, strlen(hello));
        if (c->ready_left <= 0 && c->state == S_WAIT) become_open(c);
    }
    if (c->state == S_DEAD) return n;
    return u + (stream ? chunks(c, p + u, n - u) : frames(c, p + u, n - u));
}
static void on_readable(conn_t *c) {
    for (int round = 0; round < 4; round++) {
        size_t off = 0;
        if (c->ilen) {
            memcpy(rbuf, c->in, c->ilen);
            off = c->ilen;
        }
        ssize_t r = recv(c->fd, rbuf + off, sizeof rbuf - off, MSG_DONTWAIT);
        if (r < 0) {
            if (errno == EAGAIN || errno == EINTR) return;
            err_io++;
            kill_conn(c, strerror(errno));
            return;
        }
        if (r == 0) {
            kill_conn(c, "closed by the server");
            return;
        }
        size_t n = off + r, u = feed(c, rbuf, n);
        if (c->state == S_DEAD) return;
        if (u < n) {
            size_t left = n - u;
            if (left > c->icap) c->in = realloc(c->in, c->icap = left * 2);
            memcpy(c->in, rbuf + u, left);
            c->ilen = left;
            if (left > sizeof rbuf / 2) {
                kill_conn(c, "message too big for wsload");
                return;
            }
        } else
            c->ilen = 0;
        if ((size_t)r < sizeof rbuf - off) return;
    }
}
static void on_event(conn_t *c, uint32_t ev) {
    if (c->state == S_DEAD) return;
    if (c->state == S_TCP) {
        int e = 0;
        socklen_t l = sizeof e;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &l);
        if (e) {
            kill_conn(c, strerror(e));
            return;
        }
        if (!(ev & EPOLLOUT)) return;
        set_out(c, 0);
        c->state = S_HANDSHAKE;
        if (c->is_pub) conn_send(c, hsreq_pub, hslen_pub);
        else conn_send(c, hsreq, hslen);
        return;
    }
    if (ev & EPOLLOUT) conn_flush(c);
    if (c->state != S_DEAD && (ev & (EPOLLIN | EPOLLHUP | EPOLLERR))) on_readable(c);
}
static int poll_once(int ms) {
    static struct epoll_event ev[512];
    int n = epoll_wait(ep, ev, 512, ms);
    for (int i = 0; i < n; i++) on_event(&cs[ev[i].data.u32], ev[i].events);
    return n;
}
static void poll_until(uint64_t t) {
    for (;;) {
        uint64_t n = now_ns();
        if (n >= t) return;
        uint64_t ms = (t - n) / 1000000;
        poll_once(ms > 100 ? 100 : (int)ms);
    }
}
static char *mkreq(const char *pth, int stream, size_t *len) {
    char *b = malloc(4096);
    char hp[300];
    if (hosthdr) snprintf(hp, sizeof hp, "%s", hosthdr);
    else snprintf(hp, sizeof hp, "%s:%d", host, port);
    int n = snprintf(b, 4096, "GET %s HTTP/1.1\r\nHost: %s\r\n", pth, hp);
    n += snprintf(b + n, 4096 - n,
                  stream ? "Accept: text/event-stream\r\nCache-Control: no-cache\r\n"
                         : "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                           "Sec-WebSocket-Key: " WSKEY "\r\nSec-WebSocket-Version: 13\r\n");
    if (origin) n += snprintf(b + n, 4096 - n, "Origin: %s\r\n", origin);
    if (subproto && !stream) n += snprintf(b + n, 4096 - n, "Sec-WebSocket-Protocol: %s\r\n", subproto);
    if (extra_header) n += snprintf(b + n, 4096 - n, "%s\r\n", extra_header);
    n += snprintf(b + n, 4096 - n, "\r\n");
    *len = n;
    return b;
}
static void usage(void) {
    die("usage: wsload echo|fanout|hold|burst [options]\n"
        "  --host H --port P --path /p       where (default 127.0.0.1:8000/)\n"
        "  --origin O --hosthdr H --subprotocol S --header 'K: V'\n"
        "  -c N          connections (subscribers)      -s N   payload bytes (fanout: 10 or more)\n"
        "  -d SECONDS    length of the measured part    --warm SECONDS (echo)\n"
        "  -k N          echo: messages under way on each connection\n"
        "  --msg-rate R  echo: open loop, R messages/s in all (-k is then the most under way on one)\n"
        "  -w N -m N     fanout: broadcasts under way at once, and in all\n"
        "  --warm-b N    fanout: first broadcasts left out       --bto SECONDS  give up without progress\n"
        "  --bmax SECONDS  give a broadcast up after so long\n"
        "  --pub-path /p [--pub-port P]       fanout: publish over a WebSocket, which does not count\n"
        "  --pubs N      fanout: publishers that take turns (then broadcasts have no order)\n"
        "  --pub-http /p [--pub-port P]       fanout: publish by HTTP POST\n"
        "  --pub-prefix T --pub-suffix T      text round the payload when publishing\n"
        "  --rate R      connections opened a second (0: as fast as --pending N allows)\n"
        "  --hello TEXT  sent on each connection once open   --ready N  messages to await before it counts\n"
        "  --pending N   handshakes under way at once (default 64)\n"
        "  --pub-ready N the same for the publisher          --eio      answer Engine.IO pings\n"
        "  --events      hold, fanout: event streams instead of WebSockets\n"
        "  --settle S    wait after connecting    --cto S   limit for connecting all\n"
        "  --pids 1,2,3  server processes: CPU time, RSS and threads go into the answer\n"
        "  --spread N    source addresses 127.0.0.1..N (by itself from 25,000 connections up)\n"
        "  --nports N    connections go in turn to PORT..PORT+N-1\n"
        "  --hook CMD    a shell command, run as 'CMD ready' before the measured part and 'CMD end' after\n"
        "  --label TEXT  copied into the answer");
}
int main(int ac, char **av) {
    if (ac < 2) usage();
    if (!strcmp(av[1], "echo")) mode = M_ECHO;
    else if (!strcmp(av[1], "fanout")) mode = M_FANOUT;
    else if (!strcmp(av[1], "hold")) mode = M_HOLD;
    else if (!strcmp(av[1], "burst")) mode = M_BURST;
    else usage();
    for (int i = 2; i < ac; i++) {
        const char *o = av[i], *v = i + 1 < ac ? av[i + 1] : "";
        if (!strcmp(o, "--eio")) { eio = 1; continue; }
        if (!strcmp(o, "--events")) { events = 1; continue; }
        if (i + 1 >= ac) usage();
        i++;
        if (!strcmp(o, "--host")) host = v;
        else if (!strcmp(o, "--port")) port = atoi(v);
        else if (!strcmp(o, "--path")) path = v;
        else if (!strcmp(o, "--origin")) origin = v;
        else if (!strcmp(o, "--hosthdr")) hosthdr = v;
        else if (!strcmp(o, "--subprotocol")) subproto = v;
        else if (!strcmp(o, "--header")) extra_header = v;
        else if (!strcmp(o, "-c")) conns = atoi(v);
        else if (!strcmp(o, "-s")) msize = atoi(v);
        else if (!strcmp(o, "-d")) dur = atof(v);
        else if (!strcmp(o, "--warm")) warm = atof(v);
        else if (!strcmp(o, "-k")) inflight = atoi(v);
        else if (!strcmp(o, "--msg-rate")) msg_rate = atof(v);
        else if (!strcmp(o, "-w")) window = atoi(v);
        else if (!strcmp(o, "-m")) nbcast = atoi(v);
        else if (!strcmp(o, "--warm-b")) warm_b = atoi(v);
        else if (!strcmp(o, "--bto")) bto = atof(v);
        else if (!strcmp(o, "--bmax")) bmax = atof(v);
        else if (!strcmp(o, "--pub-path")) pub_path = v;
        else if (!strcmp(o, "--pubs")) npubs = atoi(v);
        else if (!strcmp(o, "--pub-http")) pub_http = v;
        else if (!strcmp(o, "--pub-port")) pub_port = atoi(v);
        else if (!strcmp(o, "--pub-prefix")) pub_prefix = v;
        else if (!strcmp(o, "--pub-suffix")) pub_suffix = v;
        else if (!strcmp(o, "--rate")) rate = atof(v);
        else if (!strcmp(o, "--pending")) pending_max = atoi(v);
        else if (!strcmp(o, "--hello")) hello = v;
        else if (!strcmp(o, "--ready")) ready_n = atoi(v);
        else if (!strcmp(o, "--pub-ready")) pub_ready = atoi(v);
        else if (!strcmp(o, "--settle")) settle = atof(v);
        else if (!strcmp(o, "--cto")) cto = atof(v);
        else if (!strcmp(o, "--pids")) pidlist = v;
        else if (!strcmp(o, "--spread")) spread = atoi(v);
        else if (!strcmp(o, "--label")) label = v;
        else if (!strcmp(o, "--nports")) nports = atoi(v);
        else if (!strcmp(o, "--hook")) hook = v;
        else usage();
    }
    if (mode == M_FANOUT && !pub_path && !pub_http) die("fanout needs --pub-path or --pub-http");
    if (events && mode != M_FANOUT && mode != M_HOLD) die("event streams only receive: --events is for fanout and hold");
    if (mode == M_FANOUT && msize < 10) msize = 10;
    if (nbcast > 4000000) nbcast = 4000000;
    if (!spread) spread = conns > 25000 ? conns / 25000 + 1 : 1;
    for (char *p = strdup(pidlist), *t; (t = strsep(&p, ","));)
        if (*t && npids < 256) pids[npids++] = atoi(t);
    signal(SIGPIPE, SIG_IGN);
    struct rlimit rl;
    getrlimit(RLIMIT_NOFILE, &rl);
    rlim_t want = conns + 64;
    if (rl.rlim_max < want) { /* needs CAP_SYS_RESOURCE */
        struct rlimit r2 = {want, want};
        if (setrlimit(RLIMIT_NOFILE, &r2)) fprintf(stderr, "wsload: open files: %lu at most\n", (unsigned long)rl.rlim_max);
        getrlimit(RLIMIT_NOFILE, &rl);
    }
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);

    dst.sin_family = AF_INET;
    dst.sin_port = htons(port);
    if (inet_pton(AF_INET, host, &dst.sin_addr) != 1) {
        struct hostent *h = gethostbyname(host);
        if (!h) die("no such host: %s", host);
        memcpy(&dst.sin_addr, h->h_addr, 4);
    }
    hsreq = mkreq(path, events, &hslen);
    hsreq_pub = mkreq(pub_path ? pub_path : "/", 0, &hslen_pub);
    char *pay = malloc(msize + 16);
    for (int i = 0; i < msize; i++) pay[i] = 'a' + i % 26;
    eframe = malloc(msize + 32);
    eflen = mkframe(eframe, 1, pay, msize);

    if (npubs < 1 || pub_http) npubs = 1;
    ntot = conns + npubs;
    cs = calloc(ntot, sizeof *cs);
    for (int i = 0; i < ntot; i++) {
        cs[i].last_seq = UINT32_MAX;
        cs[i].fd = -1;
        if (mode == M_ECHO || mode == M_BURST) cs[i].ts = calloc(inflight, 8);
    }
    conn_t *pub = &cs[conns];
    for (int i = 0; i < npubs; i++) pub[i].is_pub = 1;
    if (mode == M_FANOUT) {
        got = calloc(nbcast + warm_b + 1, 4);
        t_sent = calloc(nbcast + warm_b + 1, 8);
        t_last = calloc(nbcast + warm_b + 1, 8);
    }
    ep = epoll_create1(0);

    /* 1. connect */
    snap_status(0);
    double cpu_c0 = self_cpu();
    snap_cpu(0);
    uint64_t t0 = now_ns(), tcon;
    int snapped = 0, tenth = conns / 10;
    while (nready + nfail < conns) {
        uint64_t t = now_ns();
        double el = (t - t0) / 1e9;
        if (el > cto) break;
        double allow = rate > 0 ? el * rate + 1 : 1e18;
        while (nopened < conns && npending < pending_max && nopened < allow) open_conn(&cs[nopened++]);
        poll_once(rate > 0 ? 1 : 50);
        if (!snapped && tenth && nready >= tenth) {
            snap_status(1);
            snapped = nready;
        }
    }
    tcon = now_ns();
    snap_cpu(1);
    snap_status(4);
    double hs_s = (tcon - t0) / 1e9, cpu_hs = 0, cpu_chs = self_cpu() - cpu_c0;
    for (int i = 0; i < npids; i++) cpu_hs += cpu_s[i][1] - cpu_s[i][0];
    if (mode == M_FANOUT) {
        uint64_t lim = now_ns() + 10000000000ull;
        for (int i = 0; i < npubs; i++) {
            if (pub_http) pub[i].state = S_OPEN;
            else open_conn(&pub[i]);
            while (pub[i].state != S_OPEN && pub[i].state != S_DEAD && now_ns() < lim) poll_once(50);
        }
        if (!pubs_open(pub)) note_err("a publisher could not connect");
    }
    poll_until(now_ns() + (uint64_t)(settle * 1e9));
    snap_status(2);
    run_hook("ready");

    /* 2. run */
    double el = 0, cpu_a = 0;
    uint32_t base0 = 0;
    if (mode == M_ECHO) {
        running = 1;
        uint64_t ts = now_ns();
        if (msg_rate <= 0)
            for (int i = 0; i < conns; i++)
                for (int k = 0; k < inflight && cs[i].state == S_OPEN; k++) echo_send(&cs[i], now_ns());
        uint64_t t_w = ts + (uint64_t)(warm * 1e9), t_e = t_w + (uint64_t)(dur * 1e9);
        uint64_t sent = 0;
        int nx = 0;
        for (;;) {
            uint64_t t = now_ns();
            if (!measuring && t >= t_w) {
                measuring = 1;
                t_meas0 = t;
                snap_cpu(0);
                cpu_a = self_cpu();
            }
            if (t >= t_e) break;
            if (msg_rate > 0) {
                uint64_t due_n = (uint64_t)((t - ts) / 1e9 * msg_rate);
                for (int tries = 0; sent < due_n && tries < conns; tries++) {
                    conn_t *c = &cs[nx++ % conns];
                    if (c->state != S_OPEN || c->tn >= (uint32_t)inflight) continue;
                    sent++; /* the first is due after one interval */
                    echo_send(c, ts + (uint64_t)(sent * 1e9 / msg_rate));
                    tries = -1;
                }
                poll_once(1);
            } else
                poll_once(20);
            if (alive_subs == 0) break;
        }
        measuring = running = 0;
        uint64_t t = now_ns();
        el = (t - t_meas0) / 1e9;
        snap_cpu(1);
        cpu_a = self_cpu() - cpu_a;
    } else if (mode == M_FANOUT && pubs_open(pub) && alive_subs > 0) {
        uint64_t t_e = now_ns() + (uint64_t)((dur + bmax) * 1e9), t; /* set anew after the warm-up */
        uint32_t total = (uint32_t)nbcast + warm_b;
        int snap = 0;
        uint32_t oldest = 0;
        t_progress = now_ns();
        for (;;) {
            t = now_ns();
            if (!pubs_open(pub) || alive_subs == 0) break;
            int more = t < t_e && seq_next < total;
            if (!more && !under_way) break;
            /* the warm-up broadcasts go one at a time */
            uint32_t w = seq_next < (uint32_t)warm_b ? 1 : (uint32_t)window;
            if (seq_next == (uint32_t)warm_b && under_way) w = 1;
            if (more && seq_next == (uint32_t)warm_b && !snap && under_way < w) {
                snap = 1;
                snap_cpu(0);
                cpu_a = self_cpu();
                t_e = now_ns() + (uint64_t)(dur * 1e9);
            }
            while (more && under_way < w && seq_next < total) {
                publish(&pub[seq_next % (uint32_t)npubs]);
                if (seq_next <= (uint32_t)warm_b) break;
            }
            poll_once(20);
            t = now_ns();
            while (oldest < seq_next && t_last[oldest]) oldest++;
            if (under_way && ((t - t_progress) / 1e9 > bto || (t - t_sent[oldest]) / 1e9 > bmax)) { /* what is under way is lost */
                for (uint32_t s = base_b; s < seq_next; s++)
                    if (!t_last[s]) {
                        if (s >= (uint32_t)warm_b) {
                            lost_b++;
                            lost_d += (got[s] < (uint32_t)alive_subs) ? alive_subs - got[s] : 0;
                        }
                        t_last[s] = 1;
                    }
                base_b = seq_next;
                under_way = 0;
                t_progress = t;
            }
        }
        snap_cpu(1);
        cpu_a = self_cpu() - cpu_a;
        el = t_last_deliv > t_first_pub && t_first_pub ? (t_last_deliv - t_first_pub) / 1e9 : 0;
        base0 = seq_next > (uint32_t)warm_b ? seq_next - warm_b : 0;
    } else if (mode == M_BURST) {
        snap_cpu(0);
        cpu_a = self_cpu();
        uint64_t a = now_ns(), t_e = a + (uint64_t)(dur * 1e9);
        measuring = 1;
        for (int i = 0; i < conns; i++)
            if (cs[i].state == S_OPEN) echo_send(&cs[i], a);
        while (n_msgs < (uint64_t)alive_subs && now_ns() < t_e) poll_once(20);
        measuring = 0;
        el = (now_ns() - a) / 1e9;
        snap_cpu(1);
        cpu_a = self_cpu() - cpu_a;
    } else if (mode == M_HOLD) {
        snap_cpu(0);
        cpu_a = self_cpu();
        uint64_t a = now_ns();
        poll_until(a + (uint64_t)(dur * 1e9));
        el = (now_ns() - a) / 1e9;
        snap_cpu(1);
        cpu_a = self_cpu() - cpu_a;
    }
    snap_status(3);
    run_hook("end");

    /* 3. report */
    printf("{\"mode\":\"%s\",\"label\":\"%s\",\"conns\":%d,\"ready\":%d,\"failed\":%d,\"closed\":%d,\"payload\":%d", av[1], label, conns,
           nready, nfail, nclosed, msize);
    printf(",\"handshake_s\":%.3f,\"handshakes_per_s\":%.1f,\"handshake_server_cpu_s\":%.2f,\"handshake_client_cpu_s\":%.2f", hs_s,
           nready / (hs_s > 0 ? hs_s : 1), cpu_hs, cpu_chs);
    hjson("handshake_us", &h_hs);
    printf(",\"seconds\":%.3f,\"client_cpu\":%.3f", el, el > 0 ? cpu_a / el : 0);
    double cpu = 0;
    long r0 = 0, r1 = 0, r2 = 0, r3 = 0, h0 = 0, h2 = 0, h3 = 0, h4 = 0;
    printf(",\"server\":[");
    for (int i = 0; i < npids; i++) {
        double d = cpu_s[i][1] - cpu_s[i][0];
        cpu += d;
        r0 += rss_kb[i][0];
        r1 += rss_kb[i][1];
        r2 += rss_kb[i][2];
        r3 += rss_kb[i][3];
        h0 += threads[i][0];
        h2 += threads[i][2];
        h3 += threads[i][3];
        h4 += threads[i][4];
        printf("%s{\"pid\":%d,\"cpu\":%.3f,\"rss_kb\":%ld}", i ? "," : "", pids[i], el > 0 ? d / el : 0, rss_kb[i][3]);
    }
    printf("],\"server_cpu\":%.3f,\"rss_kb\":{\"before\":%ld,\"tenth\":%ld,\"open\":%ld,\"end\":%ld}", el > 0 ? cpu / el : 0, r0, r1, r2, r3);
    printf(",\"threads\":{\"before\":%ld,\"opened\":%ld,\"settled\":%ld,\"end\":%ld}", h0, h4, h2, h3);
    if (npids && nready) {
        printf(",\"rss_per_conn_kb\":%.2f", (double)(r2 - r0) / nready);
        if (snapped && nready > snapped) printf(",\"rss_slope_kb\":%.2f", (double)(r2 - r1) / (nready - snapped));
    }
    if (mode == M_BURST) {
        printf(",\"replied\":%llu,\"all_replied\":%s,\"all_replied_ms\":%.1f", (unsigned long long)n_msgs,
               n_msgs == (uint64_t)conns ? "true" : "false", el * 1000);
        hjson("latency_us", &h_lat);
    } else if (mode == M_ECHO) {
        printf(",\"inflight\":%d,\"msgs\":%llu,\"per_s\":%.1f,\"bad_size\":%llu,\"unsolicited\":%llu", inflight, (unsigned long long)n_msgs,
               el > 0 ? n_msgs / el : 0, (unsigned long long)n_bad, (unsigned long long)n_unsol);
        if (npids && n_msgs) printf(",\"server_us_per_msg\":%.2f", cpu * 1e6 / n_msgs);
        hjson("latency_us", &h_lat);
    } else if (mode == M_FANOUT) {
        printf(",\"window\":%d,\"broadcasts\":%u,\"complete\":%u,\"incomplete\":%u,\"deliveries\":%llu,\"lost_deliveries\":%llu,\"late_deliveries\":%llu"
               ",\"out_of_order\":%llu,\"gaps\":%llu,\"no_seq\":%llu,\"per_s\":%.1f,\"broadcasts_per_s\":%.2f",
               window, base0, full_b, lost_b, (unsigned long long)n_deliv, (unsigned long long)lost_d, (unsigned long long)n_late,
               (unsigned long long)n_ooo, (unsigned long long)n_gap, (unsigned long long)n_noseq, el > 0 ? n_deliv / el : 0,
               el > 0 ? full_b / el : 0);
        if (npids && n_deliv) printf(",\"server_us_per_delivery\":%.3f", cpu * 1e6 / n_deliv);
        hjson("last_delivery_us", &h_lat);
        hjson("delivery_us", &h_deliv);
    }
    printf(",\"pings\":%llu,\"close_frames\":%llu,\"tcp_errors\":%llu,\"handshake_errors\":%llu,\"io_errors\":%llu,\"first_error\":\"%s\"}\n",
           (unsigned long long)n_pings, (unsigned long long)n_closeframes, (unsigned long long)err_tcp, (unsigned long long)err_hs,
           (unsigned long long)err_io, first_err);
    return nready == conns && !first_err[0] ? 0 : 1;
}
