/* main.c - kolo-train: options, joining and leaving the job, exit status. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/session.h"

enum { EXIT_USAGE = 2 };

/* How long the other ranks let rank 0 tell what is wrong with the arguments. Its end makes the launcher end them. */
enum { RANK_0_FIRST_MS = 1000 };

/* Before the job is joined. */
static bool is_first_rank(void)
{
    const char *rank = getenv("RANK");

    return rank == NULL || strcmp(rank, "0") == 0;
}

static int report(const train_exchange *exchange, const train_failure *failure)
{
    if (failure->text[0] == '\0')
        return EXIT_FAILURE;
    if (exchange->ranks > 1)
        fprintf(stderr, "kolo-train: rank %d: %s\n", exchange->rank, failure->text);
    else
        fprintf(stderr, "kolo-train: %s\n", failure->text);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    train_failure failure = {.text = ""};
    train_options options;
    train_exchange exchange;

    if (!train_options_parse(&options, argc, argv, &failure)) {
        /* Once, where all ranks were started alike; a rank that alone is wrong says so a little later. */
        if (!is_first_rank())
            (void)poll(NULL, 0, RANK_0_FIRST_MS);
        fprintf(stderr, "kolo-train: %s\n", failure.text);
        return EXIT_USAGE;
    }
    if (options.help || options.version) {
        if (is_first_rank() && options.help)
            train_options_print_help(stdout);
        else if (is_first_rank())
            printf("kolo-train %s\n", kolo_version());
        return EXIT_SUCCESS;
    }
    if (!train_exchange_init(&exchange, &failure))
        return report(&exchange, &failure);

    int status = EXIT_SUCCESS;
    if (!train_session_run(&options, &exchange, &failure))
        status = report(&exchange, &failure);
    if (exchange.broken)
        return status;
    if (!train_exchange_fini(&exchange, &failure))
        return report(&exchange, &failure);
    return status;
}
