/* meet.c - a rank that does nothing but meet the others through what kolorun gave it: job, secret and inherited socket.
 * Exits 0 when three exchanges brought everyone's bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/error.h"
#include "bootstrap/rendezvous.h"

static int complain(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, kolo_error_current()->message);
    return 1;
}

static int exchange_names(kolo_rendezvous *rendezvous, const kolo_job *job, kolo_bytes *all)
{
    for (int round = 0; round < 3; round++) {
        char text[64];
        snprintf(text, sizeof(text), "rank %d round %d", job->rank, round);
        if (kolo_rendezvous_exchange(rendezvous, text, strlen(text), all) != KOLO_OK)
            return complain("exchange");
        for (int32_t rank = 0; rank < job->size; rank++) {
            snprintf(text, sizeof(text), "rank %d round %d", rank, round);
            if (all[rank].size != strlen(text) || memcmp(all[rank].data, text, strlen(text)) != 0) {
                fprintf(stderr, "rank %d has something else of rank %d\n", job->rank, rank);
                return 1;
            }
        }
    }
    return 0;
}

int main(void)
{
    kolo_job job;
    kolo_log log = {.level = KOLO_LOG_WARN, .rank = -1};
    int64_t listen_fd = -1;
    const char *fd_text = getenv("KOLO_STORE_FD"), *secret = getenv("KOLO_JOB_SECRET");
    if (kolo_job_detect(NULL, environ, &job) != KOLO_OK)
        return complain("job");
    if (secret == NULL || (fd_text != NULL) != (job.rank == 0) ||
        (fd_text != NULL && !kolo_parse_int(fd_text, 3, INT32_MAX, &listen_fd))) {
        fprintf(stderr, "rank %d: the secret or the socket is not as it should be\n", job.rank);
        return 1;
    }
    kolo_rendezvous_options options = {
        .secret = secret, .listen_fd = (int)listen_fd, .timeout_ns = 60 * KOLO_NS_PER_S, .log = &log};
    kolo_rendezvous *rendezvous;
    if (kolo_rendezvous_open(&job, &options, &rendezvous) != KOLO_OK)
        return complain("open");
    kolo_bytes *all = calloc((size_t)job.size, sizeof(*all));
    int failed = all == NULL ? 1 : exchange_names(rendezvous, &job, all);
    free(all);
    kolo_rendezvous_close(rendezvous);
    return failed;
}
