/* main.c - kolo-train: options, joining and leaving the job, exit status. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/session.h"

enum { EXIT_USAGE = 2 };

/* Before the job is joined. Help is printed once; errors by every rank: the launcher may end all when one leaves. */
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
        fprintf(stderr, "kolo-train: %s\n", failure.text);
        return EXIT_USAGE;
    }
    if (options.help) {
        if (is_first_rank())
            train_options_print_help(stdout);
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
