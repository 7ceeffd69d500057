/* pair.c - see pair.h. */
#include "unit/api/pair.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void *run_player(void *argument)
{
    player *p = argument;
    kolo_init_args args = KOLO_INIT_ARGS_INIT;
    kolo_context *ctx = NULL;
    args.rank = p->rank;
    args.size = 2;
    args.master_addr = "127.0.0.1";
    args.master_port = p->port;
    args.log = host_log_line;
    args.log_user = &p->log;
    if (kolo_init(&args, &ctx) != KOLO_OK) {
        CHECK(p, ctx != NULL);
        return NULL;
    }
    p->play(p, ctx);
    kolo_status status = kolo_finalize(ctx);
    CHECK(p, status == p->finalized);
    return NULL;
}

/* A port that stays ours from here until rank 0 listens on it. */
static int listen_somewhere(int32_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)(void *)&address, size) == 0 && listen(fd, 16) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

void play_both(void (*zero)(player *p, kolo_context *ctx), void (*one)(player *p, kolo_context *ctx),
               kolo_status finalized)
{
    pthread_t threads[2];
    player players[2] = {{.rank = 0, .play = zero, .finalized = finalized, .log = HOST_LOG_INIT},
                         {.rank = 1, .play = one, .finalized = finalized, .log = HOST_LOG_INIT}};
    char number[16];
    snprintf(number, sizeof(number), "%d", listen_somewhere(&players[0].port));
    players[1].port = players[0].port;
    setenv("KOLO_STORE_FD", number, 1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_player, &players[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    unsetenv("KOLO_STORE_FD");
    for (int i = 0; i < 2; i++)
        if (players[i].wrong[0] != '\0')
            fail_msg("rank %d: %s\n%s", i, players[i].wrong, players[i].log.text);
}
