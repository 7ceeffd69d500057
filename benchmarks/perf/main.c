/* main.c - kolo-perf: measures Kolo's collective operations. */
#include "harness.h"
#include "idle.h"
#include "kolo_backend.h"

#include <stdio.h>
#include <unistd.h>

/* Bad arguments are told by the first rank alone. The others let it speak: the launcher ends all when one has ended. */
enum { OTHERS_SLEEP_S = 1 };

static int run_job(const perf_options *options)
{
    kolo_context *ctx = NULL;
    if (kolo_init(NULL, &ctx) != KOLO_OK) {
        kolo_backend_report(NULL, "kolo_init");
        return PERF_EXIT_FAILED;
    }
    perf_backend backend;
    kolo_backend *self = kolo_backend_create(ctx, &backend);
    perf_outcome outcome = PERF_STOPPED;
    if (self == NULL)
        fprintf(stderr, "kolo-perf: not enough memory\n");
    else
        outcome = options->ops[PERF_IDLE] ? perf_idle_run(options, &backend) : perf_harness_run(options, &backend);
    kolo_backend_destroy(self);
    if (outcome == PERF_STOPPED) { /* at once, without a last meeting of the ranks: some may never come */
        fflush(NULL);
        _exit(PERF_EXIT_FAILED);
    }
    if (kolo_finalize(ctx) != KOLO_OK) {
        kolo_backend_report(NULL, "kolo_finalize");
        return PERF_EXIT_FAILED;
    }
    if (outcome == PERF_REFUSED)
        return PERF_EXIT_USAGE;
    return outcome == PERF_RIGHT ? PERF_EXIT_OK : PERF_EXIT_FAILED;
}

int main(int argc, char **argv)
{
    perf_options options;
    char message[512];
    switch (perf_options_parse(argc, argv, &options, message, sizeof message)) {
    case PERF_PARSE_HELP:
        if (perf_harness_is_first())
            perf_options_help("kolo-perf");
        return PERF_EXIT_OK;
    case PERF_PARSE_VERSION:
        if (perf_harness_is_first())
            printf("kolo-perf %s\n", kolo_version());
        return PERF_EXIT_OK;
    case PERF_PARSE_BAD:
        if (perf_harness_is_first())
            fprintf(stderr, "kolo-perf: %s\n", message);
        else
            sleep(OTHERS_SLEEP_S);
        return PERF_EXIT_USAGE;
    case PERF_PARSE_RUN:
        break;
    }
    int status = run_job(&options);
    if (fflush(stdout) != 0 && status == PERF_EXIT_OK) {
        perror("kolo-perf: standard output");
        status = PERF_EXIT_FAILED;
    }
    return status;
}
