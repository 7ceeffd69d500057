/* same.c - see same.h. */
#include "trainer/same.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS_MOST = 24, TEXT_BYTES = 128 };

/* A rank's options, in the order of train_options_common. */
typedef struct record {
    char values[OPTIONS_MOST][TEXT_BYTES];
} record;

static void fill(record *own, const train_options *options)
{
    const char *name;
    memset(own, 0, sizeof *own);
    for (size_t i = 0; i < OPTIONS_MOST && train_options_common(options, i, &name, own->values[i], TEXT_BYTES); i++)
        continue;
}

/* Against rank 0's. */
static bool compare(const record *own, const record *first, const train_options *options, train_failure *failure)
{
    const char *name;
    char text[TEXT_BYTES];
    for (size_t i = 0; i < OPTIONS_MOST && train_options_common(options, i, &name, text, sizeof text); i++)
        if (memcmp(own->values[i], first->values[i], TEXT_BYTES) != 0)
            return train_fail(failure, "%s %s, but rank 0 has %s; start all ranks with the same options", name,
                              own->values[i], first->values[i]);
    return true;
}

bool train_same_options(train_exchange *exchange, const train_options *options, train_failure *failure)
{
    record *all = malloc((size_t)exchange->ranks * sizeof *all);
    bool ok = all != NULL || train_fail(failure, "no memory for the options of %" PRId32 " ranks", exchange->ranks);
    if (train_exchange_agree(exchange, ok, failure) && all != NULL) {
        fill(&all[exchange->rank], options);
        ok = train_exchange_gather(exchange, all, sizeof *all, failure);
        bool same = ok && compare(&all[exchange->rank], &all[0], options, failure);
        ok = ok && train_exchange_agree(exchange, same, failure);
    } else {
        ok = false;
    }
    free(all);
    return ok;
}
