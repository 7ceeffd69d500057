/* kolorun - starts the ranks of a job on this machine. This file: what they share, made before the first of them
 * starts. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/config.h"
#include "base/error.h"
#include "launch/job_run.h"

enum { EXIT_TROUBLE = 1, EXIT_USAGE = 2 };

/* A pipe or socket of ours must not become somebody's standard stream by getting a free low number. */
static void fill_standard_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

/* Inside another kolorun's rank 0 that one's listening socket is open here; our ranks have their own. */
static void keep_outer_socket_from_ranks(void)
{
    const char *text = getenv("KOLO_STORE_FD");
    int64_t fd;
    if (text != NULL && kolo_parse_int(text, STDERR_FILENO + 1, INT32_MAX, &fd))
        (void)fcntl((int)fd, F_SETFD, FD_CLOEXEC);
}

static bool make_secret(char text[65])
{
    unsigned char bytes[32];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return false;
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    return true;
}

/* On a port of the system's choice: no other job can have it. The ranks themselves may have it again, for a job after this
 * one, so what is left of connections must not keep it. */
static bool listen_for_ranks(kolorun_start *start)
{
    const int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    start->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (start->listen_fd < 0 || setsockopt(start->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(start->listen_fd, (struct sockaddr *)&address, size) != 0 || listen(start->listen_fd, SOMAXCONN) != 0 ||
        getsockname(start->listen_fd, (struct sockaddr *)&address, &size) != 0)
        return false;
    start->port = ntohs(address.sin_port);
    return true;
}

int main(int argc, char **argv)
{
    kolorun_options options;
    char error[256];
    fill_standard_streams();
    if (!kolorun_options_parse(argc, argv, getenv("KOLO_BIND"), &options, error, sizeof(error))) {
        fprintf(stderr, "kolorun: %s (kolorun --help shows the usage)\n", error);
        return EXIT_USAGE;
    }
    if (options.help || options.version) {
        fputs(options.help ? kolorun_usage : "kolorun " KOLORUN_VERSION "\n", stdout);
        return fflush(stdout) == 0 ? 0 : EXIT_TROUBLE;
    }
    keep_outer_socket_from_ranks();

    kolo_log log = {.level = KOLO_LOG_WARN, .rank = -1};
    kolorun_start start = {.options = &options, .log = &log, .listen_fd = -1};
    if (!make_secret(start.secret) || !listen_for_ranks(&start)) {
        fprintf(stderr, "kolorun: cannot make the job's meeting point on 127.0.0.1: %s\n", strerror(errno));
        return EXIT_TROUBLE;
    }
    kolo_topo *topo = NULL;
    if (options.bind && kolo_topo_create(&log, &topo) != KOLO_OK)
        fprintf(stderr, "kolorun: the ranks are not bound to cores: %s\n", kolo_error_current()->message);
    start.topo = topo;
    int code = kolorun_job_run(&start);
    kolo_topo_destroy(topo);
    return code;
}
